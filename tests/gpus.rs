//! Physical GPUs: what `scan-gpus` shows, and what `check` warns of.

use serde_json::{Value, json};
use simulated_host::{Fault, Role, Service};
use vgpu_tests::root::Ran;
use vgpu_tests::{Dom0, ResourcePool};

#[path = "gpus/check.rs"]
mod check;

const ADDRESS: &str = "0000:81:00.0";
const OTHER: &str = "0000:82:00.0";

/// Two hosts with a GPU each; the first also has one that shows its console.
fn two_hosts() -> ResourcePool {
    let pool = ResourcePool::new(2);
    pool.host(0).add_gpu("0000:03:00.0", "Matrox Electronics Systems Ltd.", "MGA G200e");
    pool.host(0).set_system_display("0000:03:00.0").unwrap();
    pool.host(0).add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    pool.host(1).add_gpu(OTHER, "Advanced Micro Devices, Inc. [AMD/ATI]", "Navi 31");
    pool
}

/// Assigns a GPU by hand, in the database.
fn assign(root: &vgpu_tests::ScratchRoot, host_uuid: &str, address: &str, gpu_pool: &str) {
    let sql =
        format!("INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{host_uuid}', '{address}', '{gpu_pool}')");
    vgpu_tests::tools::sql_ok(&root.database(), &sql);
}

fn of<'a>(gpus: &'a Value, field: &str) -> Vec<&'a Value> {
    gpus.as_array().unwrap().iter().map(|gpu| &gpu[field]).collect()
}

#[test]
fn a_scan_lists_the_gpus_of_every_host_with_the_gpu_pool_that_each_serves() {
    let pool = two_hosts();
    let (host, root) = (pool.host(1).host_uuid(), pool.on(0).root);
    assign(root, host, OTHER, "B");
    let table = root.admin_ok(&["scan-gpus"]);
    let expected = "\
POOL  GPU                    VENDOR                                  DEVICE          NOTE
-     xcp-ng-1:0000:03:00.0  Matrox Electronics Systems Ltd.         MGA G200e       shows the host's console
-     xcp-ng-1:0000:81:00.0  NVIDIA Corporation                      AD102GL [L40S]  -
B     xcp-ng-2:0000:82:00.0  Advanced Micro Devices, Inc. [AMD/ATI]  Navi 31         -
";
    assert_eq!(table, expected);
    let scanned = pool.on(0).plugin("scan_gpus", &[]);
    let expected = json!({
        "gpu": format!("{host}:{OTHER}"), "host_uuid": host, "host_name": "xcp-ng-2", "pci_address": OTHER,
        "vendor": "Advanced Micro Devices, Inc. [AMD/ATI]", "device": "Navi 31", "pool": "B",
        "passed_through_to": [], "is_system_display": false, "vanished": false,
    });
    assert_eq!(scanned[2], expected);
    assert_eq!(root.admin_json(&["scan-gpus"]), scanned);
    assert_eq!(root.admin_json(&["scan-gpus", "--host=xcp-ng-2"]).as_array().unwrap().len(), 3);
}

#[test]
fn a_scan_is_a_list_like_the_others() {
    let pool = two_hosts();
    let csv =
        pool.on(0).root.admin_ok(&["scan-gpus", "--format=csv", "--columns=host,pci_address,device", "--sort=device"]);
    let expected = "host,pci_address,device\nxcp-ng-1,0000:81:00.0,AD102GL [L40S]\nxcp-ng-1,0000:03:00.0,MGA G200e\nxcp-ng-2,0000:82:00.0,Navi 31\n";
    assert_eq!(csv, expected);
    let none = Dom0::new().root.admin(&["scan-gpus"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""), "nothing to count");
    assert_eq!(none.stderr, "vgpu-admin: XAPI knows no physical GPU on any host\n");
}

#[test]
fn hosts_of_one_name_are_told_apart_by_their_uuids() {
    let pool = two_hosts();
    for index in 0..2 {
        pool.host(index).rename_host("xcp-ng");
    }
    let listed = pool.on(0).root.admin_ok(&["scan-gpus", "--columns=gpu", "--no-header"]);
    let (one, other) = (pool.host(0).host_uuid(), pool.host(1).host_uuid());
    let mut expected = [format!("{one}:0000:03:00.0"), format!("{one}:{ADDRESS}"), format!("{other}:{OTHER}")];
    expected.sort();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_gpu_is_passed_through_to_the_vm_that_has_it_or_will_have_it() {
    let pool = two_hosts();
    let first = pool.on(0);
    let passed_through =
        || of(&first.plugin("scan_gpus", &[]), "passed_through_to").into_iter().cloned().collect::<Vec<_>>();
    let (nobody, vm) = (json!([]), first.create_vm("render"));
    let render = json!([{"vm_uuid": vm, "vm_name": "render"}]);
    first.pass_through(&vm, &[ADDRESS, OTHER]).unwrap();
    assert_eq!(passed_through(), [nobody.clone(), render.clone(), render.clone()], "each is on one host alone");
    first.set_affinity(&vm, pool.host(0)).unwrap();
    assert_eq!(passed_through(), [nobody.clone(), render.clone(), nobody.clone()]);
    first.start(&vm);
    assert_eq!(passed_through(), [nobody.clone(), render.clone(), nobody.clone()]);
    first.pass_through(&vm, &[]).unwrap();
    assert_eq!(passed_through(), [nobody.clone(), render, nobody.clone()], "it has it until it ends");
    first.shutdown(&vm).unwrap();
    assert_eq!(passed_through(), [nobody.clone(), nobody.clone(), nobody.clone()]);
    first.pass_through(&vm, &[ADDRESS]).unwrap();
    first.snapshot(&vm, "snapshot").unwrap();
    first.make_template(&vm).unwrap();
    assert_eq!(passed_through(), [nobody.clone(), nobody.clone(), nobody], "neither ever starts");
}

#[test]
fn a_gpu_that_xapi_does_not_know_any_more_has_vanished_if_it_serves_a_gpu_pool() {
    let pool = two_hosts();
    let root = pool.on(0).root;
    assign(root, pool.host(0).host_uuid(), ADDRESS, "A");
    assign(root, "99999999-9999-4999-8999-999999999999", OTHER, "B");
    pool.host(0).remove_gpu(ADDRESS).unwrap();
    let scanned = pool.on(0).plugin("scan_gpus", &[]);
    assert_eq!(of(&scanned, "vanished"), [&json!(false), &json!(true), &json!(false), &json!(true)]);
    assert_eq!((&scanned[1]["host_name"], &scanned[1]["vendor"]), (&json!("xcp-ng-1"), &Value::Null));
    assert_eq!((&scanned[3]["host_name"], &scanned[3]["pool"]), (&Value::Null, &json!("B")));
    let table = root.admin_ok(&["scan-gpus", "--columns=pool,gpu,note", "--no-header"]);
    assert!(table.contains("A  xcp-ng-1:0000:81:00.0                              vanished\n"), "{table}");
    assert!(table.contains("B  99999999-9999-4999-8999-999999999999:0000:82:00.0  vanished\n"), "{table}");
}

#[test]
fn every_role_that_reaches_the_plugin_may_scan_and_without_xapi_there_is_nothing_to_scan() {
    let dom0 = Dom0::new();
    dom0.add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    let scanned = dom0.call_plugin_as(Role::VmOperator, "vgpu", "scan_gpus", &[]).unwrap();
    assert!(scanned.contains(ADDRESS), "{scanned}");
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let Ran { code, stderr, .. } = dom0.root.admin(&["scan-gpus"]);
    assert!(code == Some(1) && stderr.contains("XAPI cannot be reached"), "{stderr}");
}
