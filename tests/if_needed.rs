//! `register-vm --if-needed`, for programs that describe how things should be and run again and again.

use serde_json::{Value, json};
use vgpu_tests::{Dom0, ResourcePool, uuid};

/// A host with three VMs, of which the first is registered in GPU pool B at high priority.
fn three_vms() -> Dom0 {
    let dom0 = Dom0::new();
    for (number, name) in [(1, "web01"), (2, "web02"), (3, "db01")] {
        dom0.create_vm_with_uuid(&uuid(number), name);
    }
    dom0.register(&uuid(1), "B", "high");
    dom0
}

/// Whether a VM's settings have changed, and what they are.
fn outcome(reply: &Value) -> (bool, &str, &str) {
    let text = |field: &str| reply["vm"][field].as_str().unwrap();
    (reply["changed"].as_bool().unwrap(), text("pool"), text("priority"))
}

/// Everything that must stay as it is if nothing has to be changed.
fn state(dom0: &Dom0) -> (Value, Value, Option<String>, Value) {
    let root = &dom0.root;
    let shared = serde_json::to_value(dom0.pool_other_config()).unwrap();
    (root.admin_json(&["show-vm", "web01"]), root.admin_json(&["history"]), dom0.args_in_xapi(&uuid(1)), shared)
}

#[test]
fn a_vm_that_is_not_registered_is_registered_and_the_second_time_nothing_changes() {
    let dom0 = three_vms();
    let again = ["register-vm", "db01", "--pool=A", "--priority=low", "--if-needed"];
    let first = dom0.root.admin_json(&again);
    assert_eq!((outcome(&first), first.get("from")), ((true, "A", "low"), None));
    assert_eq!(outcome(&dom0.root.admin_json(&again)), (false, "A", "low"));
    assert_eq!(
        dom0.root.admin_ok(&again),
        format!("VM {} (db01) unchanged: GPU pool A, priority low, vm_id 132201665.\n", uuid(3))
    );
    // What is left out has the default for a new VM.
    assert_eq!(outcome(&dom0.root.admin_json(&["register-vm", "web02", "--if-needed"])), (true, "A", "medium"));
}

#[test]
fn of_a_registered_vm_only_what_is_given_changes() {
    let dom0 = three_vms();
    let before = state(&dom0);
    for arguments in [&[][..], &["--pool=B"], &["--priority=high"], &["--pool=B", "--priority=high"]] {
        let arguments = [&["register-vm", "web01", "--if-needed"], arguments].concat();
        assert_eq!(outcome(&dom0.root.admin_json(&arguments)), (false, "B", "high"), "{arguments:?}");
        assert_eq!(state(&dom0), before, "{arguments:?}");
    }
    let changed = dom0.root.admin_ok(&["register-vm", "web01", "--if-needed", "--priority=low"]);
    assert!(changed.starts_with(&format!("VM {} (web01) changed: GPU pool B, priority low, ", uuid(1))), "{changed}");
    let changed = dom0.root.admin_json(&["register-vm", "web01", "--if-needed", "--pool=A", "--vm-id=7"]);
    assert_eq!((outcome(&changed), &changed["from"]["pool"]), ((true, "A", "low"), &json!("B")));
    assert_eq!(dom0.argument(&uuid(1)).unwrap(), "-device vgpu-stub,pool_id=A,priority=low,vm_id=7");
    assert_eq!(dom0.args_in_xapi(&uuid(1)), dom0.argument(&uuid(1)), "XAPI has it at once");
}

#[test]
fn several_vms_are_registered_changed_and_left_as_they_are_in_one_transaction() {
    let dom0 = three_vms();
    dom0.register(&uuid(2), "A", "high");
    let arguments = ["register-vm", "web01", "web02", "db01", "--pool=B", "--if-needed"];
    let replies = dom0.root.admin_json(&arguments);
    let outcomes: Vec<_> = replies.as_array().unwrap().iter().map(outcome).collect();
    assert_eq!(outcomes, [(false, "B", "high"), (true, "B", "high"), (true, "B", "medium")]);
    let replies = dom0.root.admin_json(&arguments);
    assert!(replies.as_array().unwrap().iter().all(|reply| reply["changed"] == false), "{replies}");
    // All of them or none: one is not known.
    let before = state(&dom0);
    let complaint = dom0.root.admin_fails(&["register-vm", "web01", &uuid(9), "--pool=A", "--if-needed"]);
    assert!(complaint.contains(&format!("XAPI does not know VM {}", uuid(9))), "{complaint}");
    assert_eq!(state(&dom0), before);
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let dom0 = three_vms();
    let before = state(&dom0);
    let said = dom0.root.admin_ok(&["register-vm", "web01", "db01", "--pool=A", "--if-needed", "--dry-run"]);
    assert!(said.contains("(web01) would be changed: GPU pool B -> A, priority high, vm_id"), "{said}");
    assert!(said.contains("(db01) would be registered: GPU pool A, priority medium, vm_id"), "{said}");
    let said = dom0.root.admin_ok(&["register-vm", "web01", "--pool=B", "--if-needed", "--dry-run"]);
    assert!(said.contains("(web01) would be unchanged: GPU pool B, priority high, vm_id"), "{said}");
    assert_eq!(state(&dom0), before);
}

#[test]
fn a_change_is_refused_as_ever_and_without_the_option_a_registered_vm_is_too() {
    let dom0 = three_vms();
    dom0.register(&uuid(2), "A", "low");
    let before = state(&dom0);
    let taken = dom0.root.admin_json(&["show-vm", "web02"])["vm_id"].to_string();
    for (arguments, said) in [
        (&["register-vm", "web01", "--pool=A"][..], "is already registered: change it with 'vgpu-admin update-vm'"),
        (&["register-vm", "web01", "--if-needed", "--vm-id", &taken], "belongs to VM 00000002-"),
        (&["register-vm", "nobody", "--if-needed"], "XAPI knows no VM named 'nobody'"),
    ] {
        let complaint = dom0.root.admin_fails(arguments);
        assert!(complaint.contains(said), "{arguments:?}: {complaint}");
        assert_eq!(state(&dom0), before, "{arguments:?}");
    }
}

#[test]
fn a_vm_that_was_removed_is_registered_again_and_one_that_xapi_does_not_know_is_changed() {
    let dom0 = three_vms();
    dom0.root.admin_ok(&["remove-vm", "web01", "--yes"]);
    assert_eq!(outcome(&dom0.root.admin_json(&["register-vm", "web01", "--if-needed"])), (true, "A", "medium"));
    let later = ["register-vm", "--vm-uuid", &uuid(9), "--force"];
    let _ = dom0.root.admin_json(&later);
    let changed = dom0.root.admin_json(&["register-vm", &uuid(9), "--if-needed", "--pool=B"]);
    assert_eq!((outcome(&changed), &changed["xapi"]), ((true, "B", "medium"), &json!("unknown_vm")));
}

#[test]
fn a_host_that_lacks_the_registration_knows_it_from_the_others() {
    let pool = ResourcePool::new(2);
    pool.on(0).create_vm_with_uuid(&uuid(1), "web01");
    pool.on(0).register(&uuid(1), "B", "high");
    let arguments = [("vm_uuid", uuid(1)), ("pool", "B".to_owned()), ("if_needed", "true".to_owned())];
    let arguments: Vec<_> = arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let reply = pool.on(1).plugin("register_vm", &arguments);
    assert_eq!(outcome(&reply), (false, "B", "high"));
}
