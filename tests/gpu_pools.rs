//! GPU pools: their names, limits and GPUs, on one host and on several.

use serde_json::{Value, json};
use simulated_host::{Fault, Role, Service};
use vgpu_tests::{Dom0, ResourcePool, uuid};

#[path = "gpu_pools/database.rs"]
mod database;
#[path = "gpu_pools/file.rs"]
mod file;
#[path = "gpu_pools/hosts.rs"]
mod hosts;
#[path = "gpu_pools/limits.rs"]
mod limits;
#[path = "gpu_pools/mishaps.rs"]
mod mishaps;

const ADDRESS: &str = "0000:81:00.0";
const OTHER: &str = "0000:82:00.0";

/// A host with two GPUs.
fn with_gpus() -> Dom0 {
    let dom0 = Dom0::new();
    dom0.add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    dom0.add_gpu(OTHER, "NVIDIA Corporation", "AD102GL [L40S]");
    dom0
}

/// A GPU, by its host's UUID.
fn gpu(dom0: &Dom0, address: &str) -> String {
    format!("{}:{address}", dom0.host_uuid())
}

/// What the shared copy says of a GPU pool or a GPU.
fn shared(dom0: &Dom0, subject: &str) -> Option<String> {
    dom0.pool_other_config().get(&format!("vgpu:{subject}")).cloned()
}

#[test]
fn the_gpus_of_a_gpu_pool_are_listed_one_below_the_other() {
    let dom0 = with_gpus();
    for address in [ADDRESS, OTHER] {
        dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu(&dom0, address)]);
    }
    let shown = dom0.root.admin_ok(&["show-pool", "A"]);
    let device = "NVIDIA Corporation AD102GL [L40S]";
    let expected = format!("GPUs         xcp-ng-1:{ADDRESS}  {device}\n             xcp-ng-1:{OTHER}  {device}\n");
    assert!(shown.ends_with(&expected), "{shown}");
}

#[test]
fn a_gpu_pool_has_a_name_a_description_and_a_limit() {
    let dom0 = with_gpus();
    let said = dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=render", "--description=for CAD", "--max-vms=8"]);
    assert_eq!(said, "GPU pool A changed: name \"render\", description \"for CAD\", at most 8 VMs.\n");
    let reply = dom0.plugin("set_gpu_pool", &[("pool", "A"), ("max_vms", "9")]);
    let (from, to) = (
        json!({"name": "render", "description": "for CAD", "max_vms": 8}),
        json!({"name": "render", "description": "for CAD", "max_vms": 9}),
    );
    assert_eq!(
        (&reply["changed"], &reply["from"], &reply["to"]),
        (&json!(true), &from, &to),
        "what is not given stays"
    );
    assert!(shared(&dom0, "pool:A").unwrap().ends_with(r#" 9 ["render","for CAD"]"#));
    dom0.root.admin_ok(&["set-gpu-pool", "--pool=A", "--name=none", "--description=None", "--max-vms=none"]);
    let shown = dom0.plugin("show_pool", &[("pool", "A")]);
    assert_eq!((&shown["name"], &shown["max_vms"], &shown["free"]), (&Value::Null, &Value::Null, &Value::Null));
    assert!(shared(&dom0, "pool:A").unwrap().ends_with(" - [null,null]"));
    let again = dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=none"]);
    assert_eq!(again, "GPU pool A unchanged: no name, no limit.\n");
}

#[test]
fn a_gpu_serves_one_gpu_pool_at_a_time() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    let assigned = dom0.plugin("assign_gpu", &[("pool", "A"), ("gpu", &gpu)]);
    assert_eq!(assigned["device_name"], "NVIDIA Corporation AD102GL [L40S]");
    assert_eq!((&assigned["from"], &assigned["to"], &assigned["changed"]), (&Value::Null, &json!("A"), &json!(true)));
    let name = format!("xcp-ng:{ADDRESS}");
    let by_name = dom0.root.admin_json(&["scan-gpus"])[0]["host_name"].as_str().unwrap().to_owned();
    let name = name.replace("xcp-ng", &by_name);
    let again = dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &name]);
    let expected =
        format!("GPU {ADDRESS} on host {by_name}, NVIDIA Corporation AD102GL [L40S]: already serves GPU pool A.\n");
    assert_eq!(again, expected);
    let refused = dom0.root.admin_fails(&["assign-gpu", "--pool=B", "--gpu", &name]);
    assert!(refused.contains(&format!("GPU {gpu} serves GPU pool A: run 'vgpu-admin unassign-gpu")), "{refused}");
    assert!(shared(&dom0, &format!("gpu:{gpu}")).unwrap().starts_with("1 A 1 "));
    dom0.root.admin_ok(&["unassign-gpu", "--gpu", &name]);
    assert!(shared(&dom0, &format!("gpu:{gpu}")).unwrap().starts_with("1 - 2 "), "a removal is an entry of its own");
    dom0.root.admin_ok(&["assign-gpu", "--pool=B", "--gpu", &gpu]);
    let shown = dom0.plugin("show_pool", &[("pool", "B")]);
    assert_eq!(shown["gpus"][0]["pci_address"], ADDRESS);
}

#[test]
fn a_gpu_that_xapi_does_not_know_or_that_a_vm_has_is_refused() {
    let dom0 = with_gpus();
    let unknown = gpu(&dom0, "0000:99:00.0");
    let refused = dom0.root.admin_fails(&["assign-gpu", "A", "--gpu", &unknown]);
    assert!(refused.contains("expected 0000:81:00.0 or 0000:82:00.0"), "{refused}");
    let error = dom0.call_plugin("vgpu", "unassign_gpu", &[("gpu", &unknown)]).unwrap_err();
    assert!(error.to_string().contains("VGPU_NOT_FOUND"), "{error}");
    let error = dom0.call_plugin("vgpu", "assign_gpu", &[("pool", "A"), ("gpu", "nowhere:0000:81:00.0")]).unwrap_err();
    assert!(error.to_string().contains("no host 'nowhere'"), "{error}");
    let vm = dom0.create_vm("web01");
    dom0.pass_through(&vm, &[ADDRESS]).unwrap();
    let taken = gpu(&dom0, ADDRESS);
    let error = dom0.call_plugin("vgpu", "assign_gpu", &[("pool", "A"), ("gpu", &taken)]).unwrap_err().to_string();
    assert!(error.contains("VGPU_GPU_IN_USE") && error.contains(&format!("VM {vm} (web01)")), "{error}");
    assert_eq!(dom0.sql("SELECT count(*) FROM gpus"), "0\n");
}

#[test]
fn a_gpu_that_has_vanished_can_be_taken_away() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu]);
    dom0.remove_gpu(ADDRESS).unwrap();
    let shown = dom0.plugin("show_pool", &[("pool", "A")]);
    assert_eq!(shown["gpus"][0]["vanished"], true);
    assert!(shown["notes"][0].as_str().unwrap().contains("does not know GPU"), "{shown}");
    let reply = dom0.plugin("unassign_gpu", &[("gpu", &gpu)]);
    assert_eq!((&reply["from"], &reply["to"]), (&json!("A"), &Value::Null));
}

#[test]
fn a_dry_run_changes_nothing_and_says_the_same() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    let state = || (dom0.sql(".dump"), dom0.pool_other_config());
    let before = state();
    let said = dom0.root.admin_ok(&["set-gpu-pool", "A", "--max-vms=3", "--dry-run"]);
    assert_eq!(said, "GPU pool A would be changed: at most 3 VMs.\nIt has no name, no limit now.\n");
    let said = dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu, "--dry-run"]);
    assert!(said.ends_with(": would serve GPU pool A.\n"), "{said}");
    let reply = dom0.plugin("assign_gpu", &[("pool", "A"), ("gpu", &gpu), ("dry_run", "true")]);
    assert_eq!((&reply["dry_run"], &reply["to"], &reply["xapi"]), (&json!(true), &json!("A"), &json!("written")));
    assert_eq!(state(), before);
}

#[test]
fn only_who_may_change_vms_may_change_gpu_pools() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    let session = dom0.open_session(Role::VmOperator);
    for (function, arguments) in [
        ("set_gpu_pool", vec![("pool", "A"), ("max_vms", "1")]),
        ("assign_gpu", vec![("pool", "A"), ("gpu", gpu.as_str())]),
        ("unassign_gpu", vec![("gpu", gpu.as_str())]),
    ] {
        let error = dom0.call_plugin_in(&session, "vgpu", function, &arguments).unwrap_err().to_string();
        assert!(error.contains("RBAC_PERMISSION_DENIED"), "{function}: {error}");
    }
    dom0.call_plugin_in(&session, "vgpu", "show_pool", &[("pool", "A")]).unwrap();
}

#[test]
fn what_xapi_refuses_changes_nothing() {
    let dom0 = with_gpus();
    let state =
        || (dom0.sql("SELECT * FROM gpu_pools; SELECT * FROM gpu_state; SELECT * FROM gpus"), dom0.pool_other_config());
    let before = state();
    dom0.set_fault_in(Service::Xapi, "pool.add_to_other_config", Fault::error("INTERNAL_ERROR", &["refused"])).unwrap();
    let error = dom0.root.admin_fails(&["set-gpu-pool", "A", "--name=render"]);
    assert!(error.contains("refused"), "{error}");
    let error = dom0.root.admin_fails(&["assign-gpu", "A", "--gpu", &gpu(&dom0, ADDRESS)]);
    assert!(error.contains("refused"), "{error}");
    dom0.clear_faults().unwrap();
    assert_eq!(state(), before);
}

#[test]
fn root_works_without_xapi_and_it_is_told_later() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu]);
    dom0.set_fault(Service::Xapi, Fault::Refuses).unwrap();
    let said = dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=render"]);
    assert!(said.contains("Only the database was changed; 'vgpu-admin sync' tells the other hosts"), "{said}");
    dom0.root.admin_ok(&["unassign-gpu", "--gpu", &gpu]);
    let needs_xapi = dom0.root.admin_fails(&["assign-gpu", "B", "--gpu", &gpu]);
    assert!(needs_xapi.contains("XAPI cannot be reached"), "{needs_xapi}");
    let by_name = dom0.root.admin_fails(&["unassign-gpu", "--gpu=somewhere:0000:81:00.0"]);
    assert!(by_name.contains("the UUID of the host instead of its name"), "{by_name}");
    dom0.clear_faults().unwrap();
    let reply = dom0.plugin("sync", &[]);
    assert_eq!(reply["gpu_pools"]["pushed"], json!(["pool:A", format!("gpu:{gpu}")]));
    assert!(shared(&dom0, "pool:A").unwrap().contains("render"));
    assert!(shared(&dom0, &format!("gpu:{gpu}")).unwrap().starts_with("1 - 2 "));
    assert_eq!(dom0.root.admin_ok(&["sync"]), "Nothing to do: this host and XAPI agree.\n");
}
