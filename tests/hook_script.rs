//! The hook's script alone, under the shells that may be `sh`: whatever happens to its program, the VM starts, and the logs say why.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use vgpu_tests::root::Ran;
use vgpu_tests::{ScratchRoot, VM};
use wait_timeout::ChildExt;

const SCRIPT: &str = "etc/xapi.d/vm-pre-start/50vgpu";
const PROGRAM: &str = "usr/libexec/vgpu/vgpu-hook";
/// dom0's `sh` is bash; most machines that run the tests have dash.
const SHELLS: [&[&str]; 2] = [&["dash"], &["bash", "--posix"]];
/// Time enough for any machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn root_with_program(script: &str) -> ScratchRoot {
    let root = ScratchRoot::new();
    root.replace_program(PROGRAM, script);
    root
}

/// The script under a shell, as xenopsd calls it.
fn script(root: &ScratchRoot, shell: &[&str]) -> Command {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg(root.path(SCRIPT)).args(["-vmuuid", VM, "-reason", "none"]);
    command.env_clear().env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin").stdin(Stdio::null());
    command
}

/// Whether the script lets the VM start, and says one line about it for xenopsd's log.
fn assert_starts(ran: &Ran, says: &str) {
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(1), 1), "{ran:?}");
    assert!(
        ran.stdout.contains(says) && ran.stdout.contains("the VM starts with its previous arguments"),
        "{says}: {ran:?}"
    );
}

/// The root's system log.
fn syslog(root: &ScratchRoot) -> UnixDatagram {
    fs::create_dir_all(root.path("dev")).unwrap();
    let log = UnixDatagram::bind(root.path("dev/log")).unwrap();
    log.set_read_timeout(Some(PATIENCE)).unwrap();
    log
}

fn line(log: &UnixDatagram) -> String {
    let mut datagram = [0; 4096];
    let length = log.recv(&mut datagram).expect("a line arrives");
    String::from_utf8_lossy(&datagram[..length]).into_owned()
}

#[test]
fn the_programs_own_answers_pass_and_log_nothing_more() {
    for shell in SHELLS {
        for status in 0..=2 {
            let root = root_with_program(&format!("#!/bin/sh\necho \"$*\"\nexit {status}\n"));
            let log = syslog(&root);
            let ran = Ran::of(&mut script(&root, shell));
            assert_eq!(ran.code, Some(status), "{shell:?} {ran:?}");
            assert_eq!(ran.stdout, format!("-vmuuid {VM} -reason none\n"), "{shell:?}");
            log.set_nonblocking(true).unwrap();
            assert!(log.recv(&mut [0; 1]).is_err(), "{shell:?}: nothing was wrong");
        }
    }
}

#[test]
fn whatever_ends_the_program_both_logs_say_so_and_which_vm_it_was() {
    for shell in SHELLS {
        for (program, says) in [
            ("#!/bin/sh\nexit 3\n", "exited with status 3"),
            ("#!/bin/sh\nexit 101\n", "exited with status 101"),
            ("#!/bin/sh\nkill -9 $$\n", "exited with status 137"),
            ("#!/bin/sh\nkill -11 $$\n", "exited with status 139"),
            ("#!/no/such/shell\n", "exited with status 12"),
            ("", "is missing or empty: install vgpu-config again"),
        ] {
            let root = root_with_program(program);
            let log = syslog(&root);
            assert_starts(&Ran::of(&mut script(&root, shell)), says);
            let line = line(&log);
            assert!(line.starts_with("<27>") && line.contains("vgpu-hook: "), "{line}");
            assert!(line.contains(VM) && line.contains(says), "{shell:?} {says}: {line}");
        }
        let root = ScratchRoot::new();
        let log = syslog(&root);
        fs::remove_file(root.path(PROGRAM)).unwrap();
        assert_starts(&Ran::of(&mut script(&root, shell)), "is missing");
        assert!(line(&log).contains("is missing"));
    }
}

#[test]
fn a_log_that_hangs_and_one_that_is_not_there_hold_up_no_start() {
    for shell in SHELLS {
        let root = root_with_program("#!/bin/sh\nexit 3\n");
        assert_starts(&Ran::of(&mut script(&root, shell)), "status 3");

        // Nobody reads, and there is no more room: whoever writes waits.
        let log = syslog(&root);
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"full", root.path("dev/log")).is_ok() {}
        let mut frozen = script(&root, shell).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let ended = frozen.wait_timeout(PATIENCE).unwrap();
        let _ = frozen.kill();
        assert_eq!(ended.and_then(|status| status.code()), Some(1), "{shell:?}");
        drop(log);

        // Neither logger nor timeout.
        let shell_itself = Command::new("which").arg(shell[0]).output().unwrap().stdout;
        let shell_itself = String::from_utf8(shell_itself).unwrap();
        let with_path = [&[shell_itself.trim()], &shell[1..]].concat();
        let ran = Ran::of(script(&root, &with_path).env("PATH", root.path("nothing")));
        assert_starts(&ran, "status 3");
    }
}

#[test]
fn where_no_process_can_be_started_the_vm_starts() {
    // Limits do not count for root, so somebody else runs the script, who may have no second process.
    let is_root = Ran::of(Command::new("id").arg("-u")).stdout.trim() == "0";
    for (shell, user) in SHELLS.iter().zip(["61234", "61235"]) {
        let root = ScratchRoot::new();
        root.chmod("", 0o755);
        let plain = script(&root, shell);
        let mut limited = Command::new("prlimit");
        limited.arg("--nproc=1");
        if is_root {
            limited.args(["setpriv", "--clear-groups"]).args([format!("--reuid={user}"), format!("--regid={user}")]);
        }
        limited.arg(plain.get_program()).args(plain.get_args()).stdin(Stdio::null());
        let ran = Ran::of(&mut limited);
        assert!(ran.stderr.contains("ork"), "the shell could start a process: {ran:?}");
        assert_starts(&ran, "could not be started");
    }
}
