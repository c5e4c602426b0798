//! VMs by their names: a name means the VM that XAPI calls so now.

use simulated_host::{Fault, Identity, Service};
use vgpu_tests::{Dom0, ResourcePool, uuid};

/// A host on which the registered `web01` was renamed to `web-old`, and another registered VM has got its name.
fn renamed() -> Dom0 {
    let dom0 = Dom0::new();
    for (number, name) in [(1, "web01"), (2, "fresh")] {
        dom0.create_vm_with_uuid(&uuid(number), name);
        dom0.register(&uuid(number), "A", "high");
    }
    dom0.rename(&uuid(1), "web-old").unwrap();
    dom0.rename(&uuid(2), "web01").unwrap();
    dom0
}

/// The name that the database has.
fn stored_name(dom0: &Dom0, vm: &str) -> String {
    dom0.sql(&format!("SELECT vm_name FROM vms WHERE vm_uuid = '{vm}'")).trim().to_owned()
}

fn pool_of(dom0: &Dom0, vm: &str) -> String {
    dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["pool"].as_str().unwrap().to_owned()
}

#[test]
fn a_change_reaches_the_vm_that_has_the_name_now() {
    let dom0 = renamed();
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-name=web01"])["vm_uuid"], uuid(2));
    dom0.root.admin_ok(&["set-pool", "--vm-name=web01", "--pool=B"]);
    dom0.plugin("set_priority", &[("vm_name", "web-old"), ("priority", "low")]);
    assert_eq!((pool_of(&dom0, &uuid(1)), pool_of(&dom0, &uuid(2))), ("A".to_owned(), "B".to_owned()));
    assert!(dom0.args_in_xapi(&uuid(1)).unwrap().contains("pool_id=A,priority=low"));
    assert!(dom0.args_in_xapi(&uuid(2)).unwrap().contains("pool_id=B,priority=high"));
    let history = dom0.root.admin_json(&["history", "--vm-name=web-old"]);
    assert!(history.as_array().unwrap().iter().all(|entry| entry["vm_uuid"] == uuid(1)), "{history}");
    dom0.root.admin_ok(&["remove-vm", "--vm-name=web01", "--yes"]);
    assert_eq!(dom0.args_in_xapi(&uuid(2)), None);
}

#[test]
fn apply_reboots_the_vm_that_has_the_name_now() {
    let dom0 = renamed();
    for vm in [uuid(1), uuid(2)] {
        dom0.start(&vm);
        dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    }
    // As they were noted at registration.
    dom0.sql(&format!("UPDATE vms SET vm_name = 'web01' WHERE vm_uuid = '{}'", uuid(1)));
    dom0.sql(&format!("UPDATE vms SET vm_name = 'fresh' WHERE vm_uuid = '{}'", uuid(2)));
    let reply = dom0.root.admin_json(&["apply", "--vm-name=web01", "--yes"]);
    let rebooted: Vec<_> = reply["applied"].as_array().unwrap().iter().map(|vm| vm["vm_uuid"].clone()).collect();
    assert_eq!(rebooted, [uuid(2)]);
}

#[test]
fn a_name_that_only_the_database_remembers_says_what_the_vm_is_named_now() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(&uuid(1), "web01");
    dom0.register(&uuid(1), "A", "high");
    dom0.rename(&uuid(1), "web-old").unwrap();
    let complaint = dom0.root.admin_fails(&["set-pool", "--vm-name=web01", "--pool=B"]);
    assert!(complaint.contains(&format!("VM {} was named 'web01' and is now named 'web-old'", uuid(1))), "{complaint}");
    assert_eq!(pool_of(&dom0, &uuid(1)), "A");
    // One that XAPI does not know has no other name.
    let yet_to_come = format!("--vm-uuid={}", uuid(2));
    dom0.root.admin_ok(&["register-vm", &yet_to_come, "--vm-name=new", "--pool=A", "--priority=low", "--force"]);
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-name=new"])["vm_uuid"], uuid(2));
}

#[test]
fn a_registered_vm_is_meant_before_others_of_its_name_and_snapshots_never_are() {
    let dom0 = Dom0::new();
    for number in 1..=2 {
        dom0.create_vm_with_uuid(&uuid(number), "web01");
    }
    dom0.register(&uuid(1), "A", "high");
    let snapshot = dom0.snapshot(&uuid(1), "web01").unwrap();
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-name=web01"])["vm_uuid"], uuid(1));
    dom0.register(&uuid(2), "A", "high");
    dom0.start(&uuid(2));
    let complaint = dom0.root.admin_fails(&["set-pool", "--vm-name=web01", "--pool=B"]);
    for said in [
        "2 registered VMs are named 'web01': use the UUID of one of them".to_owned(),
        format!("{} (halted)", uuid(1)),
        format!("{} (running on xcp-ng-1)", uuid(2)),
    ] {
        assert!(complaint.contains(&said), "{complaint}");
    }
    assert!(!complaint.contains(&snapshot), "{complaint}");
}

#[test]
fn a_vm_that_is_not_registered_is_told_by_its_uuid() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(&uuid(1), "web01");
    let complaint = dom0.root.admin_fails(&["show-vm", "--vm-name=web01"]);
    assert!(complaint.contains(&format!("VM {} is not registered", uuid(1))), "{complaint}");
}

#[test]
fn a_vm_registered_on_one_host_is_found_by_its_name_on_another() {
    let pool = ResourcePool::new(2);
    for number in 1..=2 {
        pool.host(0).create_vm_with_uuid(&uuid(number), "web01");
    }
    pool.on(0).register(&uuid(2), "A", "high");
    pool.on(1).root.admin_ok(&["set-pool", "--vm-name=web01", "--pool=B"]);
    assert!(pool.host(0).platform(&uuid(2))["device-model-args"].contains("pool_id=B"));
}

#[test]
fn without_xapi_the_stored_name_counts_and_that_is_said() {
    let dom0 = renamed();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let shown = dom0.root.admin_json(&["show-vm", "--vm-name=web01"]);
    assert_eq!(shown["vm_uuid"], uuid(1), "its name when XAPI was last asked");
    let note = format!("VM {} was named 'web01' when XAPI was last asked.", uuid(1));
    assert!(shown["notes"][0].as_str().unwrap().ends_with(&note), "{shown}");
    let said = dom0.root.admin_ok(&["set-pool", "--vm-name=web01", "--pool=B"]);
    assert!(said.contains(&note), "{said}");
    let said = dom0.root.admin_ok(&["remove-vm", "--vm-name=web01", "--yes"]);
    assert!(said.contains(&note), "{said}");
}

#[test]
fn whoever_sees_a_vms_record_notes_its_name_and_the_history_does_not_take_that_for_a_change() {
    type Sees = fn(&Dom0, &str);
    let all: [(&str, Sees); 4] = [
        ("a change", |dom0, vm| drop(dom0.root.admin_ok(&["set-pool", "--vm-uuid", vm, "--pool=A"]))),
        ("sync", |dom0, _| drop(dom0.root.admin_ok(&["sync"]))),
        ("adopt", |dom0, _| drop(dom0.root.admin_ok(&["adopt"]))),
        ("a start that is repaired", |dom0, vm| {
            dom0.set_args_in_xapi(vm, None);
            dom0.start(vm);
        }),
    ];
    for (who, sees) in all {
        let (dom0, vm) = Dom0::with_registered_vm();
        let history = dom0.root.admin_ok(&["history"]);
        let row = dom0.sql("SELECT updated_at, revision FROM vms JOIN vm_state USING (vm_uuid)");
        dom0.rename(&vm, "web-new").unwrap();
        sees(&dom0, &vm);
        assert_eq!(stored_name(&dom0, &vm), "web-new", "{who}");
        assert_eq!(dom0.root.admin_ok(&["history"]), history, "{who}");
        assert_eq!(dom0.sql("SELECT updated_at, revision FROM vms JOIN vm_state USING (vm_uuid)"), row, "{who}");
    }
}

#[test]
fn a_vm_is_registered_by_its_name_alone_with_the_defaults_of_the_settings_file() {
    let dom0 = Dom0::new();
    for (number, name) in [(1, "web01"), (2, "db01"), (3, "render")] {
        dom0.create_vm_with_uuid(&uuid(number), name);
    }
    let said = dom0.root.admin_ok(&["register-vm", "--vm-name=web01"]);
    assert!(said.starts_with(&format!("VM {} (web01) registered: GPU pool A, priority medium", uuid(1))), "{said}");
    dom0.root.settings("[defaults]\npool = \"B\"\npriority = \"low\"\n");
    let vm = &dom0.plugin("register_vm", &[("vm_name", "db01")])["vm"];
    assert_eq!((&vm["vm_uuid"], &vm["pool"], &vm["priority"]), (&uuid(2).into(), &"B".into(), &"low".into()));
    let vm = &dom0.root.admin_json(&["register-vm", "--vm-uuid", &uuid(3), "--priority=high"])["vm"];
    assert_eq!((&vm["vm_name"], &vm["pool"], &vm["priority"]), (&"render".into(), &"B".into(), &"high".into()));
}

#[test]
fn a_name_that_does_not_tell_one_vm_registers_none_and_lists_those_that_have_it() {
    let dom0 = Dom0::new();
    for number in 1..=2 {
        dom0.create_vm_with_uuid(&uuid(number), "web01");
    }
    let _ = dom0.snapshot(&uuid(1), "backup").unwrap();
    dom0.start(&uuid(2));
    let complaint = dom0.root.admin_fails(&["register-vm", "--vm-name=web01"]);
    for said in [
        "2 VMs are named 'web01'".to_owned(),
        format!("{} (halted)", uuid(1)),
        format!("{} (running on xcp-ng-1)", uuid(2)),
    ] {
        assert!(complaint.contains(&said), "{complaint}");
    }
    for nobody in ["nobody", "backup"] {
        let complaint = dom0.root.admin_fails(&["register-vm", "--vm-name", nobody]);
        assert!(complaint.contains(&format!("XAPI knows no VM named '{nobody}'")), "{complaint}");
    }
    assert_eq!(dom0.root.admin_json(&["list-vms"]), serde_json::json!([]));
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let complaint = dom0.root.admin_fails(&["register-vm", "--vm-name=web01"]);
    assert!(complaint.contains("XAPI cannot be reached"), "{complaint}");
}

#[test]
fn beside_a_uuid_the_name_that_xapi_has_is_kept() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(&uuid(1), "web01");
    let reply = dom0.plugin("register_vm", &[("vm_uuid", &uuid(1)), ("vm_name", "mine")]);
    assert_eq!(reply["vm"]["vm_name"], "web01");
    assert_eq!(reply["notes"][0], "The name in XAPI is 'web01', so 'mine' was not used.");
}

/// A terminal's colour and its clear-screen, a line end, a tab, a direction override, and what has no width.
const EVIL: &str = "evil\u{1b}[31m\u{9b}2J\nvgpu-admin: all is well\t\u{202e}\u{200b}\u{feff}";

/// What people read must not hold any of it, nor a line that the name has begun.
fn assert_harmless(what: &str, text: &str) {
    let harmful = |character: char| {
        (character.is_control() && character != '\n') || "\u{202e}\u{200b}\u{feff}".contains(character)
    };
    assert!(text.contains("evil"), "{what} does not show the name: {text:?}");
    assert!(!text.contains(harmful) && !text.contains("\nvgpu-admin: all"), "{what}: {text:?}");
}

#[test]
fn a_name_cannot_say_anything_to_the_terminal_or_begin_a_line() {
    let dom0 = Dom0::with_identity(Identity { name: EVIL.to_owned(), ..Identity::default() });
    let (vm, twin) = (dom0.create_vm(EVIL), dom0.create_vm(EVIL));
    dom0.register(&vm, "A", "low");
    dom0.start(&vm);
    let said = |arguments: &[&str]| {
        let ran = dom0.root.admin(arguments);
        format!("{}{}", ran.stdout, ran.stderr)
    };
    dom0.register(&twin, "A", "low");
    for (what, arguments) in [
        ("a table", &["list-vms"][..]),
        ("a list of all VMs", &["scan-vms"]),
        ("a VM", &["show-vm", "--vm-uuid", &vm]),
        ("a change", &["set-priority", "--vm-uuid", &vm, "--priority=high"]),
        ("an error about several VMs", &["show-vm", "--vm-name", EVIL]),
        ("an error about a host", &["--host=nosuch", "status"]),
        ("what other hosts are like", &["check", "--all-hosts"]),
        ("JSON", &["list-vms", "--format=json"]),
        ("an error as JSON", &["show-vm", "--vm-name", EVIL, "--format=json"]),
        ("what apply would do", &["apply", "--pending", "--dry-run"]),
        ("what apply does", &["apply", "--pending", "--yes"]),
    ] {
        assert_harmless(what, &said(arguments));
    }
    assert_harmless("the hook by hand", &dom0.root.hook(&vm).stdout);
}

#[test]
fn a_name_cannot_say_anything_through_the_plugin_or_the_log() {
    let dom0 = Dom0::new();
    for _ in 0..2 {
        let _ = dom0.create_vm(EVIL);
    }
    let error = dom0.call_plugin("vgpu", "register_vm", &[("vm_name", EVIL)]).unwrap_err();
    assert_harmless("the plugin's error", &error.params.join("\n"));
    let logged =
        dom0.syslog_lines().into_iter().find(|line| line.contains("evil")).expect("the plugin logs its errors");
    assert_harmless("the plugin's log", &logged);
    let vm = dom0.create_vm(EVIL);
    let registered = dom0.plugin("register_vm", &[("vm_uuid", &vm)]);
    assert_eq!(registered["vm"]["vm_name"], EVIL, "programs get the name as it is");
}
