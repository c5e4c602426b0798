//! Two VMs never have one number, whoever gave it to them on which host.

use serde_json::json;
use vgpu_tests::{Dom0, shared_key, uuid};

#[test]
fn two_vms_that_got_one_number_on_two_hosts_end_with_two() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let number = dom0.shared(&vm).unwrap().vm_id.unwrap();
    let other = uuid(1);
    dom0.create_vm_with_uuid(&other, "other");
    dom0.set_pool_other_config(&shared_key(&other), Some(&format!("1 B 1 {number} 5 1790000000")));
    let reply = dom0.root.admin_json(&["sync"]);
    assert_eq!(reply["taken"], json!([other]));
    let number_of = |vm: &str| dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["vm_id"].as_u64().unwrap();
    assert_eq!(number_of(&vm), u64::from(number.get()), "the one that it is derived from keeps it");
    assert_ne!(number_of(&other), number_of(&vm));
    assert_eq!(dom0.shared(&other).unwrap().revision, 6, "a change of its own, for every host");
    assert_eq!(dom0.root.admin_json(&["sync"])["pushed"], json!([]));
}

#[test]
fn a_number_that_was_given_because_of_a_conflict_counts_less_than_what_somebody_does_elsewhere() {
    let dom0 = Dom0::new();
    let [first, second] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), "web");
        uuid(number)
    });
    dom0.root.admin_ok(&["register-vm", "--vm-uuid", &second, "--pool=A", "--priority=low", "--vm-id=7"]);
    let registered = dom0.shared(&second).unwrap();
    dom0.set_pool_other_config(&shared_key(&first), Some("1 B 1 7 1 1790000000"));
    dom0.root.admin_ok(&["sync"]);
    let renumbered = dom0.shared(&second).unwrap();
    assert_eq!((renumbered.revision, renumbered.vm_id == registered.vm_id), (2, false));
    // Another host has removed it in the same second as it was registered.
    dom0.set_pool_other_config(&shared_key(&second), Some(&format!("1 - - 7 2 {}", registered.changed_at)));
    dom0.root.admin_ok(&["sync"]);
    assert!(dom0.root.admin_fails(&["show-vm", "--vm-uuid", &second]).contains("is not registered"));
}

#[test]
fn what_was_pruned_elsewhere_keeps_no_number_from_the_living() {
    let (dom0, dead) = Dom0::with_registered_vm();
    let number = dom0.shared(&dead).unwrap().vm_id.unwrap();
    dom0.destroy(&dead).unwrap();
    dom0.set_pool_other_config(&shared_key(&dead), None);
    let living = dom0.create_vm("living");
    dom0.set_pool_other_config(&shared_key(&living), Some(&format!("1 B 1 {number} 1 1790000000")));
    dom0.root.admin_ok(&["sync"]);
    assert_eq!(dom0.shared(&living).unwrap().vm_id, Some(number));
    assert_eq!((dom0.shared(&living).unwrap().revision, dom0.shared(&dead)), (1, None));
    assert!(dom0.start(&living).unwrap().ends_with(&format!("vm_id={number}")));
}
