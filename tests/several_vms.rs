//! VMs as plain arguments, by name or UUID: one, several or those that standard input names; and dry runs.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use simulated_host::{Fault, Service};
use vgpu_tests::root::Ran;
use vgpu_tests::{Dom0, ResourcePool, ScratchRoot, uuid};

/// A host with three VMs, of which the first two are registered.
fn three_vms() -> Dom0 {
    let dom0 = Dom0::new();
    for (number, name) in [(1, "web01"), (2, "db 01"), (3, "new")] {
        dom0.create_vm_with_uuid(&uuid(number), name);
    }
    dom0.register(&uuid(1), "A", "low");
    dom0.register(&uuid(2), "A", "low");
    dom0
}

fn fed(root: &ScratchRoot, arguments: &[&str], input: &str) -> Ran {
    let mut command = root.command("usr/bin/vgpu-admin");
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// Everything that a dry run must not change: the settings in the database and in XAPI, and the history.
fn state(dom0: &Dom0) -> (Value, Vec<Option<String>>, Value) {
    let in_xapi = (1..=3).flat_map(|number| {
        let vm = uuid(number);
        [dom0.args_in_xapi(&vm), dom0.shared(&vm).map(|entry| format!("{entry:?}"))]
    });
    (dom0.root.admin_json(&["list-vms"]), in_xapi.collect(), dom0.root.admin_json(&["history"]))
}

fn settings(dom0: &Dom0) -> Vec<(String, String, String)> {
    let list = dom0.root.admin_json(&["list-vms"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let vm = |vm: &Value| (text(&vm["vm_name"]), text(&vm["pool"]), text(&vm["priority"]));
    list.as_array().unwrap().iter().map(vm).collect()
}

fn expect(dom0: &Dom0, vms: &[(&str, &str, &str)]) {
    let vm =
        |(name, pool, priority): &(&str, &str, &str)| ((*name).to_owned(), (*pool).to_owned(), (*priority).to_owned());
    assert_eq!(settings(dom0), vms.iter().map(vm).collect::<Vec<_>>());
}

#[test]
fn a_vm_is_a_plain_argument_by_its_name_or_uuid() {
    let dom0 = three_vms();
    let root = &dom0.root;
    root.admin_ok(&["set-priority", "web01", "high"]);
    root.admin_ok(&["set-pool", &uuid(2), "B"]);
    root.admin_ok(&["register-vm", "new", "--pool=B"]);
    expect(&dom0, &[("web01", "A", "high"), ("new", "B", "medium"), ("db 01", "B", "low")]);
    root.admin_ok(&["update-vm", "db 01", "--priority=high", "--vm-id=7"]);
    for vm in ["web01", &uuid(1), &uuid(1).to_uppercase()] {
        assert!(root.admin_ok(&["show-vm", vm]).contains("web01"));
        assert!(root.admin_ok(&["history", vm]).contains("web01"));
        assert!(root.admin_ok(&["check", vm]).contains("web01"));
        assert_eq!(
            root.admin_ok(&["apply", vm]),
            format!("VM {} is halted: it gets its settings at its next start.\n", uuid(1))
        );
    }
    // The options say the same.
    let by_option = |option: &str| root.admin_ok(&["show-vm", option]);
    assert_eq!(by_option("--vm-name=web01"), root.admin_ok(&["show-vm", "web01"]));
    root.admin_ok(&["set-priority", "--vm-name=web01", "low"]);
    root.admin_ok(&["set-priority", "web01", "--priority=1"]);
    root.admin_ok(&["remove-vm", "new", "--yes"]);
    expect(&dom0, &[("web01", "A", "medium"), ("db 01", "B", "high")]);
}

#[test]
fn several_vms_are_changed_together_and_answered_as_a_list() {
    let dom0 = three_vms();
    let root = &dom0.root;
    let said = root.admin_ok(&["set-pool", "db 01", &uuid(1), "web01", "B"]);
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("VM ")).collect();
    assert_eq!(lines.len(), 2, "in the order given, each once: {said}");
    assert!(lines[0].contains("(db 01) changed: GPU pool B") && lines[1].contains("(web01) changed"), "{said}");
    let shown = root.admin_json(&["show-vm", "web01", "db 01"]);
    assert_eq!((&shown[0]["vm_name"], &shown[1]["vm_name"]), (&json!("web01"), &json!("db 01")));
    let changed = root.admin_json(&["update-vm", "web01", "db 01", "--pool=A", "--priority=high"]);
    assert_eq!((&changed[0]["changed"], &changed[1]["from"]["pool"]), (&json!(true), &json!("B")));
    let removed = root.admin_json(&["remove-vm", "web01", "db 01", "--yes"]);
    assert_eq!(removed.as_array().unwrap().len(), 2);
    assert!((1..=2).all(|number| dom0.args_in_xapi(&uuid(number)).is_none()));
    root.admin_ok(&["register-vm", "web01", "new", "--pool=B", "--priority=low"]);
    expect(&dom0, &[("new", "B", "low"), ("web01", "B", "low")]);
}

#[test]
fn if_one_of_several_vms_cannot_be_changed_none_is() {
    let dom0 = three_vms();
    dom0.create_vm_with_uuid(&uuid(4), "web01 copy");
    dom0.set_args_in_xapi(&uuid(2), Some(&"x".repeat(2040)));
    let before = state(&dom0);
    let longer = "device-model-args would be";
    for (arguments, said) in [
        (&["set-pool", "web01", "new", "B"][..], "is not registered"),
        (&["set-pool", "web01", "nobody", "B"], "no registered VM is named 'nobody'"),
        (&["set-pool", "web01", "db 01", "B"], longer),
        (&["set-pool", "web01", "db 01", "B", "--dry-run"], longer),
        (&["register-vm", "new", "web01"], "is already registered"),
        (&["remove-vm", "web01", "new", "--yes"], "is not registered"),
        (&["update-vm", "web01", "db 01", "--vm-id=7"], "each has a number of its own"),
        (&["show-vm", "web01", "new"], "is not registered"),
    ] {
        let complaint = dom0.root.admin_fails(arguments);
        assert!(complaint.contains(said), "{arguments:?}: {complaint}");
        assert_eq!(state(&dom0), before, "{arguments:?}");
    }
}

#[test]
fn an_ambiguous_name_lists_the_candidates() {
    let dom0 = three_vms();
    for number in [4, 5] {
        dom0.create_vm_with_uuid(&uuid(number), "twin");
    }
    let complaint = dom0.root.admin_fails(&["register-vm", "new", "twin"]);
    for part in ["2 VMs are named 'twin'", &uuid(4), &uuid(5), "(halted)"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    expect(&dom0, &[("db 01", "A", "low"), ("web01", "A", "low")]);
}

#[test]
fn standard_input_names_the_vms_one_on_each_line() {
    let dom0 = three_vms();
    let ran = fed(&dom0.root, &["set-priority", "-", "high"], &format!("db 01\r\n\n{}\n", uuid(1)));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    expect(&dom0, &[("db 01", "A", "high"), ("web01", "A", "high")]);
    let ran = fed(&dom0.root, &["show-vm", "-", "--format=json"], "web01\n");
    let shown: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(shown[0]["vm_name"], "web01", "a list, also of one VM");
    for (arguments, input, code, said) in [
        (
            &["set-pool", "-", "B"][..],
            "\n",
            1,
            "standard input: '\\n' is not valid: expected the name or UUID of a VM on each line",
        ),
        (&["remove-vm", "-"], "web01\n", 2, "add --yes"),
    ] {
        let ran = fed(&dom0.root, arguments, input);
        assert!(ran.code == Some(code) && ran.stderr.contains(said), "{ran:?}");
    }
    expect(&dom0, &[("db 01", "A", "high"), ("web01", "A", "high")]);
    let ran = fed(&dom0.root, &["set-pool", "web01", "-", "B"], "  \ndb 01\n");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "also among others: {ran:?}");
    expect(&dom0, &[("db 01", "B", "high"), ("web01", "B", "high")]);
}

#[test]
fn what_is_true_of_all_vms_is_said_once() {
    let dom0 = three_vms();
    dom0.start(&uuid(1));
    let said = dom0.root.admin_ok(&["set-pool", "web01", "db 01", "B"]);
    let last = said.lines().last().unwrap();
    assert_eq!(last, "2 of 2 VMs changed. This takes effect when each is next started or rebooted.");
    assert_eq!(said.lines().count(), 3, "{said}");
    dom0.root.admin_ok(&["set-pool", "web01", "A"]);
    let said = dom0.root.admin_ok(&["set-pool", "web01", "db 01", "B", "--dry-run"]);
    assert!(said.contains("\n1 of 2 VMs would be changed. This would take effect when"), "{said}");
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let said = dom0.root.admin_ok(&["set-pool", "web01", "db 01", "A"]);
    assert_eq!((said.matches("Note: ").count(), said.matches("cannot be reached").count()), (3, 1), "{said}");
}

#[test]
fn several_vms_are_rebooted_one_after_the_other() {
    let dom0 = three_vms();
    for vm in [1, 2] {
        dom0.start(&uuid(vm));
    }
    dom0.root.admin_ok(&["set-pool", "web01", "db 01", "B"]);
    let reply = dom0.root.admin_json(&["apply", "web01", "db 01", "web01", "--yes"]);
    let rebooted: Vec<_> = reply["applied"].as_array().unwrap().iter().map(|vm| &vm["vm_name"]).collect();
    assert_eq!(rebooted, ["web01", "db 01"], "{reply}");
    let ran = fed(&dom0.root, &["apply", "-", "--dry-run"], "web01\ndb 01\n");
    assert_eq!((ran.code, ran.stdout.matches(" already has its settings.").count()), (Some(0), 2), "{ran:?}");
    let ran = dom0.root.admin(&["apply", "web01", "--pending"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("cannot be used with"), "{ran:?}");
}

#[test]
fn a_dry_run_says_what_would_change_and_writes_nothing() {
    let dom0 = three_vms();
    let before = state(&dom0);
    for (arguments, said) in [
        (&["set-pool", "web01", "B"][..], "would be changed: GPU pool A -> B, priority low, vm_id 803270565."),
        (&["set-pool", "web01", "A"], "would be unchanged: GPU pool A, priority low, vm_id 803270565."),
        (
            &["set-priority", "web01", "db 01", "high"],
            "(db 01) would be changed: GPU pool A, priority low -> high, vm_id",
        ),
        (&["update-vm", "web01", "--vm-id=7"], "vm_id 803270565 -> 7.\nThis would take effect at its next start.\n"),
        (&["register-vm", "new", "--pool=B"], "(new) would be registered: GPU pool B, priority medium, vm_id"),
        (&["remove-vm", "web01", "db 01"], "(web01) would be removed: GPU pool A, priority low, vm_id"),
    ] {
        let printed = dom0.root.admin_ok(&[arguments, &["--dry-run"]].concat());
        assert!(printed.contains(said), "{arguments:?}: {printed}");
        assert_eq!(state(&dom0), before, "{arguments:?}");
    }
    let reply = dom0.root.admin_json(&["set-pool", "web01", "B", "--dry-run"]);
    assert_eq!(
        (&reply["dry_run"], &reply["vm"]["pool"], &reply["xapi"]),
        (&json!(true), &json!("B"), &json!("written"))
    );
    assert_eq!(reply["from"]["pool"], "A");
}

#[test]
fn without_xapi_a_dry_run_says_that_only_the_database_would_change() {
    let root = ScratchRoot::new();
    root.register(&uuid(1), "web01", "A", "low");
    let said = root.admin_ok(&["set-pool", "web01", "B", "--dry-run"]);
    assert!(said.contains("Only the database would be changed"), "{said}");
    assert_eq!(root.admin_json(&["show-vm", "web01"])["pool"], "A");
}

#[test]
fn the_plugin_and_another_host_take_a_list_of_vms_too() {
    let pool = ResourcePool::new(2);
    for number in [1, 2] {
        pool.on(0).create_vm_with_uuid(&uuid(number), &format!("web0{number}"));
    }
    let here = pool.on(0);
    let reply = here.plugin("register_vm", &[("vms", &format!("web01\n{}", uuid(2))), ("pool", "B")]);
    assert_eq!((&reply[0]["vm"]["pool"], &reply[1]["vm"]["vm_name"]), (&json!("B"), &json!("web02")));
    let reply = here.plugin("set_pool", &[("vms", "web01"), ("pool", "A"), ("dry_run", "true")]);
    assert_eq!((&reply[0]["dry_run"], &reply[0]["vm"]["pool"]), (&json!(true), &json!("A")));
    let reply = here.plugin("show_vm", &[("vm_name", "web01")]);
    assert_eq!(reply["pool"], "B", "one VM is answered with an object, as ever");
    let there = format!("--host={}", pool.on(1).host_uuid());
    let said = here.root.admin_ok(&[&there, "set-priority", "web01", "web02", "low"]);
    assert_eq!(said.matches("changed: GPU pool B, priority low").count(), 2, "{said}");
}
