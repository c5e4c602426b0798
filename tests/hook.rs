//! The hook when things go wrong: the VM starts as it was, in time, and the log says why.

use std::time::{Duration, Instant};

use simulated_host::{Exit, Fault, Service};
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::{Dom0, ScratchRoot, VM};

/// A deadline short enough for a test to wait for.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a busy machine may add to it.
const GRACE: Duration = Duration::from_secs(4);

/// A VM whose row says something else than XAPI, so that its start needs everything: xenopsd and XAPI.
fn needing_repair() -> (Dom0, String) {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("deadline = 1");
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    (dom0, vm)
}

/// Starts the VM, which has to work within the deadline with the hook at `exit`; gives what QEMU got and the log's line.
fn start(dom0: &Dom0, vm: &str, exit: i32) -> (String, String) {
    let began = Instant::now();
    let boot = dom0.vm_start(vm).unwrap_or_else(|error| panic!("the VM does not start: {error}"));
    assert!(began.elapsed() < DEADLINE + GRACE, "the start took {:?}", began.elapsed());
    let run = boot.hook_runs.last().unwrap();
    assert_eq!(run.exit, Exit::Code(exit), "{run:?}");
    if exit == 1 {
        assert_eq!(run.stdout.lines().count(), 1, "one line for xenopsd's log: {run:?}");
    }
    let log = dom0.hook_log();
    let line = log.last().unwrap_or_else(|| panic!("nothing was logged: {run:?}")).clone();
    assert!(line.contains(vm), "the log does not name the VM: {line}");
    (boot.device_model_args.unwrap_or_default(), line)
}

#[test]
fn all_is_well_and_the_log_has_one_line_with_all_there_is_to_know() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    let log = dom0.hook_log();
    let [line] = log.as_slice() else { panic!("{log:?}") };
    for part in ["vgpu-hook[", &vm, "pool=A", "priority=high", "vm_id=", "changed=nothing", " ms"] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    dom0.reboot_from_inside(&vm);
    let line = dom0.hook_log().pop().unwrap();
    assert!(
        line.contains("pool=B") && line.contains("changed=this-boot,xapi was=\"-device vgpu-stub,pool_id=A"),
        "{line}"
    );
}

#[test]
fn a_database_that_cannot_be_used_lets_the_vm_start_as_it_was() {
    let damaged = b"no database, and longer than the header of one would be".repeat(10);
    let truncated = |bytes: Vec<u8>| bytes[..bytes.len() / 3].to_vec();
    for (what, reason) in [
        ("missing", "there is no database"),
        ("empty", "has schema 0 instead of"),
        ("damaged", "damaged or not a database"),
        ("truncated", "damaged or not a database"),
        ("newer", "this program only knows"),
    ] {
        let (dom0, vm) = needing_repair();
        let database = dom0.root.database();
        match what {
            "missing" => std::fs::remove_file(&database).unwrap(),
            "empty" => std::fs::write(&database, "").unwrap(),
            "damaged" => std::fs::write(&database, &damaged).unwrap(),
            "truncated" => std::fs::write(&database, truncated(std::fs::read(&database).unwrap())).unwrap(),
            _ => drop(dom0.sql("PRAGMA user_version = 99")),
        }
        dom0.root.settings("deadline = 1\non_error = \"block\"");
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=A"), "{what}: {args}");
        assert!(line.contains(reason), "{what}: {line}");
        assert_eq!(database.exists(), what != "missing", "the hook makes no database");
    }
}

#[test]
fn a_locked_database_lets_the_vm_start_as_it_was() {
    let (dom0, vm) = needing_repair();
    let script = format!(
        "import sqlite3, sys
connection = sqlite3.connect({:?}, isolation_level=None)
connection.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()",
        dom0.root.database().display().to_string()
    );
    let mut holder = std::process::Command::new("python3")
        .args(["-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut first_line).unwrap();
    let (args, line) = start(&dom0, &vm, 1);
    assert!(args.contains("pool_id=A"), "{args}");
    assert!(line.contains("locked by another program"), "{line}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn a_database_that_another_program_is_writing_does_not_keep_the_boot_from_being_repaired() {
    let (dom0, vm) = needing_repair();
    let store = vgpu_config::store::Store::open(&dom0.root.database()).unwrap();
    let writing = store.write().unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert!(boot.device_model_args.unwrap().contains("pool_id=B"));
    drop(writing);
    assert!(dom0.hook_log().iter().any(|line| line.contains("could not be recorded")), "{:?}", dom0.hook_log());
}

#[test]
fn a_database_that_is_read_only_does_not_keep_the_boot_from_being_repaired() {
    let (dom0, vm) = needing_repair();
    let chattr = |flag: &str| std::process::Command::new("chattr").arg(flag).arg(dom0.root.database()).status();
    if !chattr("+i").is_ok_and(|status| status.success()) {
        eprintln!("not tested: no file can be made immutable here");
        return;
    }
    let boot = dom0.vm_start(&vm).unwrap();
    chattr("-i").unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert!(boot.device_model_args.unwrap().contains("pool_id=B"));
    assert!(dom0.hook_log().iter().any(|line| line.contains("could not be recorded")), "{:?}", dom0.hook_log());
}

#[test]
fn a_settings_file_that_is_not_valid_lets_the_vm_start_as_it_was() {
    let (dom0, vm) = needing_repair();
    for (settings, reason) in [
        ("on_error = \"explode\"", "line 1"),
        ("# a comment\n\nunknown = 1", "line 3"),
        ("deadline = 0", "0.5 to 60 seconds"),
        ("device = \"vgpu-stub,x=y\"", "not a device name"),
        ("[defaults]\npool = \"C\"", "A or B"),
        ("not toml at all", "line 1"),
    ] {
        dom0.root.settings(settings);
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=A"), "{settings}: {args}");
        assert!(line.contains(reason), "{settings}: {line}");
        dom0.shutdown(&vm).unwrap();
    }
}

#[test]
fn without_xenopsd_the_vm_starts_as_it_was_and_xapi_is_told_for_the_next_time() {
    for (service, fault) in [
        (Service::MessageSwitch, Fault::Absent),
        (Service::MessageSwitch, Fault::Refuses),
        (Service::MessageSwitch, Fault::Hangs),
        (Service::MessageSwitch, Fault::DropsReply),
        (Service::MessageSwitch, Fault::Garbage),
        (Service::MessageSwitch, Fault::NotJson),
        (Service::MessageSwitch, Fault::WrongShape),
        (Service::Xenopsd, Fault::Absent),
        (Service::Xenopsd, Fault::Hangs),
        (Service::Xenopsd, Fault::NotJson),
        (Service::Xenopsd, Fault::WrongShape),
        (Service::Xenopsd, Fault::error("Internal_error", &["no"])),
    ] {
        let (dom0, vm) = needing_repair();
        dom0.set_fault(service, fault.clone()).unwrap();
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=A"), "{service:?} {fault:?}: {args}");
        assert!(line.contains("the arguments of this boot could not be checked"), "{service:?} {fault:?}: {line}");
        assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm), "{service:?} {fault:?}");
    }
}

#[test]
fn where_xenopsd_takes_the_question_but_not_the_answer_the_vm_starts_as_it_was() {
    for fault in [Fault::Hangs, Fault::WrongShape, Fault::error("Internal_error", &["no"])] {
        let (dom0, vm) = needing_repair();
        dom0.set_fault_in(Service::Xenopsd, "VM.add", fault.clone()).unwrap();
        let (_, line) = start(&dom0, &vm, 1);
        assert!(line.contains("the arguments of this boot could not be checked"), "{fault:?}: {line}");
    }
}

#[test]
fn without_xapi_this_boot_is_right_all_the_same() {
    for fault in [
        Fault::Absent,
        Fault::Refuses,
        Fault::Hangs,
        Fault::DropsReply,
        Fault::Garbage,
        Fault::NotJson,
        Fault::WrongShape,
        Fault::error("HOST_STILL_BOOTING", &[]),
    ] {
        let (dom0, vm) = needing_repair();
        dom0.set_fault(Service::Xapi, fault.clone()).unwrap();
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=B"), "{fault:?}: {args}");
        assert!(line.contains("this boot has the right arguments"), "{fault:?}: {line}");
        dom0.clear_faults().unwrap();
        dom0.reboot_from_inside(&vm);
        assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm), "{fault:?}: the next boot tells XAPI");
    }
}

#[test]
fn a_start_that_a_frozen_xapi_and_a_frozen_message_switch_hold_up_ends_by_itself_before_the_deadline() {
    let (dom0, vm) = needing_repair();
    dom0.root.settings("");
    dom0.set_fault(Service::Xapi, Fault::Hangs).unwrap();
    dom0.set_fault(Service::MessageSwitch, Fault::Hangs).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1));
    assert!(boot.device_model_args.unwrap().contains("pool_id=A"), "it starts as it was");
    let line = dom0.hook_log().pop().unwrap();
    assert!(line.contains("xenopsd did not answer in time") && line.contains("XAPI did not answer in time"), "{line}");
    assert!(!line.contains("not finished within"), "{line}");
}

#[test]
fn slow_services_are_waited_for_until_the_deadline_only() {
    let (dom0, vm) = needing_repair();
    dom0.set_fault(Service::Xenopsd, Fault::Slow(Duration::from_millis(300))).unwrap();
    dom0.set_fault(Service::Xapi, Fault::Slow(Duration::from_millis(300))).unwrap();
    let (_, line) = start(&dom0, &vm, 1);
    assert!(line.contains("in time"), "{line}");
    dom0.root.settings("deadline = 20");
    dom0.shutdown(&vm).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0), "{:?}", dom0.hook_log());
    assert_eq!(boot.device_model_args, dom0.argument(&vm));
}

#[test]
fn a_log_that_hangs_does_not_hold_up_the_start() {
    let (dom0, vm) = needing_repair();
    std::fs::remove_file(dom0.root.path("dev/log")).unwrap();
    let hanging = std::os::unix::net::UnixDatagram::bind(dom0.root.path("dev/log")).unwrap();
    for _ in 0..30 {
        let boot = dom0.vm_start(&vm).unwrap();
        assert_eq!(boot.device_model_args, dom0.argument(&vm));
        dom0.shutdown(&vm).unwrap();
    }
    drop(hanging);
}

#[test]
fn whatever_happens_to_the_program_the_script_lets_the_vm_start() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let program = "usr/libexec/vgpu/vgpu-hook";
    dom0.root.unlink(program);
    for (script, exit) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 3", 1),
        ("exit 101", 1),
        ("exit 255", 1),
        ("kill -9 $$", 1),
        ("kill -11 $$", 1),
    ] {
        dom0.root.write(program, format!("#!/bin/sh\n{script}\n"));
        dom0.root.chmod(program, 0o755);
        let boot = dom0.vm_start(&vm).unwrap();
        assert_eq!(hook_exit(&boot), Exit::Code(exit), "{script}");
        dom0.shutdown(&vm).unwrap();
    }
    dom0.root.write(program, "#!/bin/sh\nexit 2\n");
    dom0.root.chmod(program, 0o755);
    assert_eq!(dom0.vm_start(&vm).unwrap_err().code, "XAPI_HOOK_FAILED", "a wanted 2 passes");
    dom0.root.write(program, "not a program");
    for mode in [0o755, 0o644] {
        dom0.root.chmod(program, mode);
        assert_eq!(hook_exit(&dom0.vm_start(&vm).unwrap()), Exit::Code(1), "mode {mode:o}");
        dom0.shutdown(&vm).unwrap();
    }
    std::fs::remove_file(dom0.root.path(program)).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1));
    assert!(boot.hook_runs[0].stdout.contains("is missing or empty: install vgpu-config again"), "{boot:?}");
}

#[test]
fn wrong_arguments_are_no_reason_to_block_a_start() {
    let root = ScratchRoot::new();
    for arguments in [&[][..], &["--help"], &["-vmuuid"], &["-vmuuid", "x"], &["-reason", "none"]] {
        let ran = root.run("etc/xapi.d/vm-pre-start/50vgpu", arguments);
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(1), 1), "{arguments:?}: {ran:?}");
        assert!(ran.stdout.contains("expected"), "{ran:?}");
    }
}

#[test]
fn without_syslog_the_log_goes_to_standard_error() {
    let root = ScratchRoot::new();
    let ran = root.hook(VM);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("vgpu-hook: ERROR") && ran.stderr.contains("there is no database"), "{ran:?}");
}

#[test]
fn run_by_hand_for_a_halted_vm_it_says_what_it_found_and_that_this_is_no_start() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let argument = dom0.argument(&vm).unwrap();
    let ran = dom0.root.hook(&vm);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let number = argument.rsplit('=').next().unwrap();
    assert_eq!(
        ran.stdout,
        format!(
            "VM {vm} (web01) is registered: GPU pool B, priority high, vm_id {number}.\n\
             This boot: the VM is not being started.\n\
             Next boots: XAPI's record was corrected.\n"
        )
    );
    assert_eq!(dom0.args_in_xapi(&vm), Some(argument));
}

#[test]
fn run_by_hand_for_a_running_vm_it_leaves_its_qemu_alone() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let ran = dom0.root.hook(&vm);
    assert!(ran.stdout.contains("the VM is already running"), "{ran:?}");
    assert_eq!(dom0.last_vm_add(&vm), None);
    assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm));
    let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!(shown["last_start"]["is_current"], false, "what was not a start is not noted as one");
}

#[test]
fn run_by_hand_for_a_clone_it_says_whose_argument_it_carries() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    let ran = dom0.root.hook(&clone);
    assert!(ran.stdout.contains(&format!("has the vGPU argument of VM {vm}")), "{ran:?}");
    let stranger = dom0.create_vm("stranger");
    let ran = dom0.root.hook(&stranger);
    assert!(ran.stdout.contains("is not registered.\nThis boot: the VM is not being started."), "{ran:?}");
}

#[test]
fn what_a_vms_last_start_got_is_shown_even_where_it_was_not_what_is_configured() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    let shown = dom0.root.admin_ok(&["show-vm", "--vm-uuid", &vm]);
    assert!(shown.contains("(as configured; ") && shown.contains(dom0.host_uuid()), "{shown}");
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let shown = dom0.root.admin_ok(&["show-vm", "--vm-uuid", &vm]);
    assert!(shown.contains("NOT as configured"), "{shown}");
    let list = dom0.root.admin_ok(&["list-vms"]);
    assert!(list.contains("A high"), "{list}");
}
