//! Rows and entries about GPU pools that are wrong: they keep no VM from its start, and are named.

use super::*;
use rusqlite::Connection;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{VM, VM_ARGUMENT};

/// What `check` says of the rows.
fn rows(dom0: &Dom0) -> String {
    let said = dom0.root.admin(&["check"]).stdout;
    said.lines().find(|line| line.contains("  rows  ")).unwrap().to_owned()
}

#[test]
fn a_row_that_cannot_be_read_keeps_no_vm_from_its_start() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    dom0.register(VM, "A", "high");
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--max-vms=8"]);
    dom0.root.settings("on_error = \"block\"\n");
    sql_ok(&dom0.root.database(), "UPDATE gpu_state SET revision = 'x' WHERE subject = 'pool:A'");
    dom0.set_args_in_xapi(VM, None);
    assert_eq!(dom0.start(VM).as_deref(), Some(VM_ARGUMENT));
    assert!(rows(&dom0).starts_with("WRONG"), "{}", rows(&dom0));
    sql_ok(&dom0.root.database(), "UPDATE gpu_state SET revision = 1 WHERE subject = 'pool:A'");
    assert!(rows(&dom0).starts_with("ok"), "{}", rows(&dom0));
}

#[test]
fn an_entry_that_the_database_refuses_keeps_no_vm_from_its_settings() {
    let pool = ResourcePool::new(2);
    pool.host(0).create_vm_with_uuid(VM, "web01");
    pool.on(0).register(VM, "A", "high");
    // No version of this program writes it.
    pool.host(0).set_pool_other_config("vgpu:pool:A", Some("1 7 1790000000 - [\"a\u{fffd}b\",null]"));
    pool.on(1).root.settings("on_error = \"block\"\n");
    assert_eq!(pool.on(1).start(VM).as_deref(), Some(VM_ARGUMENT));
    assert_eq!(pool.on(1).root.admin_json(&["show-pool", "A"])["name"], Value::Null);
}

#[test]
fn a_name_that_the_shell_accepts_is_understood() {
    let dom0 = Dom0::new();
    sql_ok(&dom0.root.database(), "UPDATE gpu_pools SET name = char(160), max_vms = 0 WHERE pool_id = 'A'");
    assert_eq!(dom0.root.admin_json(&["show-pool", "A"])["max_vms"], 0);
    dom0.create_vm_with_uuid(VM, "web01");
    assert!(dom0.root.admin_fails(&["register-vm", "web01", "--pool=A"]).contains("is full (VMs: 0 of 0)"));
}

#[test]
fn a_hook_that_cannot_register_a_vm_keeps_to_the_limit() {
    let dom0 = Dom0::new();
    dom0.root.settings("unregistered = \"default\"\n");
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--max-vms=1"]);
    dom0.create_vm_with_uuid(&uuid(1), "registered");
    dom0.register(&uuid(1), "A", "low");
    dom0.create_vm_with_uuid(VM, "web01");
    let writer = Connection::open(dom0.root.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(dom0.start(VM), None);
    drop(writer);
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--max-vms=2"]);
    let writer = Connection::open(dom0.root.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(dom0.reboot_from_inside(VM).as_deref().map(|args| args.contains("pool_id=A")), Some(true));
}

#[test]
fn sync_goes_on_and_ends_with_1_if_a_gpu_pool_is_left_alone() {
    let dom0 = with_gpus();
    dom0.create_vm_with_uuid(VM, "web01");
    dom0.register(VM, "A", "high");
    dom0.set_args_in_xapi(VM, None);
    dom0.set_pool_other_config("vgpu:pool:A", Some("2 of a newer version"));
    let ran = dom0.root.admin(&["sync"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.contains("newer vgpu-config") && ran.stdout.contains(VM), "{ran:?}");
    assert_eq!(dom0.args_in_xapi(VM).as_deref(), Some(VM_ARGUMENT));
}

#[test]
fn a_host_is_named_even_if_its_only_gpu_vanished() {
    let dom0 = Dom0::new();
    dom0.add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu(&dom0, ADDRESS)]);
    dom0.remove_gpu(ADDRESS).unwrap();
    let shown = dom0.root.admin_json(&["show-pool", "A"]);
    assert_eq!((&shown["gpus"][0]["host_name"], &shown["gpus"][0]["vanished"]), (&json!("xcp-ng-1"), &json!(true)));
}

#[test]
fn a_halted_vm_that_may_start_on_several_hosts_blocks_the_gpu_of_none() {
    let pool = ResourcePool::new(2);
    for index in 0..2 {
        pool.host(index).add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    }
    let vm = pool.host(0).create_vm("render");
    pool.host(0).pass_through(&vm, &[ADDRESS]).unwrap();
    let gpu = |index: usize| format!("{}:{ADDRESS}", pool.host(index).host_uuid());
    pool.on(0).root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu(0)]);
    pool.host(0).set_affinity(&vm, pool.host(1)).unwrap();
    let refused = pool.on(0).root.admin_fails(&["assign-gpu", "A", "--gpu", &gpu(1)]);
    assert!(refused.contains("is passed through to VM"), "{refused}");
}

#[test]
fn without_a_database_gpu_pools_are_no_problem_of_their_own() {
    let dom0 = Dom0::new();
    std::fs::remove_file(dom0.root.database()).unwrap();
    let said = dom0.root.admin(&["check"]).stdout;
    assert!(said.contains("WRONG  ") && !said.contains("GPU pools"), "{said}");
}

#[test]
fn what_could_not_be_taken_over_is_not_said_to_be_and_the_vms_are() {
    let pool = ResourcePool::new(2);
    pool.host(0).create_vm_with_uuid(VM, "web01");
    let refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON gpu_pools BEGIN SELECT RAISE(ABORT, 'not now'); END";
    sql_ok(&pool.on(1).root.database(), refuse);
    pool.on(0).register(VM, "A", "high");
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--name=render"]);
    let said = pool.on(1).root.admin(&["sync"]);
    assert!(said.stdout.contains(&format!("{VM}  taken over")) && !said.stdout.contains("GPU pool"), "{said:?}");
    assert!(said.stderr.contains("GPU pools are not taken over: ") && said.stderr.contains("not now"), "{said:?}");
    sql_ok(&pool.on(1).root.database(), "DROP TRIGGER refuse");
    assert!(pool.on(1).root.admin_ok(&["sync"]).contains("GPU pool A  taken over"));
}
