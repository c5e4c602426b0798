//! vgpu-admin as people and scripts use it: what it prints, what it answers, and how it ends.

use std::io::Read;
use std::process::Stdio;

use vgpu_tests::golden::assert_golden;
use vgpu_tests::terminal::answered;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, VM, VM_ARGUMENT, uuid};

fn golden_json(name: &str, value: &serde_json::Value) {
    assert_golden(name, &serde_json::to_string_pretty(value).unwrap());
}

/// A host with three VMs, one of them started.
fn three_vms() -> Dom0 {
    let dom0 = Dom0::new();
    for (number, name, pool, priority) in
        [(1, "web01", "A", "high"), (2, "db01", "A", "low"), (3, "render", "B", "medium")]
    {
        dom0.create_vm_with_uuid(&uuid(number), name);
        dom0.register(&uuid(number), pool, priority);
    }
    dom0.start(&uuid(1));
    dom0
}

/// The host's UUID is another in every run.
fn without_host(dom0: &Dom0, text: &str) -> String {
    text.replace(dom0.host_uuid(), "HOST-UUID")
}

#[test]
fn lists_and_tables_are_easy_to_read() {
    let dom0 = three_vms();
    assert_golden("list-vms.txt", &dom0.root.admin_ok(&["list-vms"]));
    assert_golden("list-pools.txt", &dom0.root.admin_ok(&["list-pools"]));
    assert_golden("show-vm.txt", &without_host(&dom0, &dom0.root.admin_ok(&["show-vm", "--vm-uuid", &uuid(1)])));
    assert_golden("show-vm-not-started.txt", &dom0.root.admin_ok(&["show-vm", "--vm-name=db01"]));
    assert_golden("status.txt", &dom0.root.admin_ok(&["status"]));
    assert_golden("check.txt", &dom0.root.admin_ok(&["check"]));
}

#[test]
fn json_has_all_of_it_for_programs() {
    let dom0 = three_vms();
    let list = dom0.root.admin_ok(&["list-vms", "--format", "json"]);
    golden_json("list-vms.json", &serde_json::from_str(&without_host(&dom0, &list)).unwrap());
    golden_json("list-pools.json", &dom0.root.admin_json(&["list-pools"]));
    let status = dom0.root.admin_ok(&["status", "--format", "json"]);
    golden_json("status.json", &serde_json::from_str(&without_host(&dom0, &status)).unwrap());
    golden_json("set-pool.json", &dom0.root.admin_json(&["set-pool", "--vm-name=render", "--pool=A"]));
    golden_json("remove-vm.json", &dom0.root.admin_json(&["remove-vm", "--yes", "--vm-name=render"]));
}

#[test]
fn a_change_says_what_was_done_and_when_it_is_in_effect() {
    let dom0 = three_vms();
    dom0.create_vm_with_uuid(&uuid(4), "new");
    let register = format!("--vm-uuid={}", uuid(4));
    let mut said = dom0.root.admin_ok(&["register-vm", &register, "--pool=B", "--priority=LOW"]);
    said += &dom0.root.admin_ok(&["set-pool", "--vm-name=web01", "--pool=B"]);
    said += &dom0.root.admin_ok(&["set-pool", "--vm-name=web01", "--pool=B"]);
    said += &dom0.root.admin_ok(&["set-priority", "--vm-name=db01", "--priority=2"]);
    said += &dom0.root.admin_ok(&["update-vm", "--vm-name=db01", "--pool=b", "--priority=medium", "--vm-id=7"]);
    said += &dom0.root.admin_ok(&["remove-vm", "--vm-name=web01", "--yes"]);
    assert_golden("changes.txt", &said);
}

#[test]
fn a_record_in_xapi_that_says_otherwise_is_corrected_and_that_is_said() {
    let dom0 = three_vms();
    dom0.set_args_in_xapi(&uuid(2), Some("-vga std"));
    let said = dom0.root.admin_ok(&["set-pool", "--vm-name=db01", "--pool=A"]);
    assert!(said.contains("XAPI's record of the VM was different and was corrected"), "{said}");
    assert!(dom0.args_in_xapi(&uuid(2)).unwrap().starts_with("-vga std -device vgpu-stub,pool_id=A"));
}

#[test]
fn filters_show_one_pool_one_priority_or_both() {
    let dom0 = three_vms();
    let names = |arguments: &[&str]| {
        let list = dom0.root.admin_json(&[&["list-vms"], arguments].concat());
        list.as_array().unwrap().iter().map(|vm| vm["vm_name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["web01", "db01", "render"]);
    assert_eq!(names(&["--pool=a"]), ["web01", "db01"]);
    assert_eq!(names(&["--priority=1"]), ["render"]);
    assert_eq!(names(&["--pool=A", "--priority=low"]), ["db01"]);
    assert!(names(&["--pool=B", "--priority=low"]).is_empty());
    let ran = dom0.root.admin(&["list-vms", "--pool=B", "--priority=low"]);
    let said = "vgpu-admin: no registered VM matches: register one with 'vgpu-admin register-vm'\n";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", said), "nothing to count");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    let root = ScratchRoot::new();
    for (arguments, said) in [
        (&[][..], "Usage: vgpu-admin"),
        (&["frobnicate"], "tip: the commands are register-vm, show-vm, list-vms, set-pool"),
        (&["lst-vms"], "unrecognized subcommand 'lst-vms'\n\n  tip: a similar subcommand exists: 'list-vms'"),
        (&["register-vm", "--pool=A"], "--vm-uuid <UUID>"),
        (&["set-priority", "--vm-uuid", VM], "not provided:\n  <PRIORITY>"),
        (&["set-priority", "high"], "not provided:\n  <VM>..."),
        (&["set-pool"], "Usage: vgpu-admin set-pool [OPTIONS] <VM>... <POOL>"),
        (&["set-pool", "web01", "--vm-uuid", VM, "B"], "cannot be used with"),
        (&["show-vm", "--vm-name="], "a value is required for '--vm-name <NAME>'"),
        (&["register-vm", "--vm-uuid", VM, "--pool=C"], "invalid value 'C' for '--pool <POOL>': expected A or B\n"),
        (&["set-pool", "web01", "C"], "invalid value 'C' for '<POOL>': expected A or B\n"),
        (
            &["set-priority", "web01", "hihg"],
            "expected low, medium or high (or 0, 1, 2)\n\n  tip: a similar value exists: 'high'",
        ),
        (&["update-vm", "web01", "--vm-id=0"], "for '--vm-id <VM_ID>': expected a whole number from 1 to 4294967295"),
        (&["show-vm", "web\n01"], "invalid value 'web\\n01' for '[VM]...': expected a VM's name or UUID, on one line"),
        (&["set-priority", "--vm-uuid", VM, "--priority=urgent"], "expected low, medium or high (or 0, 1, 2)"),
        (&["show-vm", "--vm-uuid=web01"], "expected a VM's UUID such as"),
        (&["show-vm"], "--vm-uuid <UUID>"),
        (&["show-vm", "--vm-uuid", VM, "--vm-name=web01"], "cannot be used with"),
        (&["update-vm", "--vm-uuid", VM], "--pool <POOL>"),
        (&["list-vms", "--format=xml"], "table, json"),
        (&["list-pools", "extra"], "unexpected argument"),
    ] {
        let ran = root.admin(arguments);
        assert_eq!(ran.code, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains(said), "{arguments:?}: {}", ran.stderr);
    }
    assert!(!root.path("etc/vgpu").exists(), "wrong usage makes no database");
}

#[test]
fn help_has_an_example_for_every_command() {
    let root = ScratchRoot::new();
    let help = root.admin_ok(&["--help"]);
    let (_, groups) = help.split_once("\nVMs:\n").unwrap();
    let (groups, _) = groups.split_once("\nHelp:\n").unwrap();
    let commands: Vec<_> = groups.lines().filter(|line| line.starts_with("  ")).collect();
    assert!(commands.len() >= 20, "{help}");
    for command in commands.into_iter().map(|line| line.split_whitespace().next().unwrap()) {
        let help = root.admin_ok(&[command, "--help"]);
        assert!(help.contains(&format!("Example:\n  vgpu-admin {command}")), "{help}");
    }
    assert_golden("help.txt", &help);
    assert_eq!(root.admin_ok(&["--version"]), format!("vgpu-admin {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_fails_ends_with_1_and_says_what_to_do_next() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    for (arguments, said) in [
        (&["show-vm", "--vm-uuid", &uuid(9)][..], "is not registered: see 'vgpu-admin list-vms'"),
        (&["set-pool", "--vm-uuid", &uuid(9), "--pool=A"], "register it with 'vgpu-admin register-vm'"),
        (&["remove-vm", "--yes", "--vm-uuid", &uuid(9)], "is not registered"),
        (&["show-vm", "--vm-name=nobody"], "no registered VM is named 'nobody'"),
        (
            &["register-vm", "--vm-uuid", VM, "--pool=A", "--priority=low"],
            "already registered: change it with 'vgpu-admin update-vm'",
        ),
    ] {
        let complaint = root.admin_fails(arguments);
        assert!(complaint.starts_with("vgpu-admin: ") && complaint.contains(said), "{arguments:?}: {complaint}");
    }
}

#[test]
fn in_json_an_error_has_the_plugins_code_and_parameters() {
    let root = ScratchRoot::new();
    let complaint = root.admin_fails(&["show-vm", "--vm-uuid", &uuid(9), "--format=json"]);
    let complaint: serde_json::Value = serde_json::from_str(&complaint).unwrap();
    assert_eq!(complaint["error"]["code"], "VGPU_NOT_FOUND");
    assert!(complaint["error"]["message"].as_str().unwrap().contains(&uuid(9)));
}

#[test]
fn a_name_that_two_vms_share_is_no_name() {
    let root = ScratchRoot::new();
    root.register(&uuid(1), "web", "A", "high");
    root.register(&uuid(2), "web", "A", "high");
    let complaint = root.admin_fails(&["show-vm", "--vm-name=web"]);
    assert!(complaint.contains("2 registered VMs are named 'web'"), "{complaint}");
}

#[test]
fn without_xapi_it_works_on_the_database_alone_and_says_so() {
    let root = ScratchRoot::new();
    let register = ["register-vm", "--vm-uuid", VM, "--vm-name=web01", "--pool=A", "--priority=high"];
    let said = root.admin_ok(&register);
    assert!(said.contains("Note: XAPI cannot be reached") && said.contains("Only the database was changed"), "{said}");
    let shown = root.admin_json(&["show-vm", "--vm-uuid", VM]);
    assert_eq!((&shown["device_argument"], &shown["in_xapi"]), (&VM_ARGUMENT.into(), &false.into()));
    assert!(root.admin_ok(&["status"]).contains("1 change is not in XAPI yet: 'vgpu-admin sync' writes it"));
}

#[test]
fn removing_asks_on_a_terminal_and_wants_yes_without_one() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    let ran = root.admin(&["remove-vm", "--vm-uuid", VM]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("add --yes"), "{ran:?}");
    for answer in ["n", "", "yeah"] {
        let (seen, status) = answered(&root, answer, &["remove-vm", "--vm-uuid", VM]);
        assert_eq!(status, 1, "{seen}");
        assert!(seen.contains(&format!("Remove the vGPU settings of VM {VM} (web01)? [y/N]")), "{seen}");
        assert!(seen.contains("Nothing was removed."), "{seen}");
    }
    let (seen, status) = answered(&root, "y", &["remove-vm", "--vm-uuid", VM]);
    assert_eq!(status, 0, "{seen}");
    assert_eq!(root.admin_json(&["list-vms"]), serde_json::json!([]));
}

#[test]
fn a_reader_that_stops_reading_is_no_reason_to_panic() {
    let root = ScratchRoot::new();
    for number in 0..3 {
        root.register(&uuid(number), "vm", "A", "low");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = root.command("usr/bin/vgpu-admin").arg("list-vms").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(complaint.contains("cannot be written") && !complaint.contains("panic"), "{complaint}");
}

#[test]
fn a_reader_that_takes_its_time_keeps_nobody_from_changing_anything() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "low");
    // More than a pipe holds.
    let row = |number| format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{}', 'B', 1);", uuid(number));
    let rows: Vec<_> = (0..1000).map(row).collect();
    sql_ok(&root.database(), &format!("BEGIN; {} COMMIT", rows.concat()));
    let mut list = root.command("usr/bin/vgpu-admin");
    let mut list = list.args(["list-vms", "--format=json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut printed = vec![0];
    let mut reader = list.stdout.take().unwrap();
    reader.read_exact(&mut printed).unwrap();
    root.admin_ok(&["set-pool", "--vm-uuid", VM, "--pool=B"]);
    reader.read_to_end(&mut printed).unwrap();
    assert!(list.wait().unwrap().success());
    let printed: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(printed.as_array().unwrap().len(), 1001);
}

#[test]
fn a_reader_that_has_enough_ends_it_quietly() {
    let dom0 = three_vms();
    for arguments in [
        &["list-vms"][..],
        &["list-vms", "--format=json"],
        &["list-vms", "--format=csv"],
        &["check"],
        &["export"],
        &["history"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = dom0.root.command("usr/bin/vgpu-admin").args(arguments).stdout(writer).output().unwrap();
        // As a shell shows a tool that SIGPIPE ended.
        assert_eq!(output.status.code(), Some(128 + 13), "{arguments:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{arguments:?}");
    }
}

#[test]
fn control_characters_in_a_name_do_not_reach_the_terminal() {
    let root = ScratchRoot::new();
    let arguments = ["register-vm", "--vm-uuid", VM, "--vm-name=evil\u{1b}[2J", "--pool=A", "--priority=low"];
    let complaint = root.admin_fails(&arguments);
    assert!(
        complaint.contains("vm_name: 'evil\\u{1b}[2J' is not valid") && !complaint.contains('\u{1b}'),
        "{complaint}"
    );
    root.register(VM, "web01", "A", "low");
    sql_ok(&root.database(), "UPDATE vms SET vm_name = 'evil' || char(27) || '[2J'");
    assert!(!root.admin_ok(&["list-vms"]).contains('\u{1b}'));
    assert!(!root.admin_ok(&["show-vm", "--vm-uuid", VM]).contains('\u{1b}'));
}
