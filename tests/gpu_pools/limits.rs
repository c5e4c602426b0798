//! A limit: who may have more VMs than a GPU pool may have, and what is said to the others.

use super::*;

/// A host with a limit of so many VMs in A, and so many VMs in it: `vm1`, `vm2`, …
fn limited(max: u32, vms: u32) -> Dom0 {
    let dom0 = Dom0::new();
    for number in 1..=vms {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), "A", "medium");
    }
    dom0.root.admin_ok(&["set-gpu-pool", "A", &format!("--max-vms={max}")]);
    dom0
}

const FULL: &str =
    "GPU pool A is full (VMs: 2 of 2), and would get 1 more: move or remove VMs, delete those that XAPI does not know";

#[test]
fn a_registration_or_a_move_beyond_the_limit_is_refused_with_the_numbers() {
    let dom0 = limited(2, 2);
    dom0.create_vm_with_uuid(&uuid(3), "vm3");
    let refused = dom0.root.admin_fails(&["register-vm", "vm3", "--pool=A"]);
    assert!(refused.contains(FULL), "{refused}");
    dom0.root.admin_ok(&["register-vm", "vm3", "--pool=B"]);
    for refused in
        [&["set-pool", "vm3", "A"][..], &["update-vm", "vm3", "--pool=A"], &["set-pool", "vm3", "A", "--dry-run"]]
    {
        let refused = dom0.root.admin_fails(refused);
        assert!(refused.contains(FULL), "{refused}");
    }
    let error = dom0.call_plugin("vgpu", "set_pool", &[("vm_uuid", &uuid(3)), ("pool", "A")]).unwrap_err().to_string();
    assert!(error.contains("VGPU_POOL_FULL") && error.contains(FULL), "{error}");
    assert_eq!(dom0.shared(&uuid(3)).unwrap().settings.unwrap().pool.as_str(), "B");
    dom0.root.admin_ok(&["set-priority", "vm1", "vm2", "low"]);
    dom0.root.admin_ok(&["set-pool", "vm1", "B"]);
    dom0.root.admin_ok(&["set-pool", "vm3", "A"]);
}

#[test]
fn several_vms_fit_together_or_none_of_them_is_registered() {
    let dom0 = limited(3, 2);
    for number in 3..=4 {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
    }
    let refused = dom0.root.admin_fails(&["register-vm", "vm3", "vm4"]);
    assert!(refused.contains("GPU pool A is full (VMs: 2 of 3), and would get 2 more"), "{refused}");
    assert_eq!(dom0.root.admin_json(&["list-vms"]).as_array().unwrap().len(), 2);
}

#[test]
fn root_may_force_it_and_others_may_not() {
    let dom0 = limited(1, 1);
    for (number, name) in [(2, "vm2"), (3, "vm3"), (4, "vm4")] {
        dom0.create_vm_with_uuid(&uuid(number), name);
    }
    dom0.root.admin_ok(&["register-vm", "vm2", "--force"]);
    let arguments = [("vm_uuid", uuid(3)), ("pool", "A".to_owned()), ("force", "true".to_owned())];
    let arguments: Vec<_> = arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let session = dom0.open_session(Role::PoolOperator);
    let error = dom0.call_plugin_in(&session, "vgpu", "register_vm", &arguments).unwrap_err().to_string();
    assert!(error.contains("VGPU_POOL_FULL"), "{error}");
    dom0.plugin("register_vm", &arguments);
    dom0.root.admin_ok(&["register-vm", "vm4", "--pool=B"]);
    dom0.root.admin_ok(&["set-pool", "vm4", "A", "--force"]);
    let shown = dom0.plugin("show_pool", &[("pool", "A")]);
    assert_eq!((&shown["vms"], &shown["free"]), (&json!(4), &json!(0)));
}

#[test]
fn a_limit_below_what_is_there_is_allowed_and_said() {
    let dom0 = limited(5, 3);
    let said = dom0.root.admin_ok(&["set-gpu-pool", "A", "--max-vms=2"]);
    assert!(said.contains("Note: GPU pool A has 3 VMs, which is more than 2: they stay"), "{said}");
    let shown = dom0.root.admin_ok(&["show-pool", "A"]);
    assert!(shown.contains("at most 2 VMs, 0 free") && shown.contains("which is more than 2"), "{shown}");
    dom0.root.admin_ok(&["set-priority", "vm1", "high"]);
    dom0.root.admin_ok(&["remove-vm", "vm1", "--yes"]);
}

#[test]
fn a_vm_that_is_registered_at_its_start_does_not_exceed_the_limit_and_starts() {
    let dom0 = limited(1, 1);
    dom0.root.settings("unregistered = \"default\"\n");
    dom0.create_vm_with_uuid(&uuid(2), "vm2");
    assert_eq!(dom0.start(&uuid(2)), None);
    assert_eq!(dom0.root.admin_json(&["list-vms"]).as_array().unwrap().len(), 1);
    let log = dom0.syslog_lines().join("\n");
    assert!(log.contains("the VM is not registered: GPU pool A is full (VMs: 1 of 1)"), "{log}");
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--max-vms=2"]);
    dom0.shutdown(&uuid(2)).unwrap();
    assert!(dom0.start(&uuid(2)).unwrap().contains("pool_id=A"));
}

#[test]
fn a_clone_for_which_there_is_no_room_does_not_get_its_origins_vgpu() {
    let dom0 = limited(1, 1);
    dom0.root.settings("unregistered = \"inherit\"\n");
    dom0.clone_vm_with_uuid(&uuid(1), "copy", &uuid(2)).unwrap();
    assert_eq!(dom0.start(&uuid(2)), None);
}

#[test]
fn adopt_leaves_a_vm_alone_for_which_there_is_no_room() {
    let dom0 = limited(1, 1);
    dom0.create_vm_with_uuid(&uuid(2), "vm2");
    dom0.set_args_in_xapi(&uuid(2), Some("-device vgpu-stub,pool_id=A,priority=low,vm_id=7"));
    let reply = dom0.root.admin_json(&["adopt"]);
    assert_eq!((&reply["adopted"], &reply["failed"]), (&json!([]), &json!([])));
    assert!(reply["left_alone"][0]["why"].as_str().unwrap().contains("GPU pool A is full (VMs: 1 of 1)"), "{reply}");
}

#[test]
fn an_edit_by_hand_may_exceed_the_limit() {
    let dom0 = limited(1, 1);
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{}', 'A', 2)", uuid(2)));
    let shown = dom0.plugin("show_pool", &[("pool", "A")]);
    assert_eq!((&shown["vms"], &shown["max_vms"]), (&json!(2), &json!(1)));
}
