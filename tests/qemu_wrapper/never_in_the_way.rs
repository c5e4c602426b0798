//! If anything fails, the stock qemu-wrapper is started with unchanged arguments, and the log says why.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use vgpu_tests::root::Ran;

use crate::stand_in::{ARGUMENTS, OURS, STOCK, StandIn, WRAPPER, printed};

/// Starts it: the stock qemu-wrapper has to get unchanged arguments, and the log has to say why.
fn assert_unchanged(stand_in: &StandIn, says: &str) {
    let ran = stand_in.start();
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(0), printed(&ARGUMENTS).as_str(), ""),
        "{says}"
    );
    let log = stand_in.logged();
    assert!(
        log.iter().any(|line| line.contains("vgpu-wrapper") && line.contains("domain 5") && line.contains(says)),
        "{log:#?}"
    );
}

#[test]
fn if_nothing_fails_the_stock_wrapper_gets_our_device_last() {
    let stand_in = StandIn::new();
    let ran = stand_in.start();
    assert_eq!(ran.stdout, printed(&[&ARGUMENTS[..], &OURS].concat()));
    let expected = "domain 5: QEMU gets -device vgpu-stub,pool_id=A,priority=high,vm_id=7";
    assert!(stand_in.logged().iter().any(|line| line.contains(expected)));
}

#[test]
fn if_xenstore_gives_no_or_an_invalid_answer_the_arguments_are_unchanged() {
    let stand_in = StandIn::new();
    fs::remove_file(stand_in.root.path("usr/bin/xenstore-read")).unwrap();
    assert_unchanged(&stand_in, "usr/bin/xenstore-read: No such file");
    for (body, says) in [
        ("echo \"xenstore-read: couldn't read path $1\" >&2; exit 1", "QEMU gets no vGPU"),
        ("exit 1", "xenstore-read failed: ; QEMU starts without a vGPU"),
        ("kill -9 $$", "xenstore-read failed: ; QEMU starts without a vGPU"),
        ("echo 'xs_open: Connection refused' >&2; exit 1", "xenstore-read failed: xs_open: Connection refused"),
        ("head -c 3000 /dev/urandom", "output of xenstore-read is not valid"),
        ("printf 'a\\nb\\n'", "output of xenstore-read is not valid"),
        ("exec cat /dev/zero", "did not answer in time"),
        (r"printf '%s\n' '-device vgpu-stub,pool_id=A,priority=high,vm_id=7\000'", "its vm_id '7"),
    ] {
        stand_in.xenstore(body);
        assert_unchanged(&stand_in, says);
    }
}

#[test]
fn a_program_that_hangs_is_not_waited_for() {
    let stand_in = StandIn::new();
    // It hangs, keeps running after it has closed its output, or leaves a process that keeps its output open.
    for body in ["exec sleep 1000", "exec >&-; exec sleep 1000", "sleep 1000 & echo $! >\"$0.pid\"; exit 1"] {
        stand_in.xenstore(body);
        assert_unchanged(&stand_in, "did not answer in time");
    }
    let left = fs::read_to_string(stand_in.root.path("usr/bin/xenstore-read.pid")).unwrap();
    assert!(Command::new("kill").arg(left.trim()).status().unwrap().success());
}

#[test]
fn a_settings_file_that_hangs_does_not_delay_the_start() {
    let stand_in = StandIn::new();
    fs::create_dir_all(stand_in.root.path("etc/vgpu")).unwrap();
    assert!(Command::new("mkfifo").arg(stand_in.root.path("etc/vgpu/vgpu.toml")).status().unwrap().success());
    assert_unchanged(&stand_in, "could not be determined");
}

#[test]
fn a_log_that_hangs_or_is_missing_does_not_delay_the_start() {
    let stand_in = StandIn::new();
    let with_ours = printed(&[&ARGUMENTS[..], &OURS].concat());
    // Nobody reads from the socket, and its buffer is full.
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(stand_in.root.path("dev/log")).unwrap();
    sender.set_nonblocking(true).unwrap();
    while sender.send(&[0; 1000]).is_ok() {}
    assert_eq!(stand_in.start().stdout, with_ours);
    fs::remove_file(stand_in.root.path("dev/log")).unwrap();
    let ran = stand_in.start();
    assert_eq!(ran.stdout, with_ours);
    assert!(ran.stderr.contains("QEMU gets -device"), "xenopsd logs what it prints: {ran:?}");
}

#[test]
fn if_no_process_can_be_started_the_stock_wrapper_still_is() {
    let stand_in = StandIn::new();
    // Not one more process is allowed.
    let mut limited = Command::new("prlimit");
    limited
        .args(["--nproc=0", "setpriv", "--reuid=65534", "--clear-groups", "--"])
        .arg(stand_in.root.path(WRAPPER))
        .args(ARGUMENTS);
    stand_in.root.chmod("", 0o755);
    stand_in.root.chmod("dev/log", 0o777);
    let ran = Ran::of(limited.env_clear().env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin"));
    assert_eq!((ran.code, ran.stdout), (Some(0), printed(&ARGUMENTS)));
    assert!(stand_in.logged().iter().any(|line| line.contains("Resource temporarily unavailable")));
}

#[test]
fn arguments_without_a_domain_are_passed_on_unchanged() {
    let stand_in = StandIn::new();
    for arguments in [&["5", "-xen-domid"][..], &["-xen-domid", "x"], &["--help"], &[]] {
        let ran = stand_in.root.run(WRAPPER, arguments);
        assert_eq!(
            ran.stdout,
            if arguments.is_empty() { "<>\n".to_owned() } else { printed(arguments) },
            "{arguments:?}"
        );
        assert!(stand_in.logged()[0].contains("the arguments have no valid domain number"));
    }
}

#[test]
fn arguments_that_are_not_utf_8_reach_the_stock_wrapper_unchanged() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let stand_in = StandIn::new();
    let output =
        stand_in.command().args(["5", "-xen-domid", "5"]).arg(OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert!(output.stdout.windows(4).any(|bytes| bytes == b"<\xff\xfe>"), "{output:?}");
}

#[test]
fn arguments_that_the_kernel_refuses_do_not_prevent_the_start() {
    let stand_in = StandIn::new();
    stand_in.root.settings("[qemu_wrapper]\npass = \"everything\"\n");
    // A single word may be 128 KiB long.
    stand_in.xenstore("head -c 140000 /dev/zero | tr '\\0' x; echo");
    assert_unchanged(&stand_in, "so it is started without it");
    stand_in.xenstore("printf '%s\\n' '-append \\000'");
    assert_unchanged(&stand_in, "could not be determined");
}

#[test]
fn a_stock_wrapper_that_reads_the_key_itself_gets_unchanged_arguments() {
    let stand_in = StandIn::new();
    stand_in.stock("# ours\nprintf '<%s>\\n' \"$@\"; : /local/domain/5/platform/device-model-args");
    assert_unchanged(&stand_in, "was changed and reads platform/device-model-args itself");
}

#[test]
fn without_a_stock_wrapper_it_fails_like_a_shell_and_says_so() {
    let stand_in = StandIn::new();
    fs::remove_file(stand_in.root.path(STOCK)).unwrap();
    let ran = stand_in.start();
    assert_eq!(ran.code, Some(126));
    assert!(ran.stderr.contains("xen/bin/qemu-wrapper cannot be started: No such file"), "{ran:?}");
    // Through a link to itself it would start itself for ever.
    symlink(stand_in.root.path(WRAPPER), stand_in.root.path(STOCK)).unwrap();
    let ran = stand_in.start();
    assert_eq!(ran.code, Some(126));
    assert!(ran.stderr.contains("is vgpu-config's qemu-wrapper, not the stock one"), "{ran:?}");
}

const QEMU: &str = "usr/lib64/xen/bin/qemu-system-i386";

#[test]
fn a_device_that_qemu_does_not_have_is_not_passed_because_qemu_would_not_start() {
    let stand_in = StandIn::new();
    stand_in.script(QEMU, r#"echo 'name "VGA", bus PCI'"#);
    assert_unchanged(&stand_in, "QEMU has no device vgpu-stub");
    stand_in.script(QEMU, r#"echo 'name "VGA", bus PCI'; echo 'name "vgpu-stub", bus ISA'"#);
    assert_eq!(stand_in.start().stdout, printed(&[&ARGUMENTS[..], &OURS].concat()), "asked again, for it was replaced");
}

#[test]
fn qemu_is_asked_once_and_one_that_hangs_is_not_waited_for() {
    let stand_in = StandIn::new();
    fs::create_dir_all(stand_in.root.path("etc/vgpu")).unwrap();
    stand_in.script(QEMU, "exec sleep 1000");
    assert_unchanged(&stand_in, "-device help did not answer in time");
    let asked = stand_in.root.path("asked");
    let list = format!(r#"echo x >>'{}'; echo 'name "vgpu-stub", bus PCI'"#, asked.display());
    stand_in.script(QEMU, &list);
    let given = printed(&[&ARGUMENTS[..], &["-device", &format!("{},addr=1e", OURS[1])]].concat());
    for _ in 0..3 {
        assert_eq!(stand_in.start().stdout, given);
    }
    assert_eq!(fs::read_to_string(&asked).unwrap(), "x\n");
    // An update of QEMU that does not answer: what was known of the one before counts.
    stand_in.script(QEMU, "exec sleep 1000");
    assert_eq!(stand_in.start().stdout, given);
}
