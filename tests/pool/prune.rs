//! `prune`: what XAPI carries of VMs that it does not know any more is forgotten.

use std::thread;
use std::time::Duration;

use serde_json::json;
use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, shared_key, uuid};

#[test]
fn prune_forgets_the_settings_and_removals_of_vms_that_xapi_does_not_know_any_more() {
    let (dom0, kept) = Dom0::with_registered_vm();
    let [gone, removed] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), "gone");
        dom0.register(&uuid(number), "A", "low");
        uuid(number)
    });
    dom0.plugin("remove_vm", &[("vm_uuid", &removed)]);
    dom0.destroy(&gone).unwrap();
    dom0.destroy(&removed).unwrap();
    let before = (dom0.sql(".dump"), dom0.pool_other_config());
    let planned = dom0.plugin("prune", &[("dry_run", "true")]);
    assert_eq!(planned["pruned"], json!([gone, removed]));
    assert_eq!((dom0.sql(".dump"), dom0.pool_other_config()), before);
    assert_eq!(dom0.root.admin(&["prune"]).code, Some(2), "it asks first");
    dom0.root.admin_ok(&["prune", "--yes"]);
    assert_eq!((dom0.shared(&gone), dom0.shared(&removed)), (None, None));
    assert_eq!(dom0.sql("SELECT count(*) FROM vm_state").trim(), "1");
    assert!(dom0.shared(&kept).is_some());
    assert!(dom0.root.admin_ok(&["prune", "--dry-run"]).contains("XAPI knows every VM"));
}

#[test]
fn check_suggests_prune_where_xapi_carries_many_vms_that_are_gone() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let line = dom0.pool_other_config()[&shared_key(&vm)].clone();
    let said = |number: u32| {
        dom0.set_pool_other_config(&shared_key(&uuid(number)), Some(&line));
        let said = dom0.root.admin_ok(&["check"]);
        said.lines().find(|line| line.contains("shared copy")).unwrap().to_owned()
    };
    (1..99).for_each(|number| dom0.set_pool_other_config(&shared_key(&uuid(number)), Some(&line)));
    assert!(!said(99).contains("prune"));
    let hint = said(100);
    assert!(
        hint.contains("settings of 100 VMs that XAPI does not know") && hint.contains("vgpu-admin prune --dry-run"),
        "{hint}"
    );
}

#[test]
fn a_vm_that_is_registered_while_prune_looks_is_not_forgotten() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let line = dom0.pool_other_config()[&shared_key(&vm)].clone();
    for method in ["pool.get_other_config", "VM.get_all_records"] {
        dom0.set_fault_in(Service::Xapi, method, Fault::Slow(Duration::from_millis(800))).unwrap();
        let new = uuid(u32::try_from(method.len()).unwrap());
        thread::scope(|scope| {
            let prune = scope.spawn(|| dom0.root.admin_ok(&["prune", "--yes"]));
            thread::sleep(Duration::from_millis(400));
            dom0.create_vm_with_uuid(&new, "new");
            dom0.set_pool_other_config(&shared_key(&new), Some(&line));
            prune.join().unwrap();
        });
        dom0.clear_faults().unwrap();
        assert!(dom0.shared(&new).is_some(), "while {method} is asked");
    }
}
