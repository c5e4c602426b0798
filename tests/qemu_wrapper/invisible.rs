//! Except for its arguments, the stock qemu-wrapper finds everything as xenopsd left it.

use std::fs;
use std::path::Path;
use std::process::Command;

use vgpu_tests::root::Ran;

use crate::stand_in::{ARGUMENTS, OURS, STOCK, StandIn, WRAPPER};

/// Starts a program with unusual files, limits and signals: `python3 -c LAUNCH HOW PROGRAM ARGUMENTS…`.
const LAUNCH: &str = r#"
import os, resource, signal, sys
how, program, arguments = sys.argv[1], sys.argv[2], sys.argv[2:]
for number in 7, 12, 200:
    os.dup2(os.open("/dev/zero", os.O_RDONLY), number, inheritable=True)
os.dup2(os.open(os.path.dirname(program) + "/open", os.O_CREAT | os.O_RDWR | os.O_APPEND), 9, inheritable=True)
os.chdir("/usr")
os.umask(0o027)
os.nice(3)
os.setsid()
resource.setrlimit(resource.RLIMIT_NOFILE, (333, 444))
resource.setrlimit(resource.RLIMIT_CORE, (4096, 8192))
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 22))
for number in signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR2, signal.SIGSEGV:
    signal.signal(number, signal.SIG_DFL)
if how == "ignored":
    for number in signal.SIGPIPE, signal.SIGHUP, signal.SIGUSR2:
        signal.signal(number, signal.SIG_IGN)
if how == "children":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if how == "blocked":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPIPE, signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM])
environment = {"PATH": "/sbin:/usr/sbin:/bin:/usr/bin", "Z": "1", "A": "x y", "LD_LIBRARY_PATH": "", "EMPTY": ""}
os.execve(program, arguments, environment)
"#;

/// What a process can find out about itself. A shell and cat change none of it.
const REPORT: &str = r#"
report=${0%/usr/*}/report
{
    tr '\0' '\n' </proc/$$/cmdline
    echo "--- environment"; tr '\0' '\n' </proc/$$/environ
    echo "--- folder"; readlink /proc/$$/cwd; readlink /proc/$$/root
    echo "--- files"; for number in 0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 200; do
        case $(readlink /proc/$$/fd/$number) in pipe:*) continue ;; esac
        [ -e /proc/$$/fd/$number ] && { readlink /proc/$$/fd/$number; grep flags /proc/$$/fdinfo/$number; echo $number; }
    done
    # In a pipeline, because dash blocks all signals for a moment when it starts a single program.
    echo "--- status"
    grep -E '^(Umask|Uid|Gid|Groups|SigPnd|ShdPnd|SigBlk|SigIgn|Cap...|NoNewPrivs|Seccomp|Cpus_allowed):' /proc/$$/status | cat
    echo "--- limits"; cat /proc/$$/limits
    echo "--- session"; cut -d ' ' -f 1,5,6,7,19 /proc/$$/stat | sed "s/\b$$\b/PID/g"
    echo "--- more"; cat /proc/$$/oom_score_adj /proc/$$/cgroup; readlink /proc/$$/ns/*
} >"$report" 2>&1
"#;

/// Starts one of the qemu-wrappers, and returns the report of the stock one.
fn found(stand_in: &StandIn, how: &str, wrapper: &str) -> String {
    let wrapper = stand_in.root.path(wrapper);
    let ran = Ran::of(Command::new("/usr/bin/python3").args(["-c", LAUNCH, how]).arg(&wrapper).args(ARGUMENTS));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{how}: {ran:?}");
    let report = fs::read_to_string(stand_in.root.path("report")).unwrap();
    let folder = |path: &Path| format!("{}/open", path.parent().unwrap().display());
    report.replace(&folder(&wrapper), "OPEN")
}

#[test]
fn files_environment_folder_umask_limits_and_signals_are_unchanged() {
    let stand_in = StandIn::new();
    stand_in.stock(REPORT);
    for how in ["default", "ignored", "children", "blocked"] {
        let directly = found(&stand_in, how, STOCK);
        let through_ours = found(&stand_in, how, WRAPPER);
        let expected =
            directly.replace("tap,id=tapnet0,fd=7\n", &format!("tap,id=tapnet0,fd=7\n{}\n{}\n", OURS[0], OURS[1]));
        assert_eq!(through_ours, expected, "{how}");
        // The report is complete.
        for part in [
            "OPEN\n",
            "/dev/zero\n",
            "\n200\n",
            "LD_LIBRARY_PATH=\n",
            "A=x y\n",
            "/usr\n",
            "Umask:\t0027\n",
            "a  b\n\n-xen-domid",
        ] {
            let part = part.replace("a  b\n\n", "a  b\n");
            assert!(directly.contains(&part), "{how}: {part:?} in {directly}");
        }
        let ignored = directly.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        assert_eq!(ignored & (1 << 12) != 0, how == "ignored", "SIGPIPE is signal 13: {ignored:x}");
    }
}

#[test]
fn the_stock_wrapper_is_started_by_its_own_path() {
    let stand_in = StandIn::new();
    stand_in.stock("echo \"$0\"");
    assert_eq!(stand_in.start().stdout.trim(), stand_in.root.path(STOCK).display().to_string());
}

#[test]
fn the_process_is_the_one_that_xenopsd_started_and_has_no_children() {
    let stand_in = StandIn::new();
    stand_in.stock("echo $$ $(cat /proc/$$/task/$$/children | wc -w)");
    let child = stand_in.command().args(ARGUMENTS).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let printed = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    // The one child is the command substitution.
    assert_eq!(printed.trim(), format!("{pid} 1"));
}
