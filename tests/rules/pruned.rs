//! Rule 3, its second half: settings and removals of VMs that XAPI does not know any more go by `prune`, and do not come
//! back from another host's sync.

use serde_json::json;
use simulated_host::{Fault, Outage, Service};
use vgpu_tests::ResourcePool;

use crate::support::{HOSTS, known_vm, pool_with_known_vm, row, sql, started, state, sync_all, value};

/// Three hosts that all know a VM that is there, one that is gone with its settings, and one that is gone and was removed.
fn pool_with_dead() -> (ResourcePool, String, [String; 2]) {
    let (pool, living) = pool_with_known_vm();
    let (gone, removed) = (known_vm(&pool), known_vm(&pool));
    pool.on(1).plugin("remove_vm", &[("vm_uuid", &removed)]);
    sync_all(&pool);
    for vm in [&gone, &removed] {
        pool.host(0).destroy(vm).unwrap();
    }
    let mut dead = [gone, removed];
    dead.sort();
    (pool, living, dead)
}

fn assert_gone(pool: &ResourcePool, dead: &[String], why: &str) {
    for vm in dead {
        assert_eq!(value(pool, vm), None, "{why}");
    }
}

#[test]
fn a_dry_run_of_prune_names_what_would_be_forgotten_and_forgets_nothing() {
    let (pool, living, dead) = pool_with_dead();
    let before = state(&pool, &[&living]);
    for host in 0..HOSTS {
        let planned = pool.on(host).plugin("prune", &[("dry_run", "true")]);
        assert_eq!(planned["pruned"], json!(dead), "host {host}");
        let said = pool.on(host).root.admin_json(&["prune", "--dry-run"]);
        assert_eq!(said["pruned"], json!(dead), "host {host}");
    }
    assert_eq!(state(&pool, &[&living]), before);
}

#[test]
fn what_is_pruned_on_one_host_does_not_come_back_with_a_sync_or_a_start_on_another() {
    let (pool, living, dead) = pool_with_dead();
    assert_eq!(pool.on(2).plugin("prune", &[])["pruned"], json!(dead));
    assert_gone(&pool, &dead, "the prune");
    for host in [0, 1, 2, 0] {
        let synced = pool.on(host).plugin("sync", &[]);
        assert_eq!((&synced["pushed"], &synced["taken"]), (&json!([]), &json!([])), "host {host}");
        assert!(started(&pool, host, &living).is_some(), "host {host}");
        assert_gone(&pool, &dead, &format!("host {host}"));
    }
    for vm in &dead {
        assert_eq!(row(&pool, 2, vm), "", "forgotten where it was pruned");
    }
    // On the others their own prune forgets it.
    for host in [0, 1] {
        assert_eq!(pool.on(host).plugin("prune", &[])["pruned"], json!(dead), "host {host}");
        assert_eq!(pool.on(host).plugin("prune", &[])["pruned"], json!([]), "host {host}");
        assert!(dead.iter().all(|vm| row(&pool, host, vm).is_empty()), "host {host}");
    }
    assert!(value(&pool, &living).is_some() && (0..HOSTS).all(|host| !row(&pool, host, &living).is_empty()));
}

#[test]
fn a_change_that_only_one_host_knows_does_not_bring_back_a_vm_that_was_pruned_elsewhere() {
    let (pool, _) = pool_with_known_vm();
    let (changed, removed, edited) = (known_vm(&pool), known_vm(&pool), known_vm(&pool));
    pool.partition(1, Outage::emergency("HOST_STILL_BOOTING", &[]));
    let alone = pool.on(1).root;
    alone.admin_ok(&["set-pool", "--vm-uuid", &changed, "--pool", "B"]);
    alone.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &removed]);
    sql(&pool, 1, &format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{edited}'"));
    let mut dead = [changed, removed, edited];
    dead.sort();
    for vm in &dead {
        pool.host(0).destroy(vm).unwrap();
    }
    assert_eq!(pool.on(0).plugin("prune", &[])["pruned"], json!(dead));
    pool.heal(1);
    for host in [1, 2, 0] {
        pool.on(host).plugin("sync", &[]);
        assert_gone(&pool, &dead, &format!("the sync of host {host}"));
    }
}

#[test]
fn a_vm_that_is_registered_before_xapi_knows_it_is_told_to_the_other_hosts() {
    let (pool, _) = pool_with_known_vm();
    let vm = vgpu_tests::uuid(7);
    let force = [("vm_uuid", vm.as_str()), ("pool", "B"), ("priority", "low"), ("force", "true")];
    pool.on(1).plugin("register_vm", &force);
    assert!(value(&pool, &vm).is_some());
    pool.host(0).create_vm_with_uuid(&vm, "late");
    assert!(started(&pool, 2, &vm).unwrap().contains("pool_id=B,priority=low"));
}

#[test]
fn a_prune_that_ends_halfway_is_finished_by_the_next_on_any_host() {
    let (pool, _, dead) = pool_with_dead();
    // The question whether the caller may is a removal too.
    pool.on(1).set_fault_after(Service::Xapi, "pool.remove_from_other_config", 2, Fault::Absent);
    pool.on(1).call_plugin("vgpu", "prune", &[]).unwrap_err();
    pool.on(1).clear_faults().unwrap();
    sync_all(&pool);
    assert_eq!(pool.on(2).plugin("prune", &[])["pruned"], json!(dead));
    assert_eq!(pool.on(1).plugin("prune", &[])["pruned"], json!(dead[1..]), "the first is forgotten there already");
    sync_all(&pool);
    assert_gone(&pool, &dead, "after both");
}
