//! Whatever goes wrong, the stock wrapper is started with the arguments as they came, and the log says why.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use vgpu_tests::root::Ran;

use crate::stand_in::{ARGUMENTS, OURS, STOCK, StandIn, WRAPPER, printed};

/// Starts it; the stock wrapper has to get the arguments as they came, and the log has to say why.
fn assert_as_they_came(stand_in: &StandIn, says: &str) {
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
fn where_all_is_well_the_stock_wrapper_gets_our_device_last() {
    let stand_in = StandIn::new();
    let ran = stand_in.start();
    assert_eq!(ran.stdout, printed(&[&ARGUMENTS[..], &OURS].concat()));
    assert!(stand_in.logged()[0].contains("domain 5: QEMU gets -device vgpu-stub,pool_id=A,priority=high,vm_id=7"));
}

#[test]
fn without_xenstore_or_with_nonsense_in_it_the_arguments_are_as_they_came() {
    let stand_in = StandIn::new();
    fs::remove_file(stand_in.root.path("usr/bin/xenstore-read")).unwrap();
    assert_as_they_came(&stand_in, "usr/bin/xenstore-read: No such file");
    for (body, says) in [
        ("exit 1", "QEMU gets nothing of ours"),
        ("kill -9 $$", "QEMU gets nothing of ours"),
        ("echo 'no such thing' >&2; exit 1", "QEMU gets nothing of ours"),
        ("head -c 3000 /dev/urandom", "cannot be understood"),
        ("printf 'a\\nb\\n'", "cannot be understood"),
        ("exec cat /dev/zero", "did not answer in time"),
        (r"printf '%s\n' '-device vgpu-stub,pool_id=A,priority=high,vm_id=7\000'", "its vm_id '7"),
    ] {
        stand_in.xenstore(body);
        assert_as_they_came(&stand_in, says);
    }
}

#[test]
fn what_hangs_is_not_waited_for() {
    let stand_in = StandIn::new();
    // A program that hangs, one that goes on after it has answered, and one that leaves another behind which holds its output.
    for body in ["exec sleep 1000", "exec >&-; exec sleep 1000", "sleep 1000 & echo $! >\"$0.pid\"; exit 1"] {
        stand_in.xenstore(body);
        assert_as_they_came(&stand_in, "did not answer in time");
    }
    let left = fs::read_to_string(stand_in.root.path("usr/bin/xenstore-read.pid")).unwrap();
    assert!(Command::new("kill").arg(left.trim()).status().unwrap().success());
}

#[test]
fn a_settings_file_that_is_never_read_to_its_end_holds_up_nobody() {
    let stand_in = StandIn::new();
    fs::create_dir_all(stand_in.root.path("etc/vgpu")).unwrap();
    assert!(Command::new("mkfifo").arg(stand_in.root.path("etc/vgpu/vgpu.toml")).status().unwrap().success());
    assert_as_they_came(&stand_in, "could not be found out");
}

#[test]
fn a_log_that_hangs_or_is_not_there_holds_up_nobody() {
    let stand_in = StandIn::new();
    let with_ours = printed(&[&ARGUMENTS[..], &OURS].concat());
    // Nobody reads what is sent to the socket, and no more fits in.
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
fn where_no_process_can_be_started_the_stock_wrapper_is() {
    let stand_in = StandIn::new();
    // Not even one more process.
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
fn arguments_that_name_no_domain_are_passed_on_as_they_are() {
    let stand_in = StandIn::new();
    for arguments in [&["5", "-xen-domid"][..], &["-xen-domid", "x"], &["--help"], &[]] {
        let ran = stand_in.root.run(WRAPPER, arguments);
        assert_eq!(
            ran.stdout,
            if arguments.is_empty() { "<>\n".to_owned() } else { printed(arguments) },
            "{arguments:?}"
        );
        assert!(stand_in.logged()[0].contains("xenopsd named no domain"));
    }
}

#[test]
fn arguments_that_are_no_text_reach_the_stock_wrapper_as_they_came() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let stand_in = StandIn::new();
    let output =
        stand_in.command().args(["5", "-xen-domid", "5"]).arg(OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert!(output.stdout.windows(4).any(|bytes| bytes == b"<\xff\xfe>"), "{output:?}");
}

#[test]
fn more_arguments_than_the_kernel_takes_cost_our_device_and_not_the_start() {
    let stand_in = StandIn::new();
    stand_in.root.settings("[qemu_wrapper]\npass = \"everything\"\n");
    // A single word may be 128 KiB long.
    stand_in.xenstore("head -c 140000 /dev/zero | tr '\\0' x; echo");
    assert_as_they_came(&stand_in, "is started without");
    stand_in.xenstore("printf '%s\\n' '-append \\000'");
    assert_as_they_came(&stand_in, "could not be found out");
}

#[test]
fn a_stock_wrapper_that_reads_the_key_itself_gets_the_arguments_as_they_came() {
    let stand_in = StandIn::new();
    stand_in.stock("# ours\nprintf '<%s>\\n' \"$@\"; : /local/domain/5/platform/device-model-args");
    assert_as_they_came(&stand_in, "was changed, and reads platform/device-model-args itself");
}

#[test]
fn without_a_stock_wrapper_it_fails_as_a_shell_would_and_says_so() {
    let stand_in = StandIn::new();
    fs::remove_file(stand_in.root.path(STOCK)).unwrap();
    let ran = stand_in.start();
    assert_eq!(ran.code, Some(126));
    assert!(ran.stderr.contains("xen/bin/qemu-wrapper cannot be started: No such file"), "{ran:?}");
    // A link to ourselves would be followed for ever.
    symlink(stand_in.root.path(WRAPPER), stand_in.root.path(STOCK)).unwrap();
    let ran = stand_in.start();
    assert_eq!(ran.code, Some(126));
    assert!(ran.stderr.contains("is vgpu-config's and not XCP-ng's own"), "{ran:?}");
}
