//! `scan-vms`: every VM of the resource pool.

use serde_json::json;
use vgpu_tests::{Dom0, shared_key};

#[test]
fn a_scan_shows_every_vm_by_gpu_pool_with_its_state_and_its_host() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let stranger = dom0.create_vm("stranger");
    let elsewhere = dom0.create_vm("elsewhere");
    dom0.set_pool_other_config(&shared_key(&elsewhere), Some("1 B 1 77 5 1790000000"));
    dom0.snapshot(&vm, "no VM").unwrap();
    dom0.start(&vm);
    let scanned = dom0.plugin("scan_vms", &[]);
    let of = |field: &str| scanned.as_array().unwrap().iter().map(|vm| vm[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("vm_uuid"), [vm.as_str(), &elsewhere, &stranger]);
    assert_eq!(of("pool"), json!(["A", "B", null]).as_array().unwrap().clone());
    assert_eq!(of("power_state"), ["Running", "Halted", "Halted"]);
    assert_eq!(of("host_uuid")[..2], [dom0.host_uuid().into(), serde_json::Value::Null]);
    let table = dom0.root.admin_ok(&["scan-vms"]);
    assert!(table.starts_with("POOL  PRIORITY  STATE") && table.contains("-     -         halted"), "{table}");
}
