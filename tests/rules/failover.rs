//! Rule 5: after a failover to a member whose copy of XAPI's database is minutes old, newer rows are written again, by a
//! start, by an operation, by a sync.

use serde_json::json;
use simulated_host::Outage;
use vgpu_tests::ResourcePool;

use crate::support::{
    args, assert_one_state, entry, known_vm, pool_with_known_vm, revision, set_pool, shown, started, value,
};

/// Three hosts, and a VM whose move to GPU pool B on the first of them is lost with the coordinator.
fn pool_after_failover() -> (ResourcePool, String) {
    let (pool, vm) = pool_with_known_vm();
    pool.sync_replica(1).unwrap();
    set_pool(&pool, 0, &vm, "B");
    fail_over(&pool);
    assert_eq!(entry(&pool, &vm).unwrap().revision, 1, "XAPI has forgotten it");
    assert!(args(&pool, &vm).unwrap().contains("pool_id=A"));
    (pool, vm)
}

/// The coordinator fails, the second host takes over with what it has, and the first comes back as a member.
fn fail_over(pool: &ResourcePool) {
    pool.lose_coordinator(Outage::Hangs);
    pool.failover(1).unwrap();
    pool.heal(0);
    assert_eq!(pool.coordinator_index(), 1);
}

#[test]
fn a_start_writes_again_what_a_failover_has_lost() {
    let (pool, vm) = pool_after_failover();
    let got = started(&pool, 0, &vm).unwrap();
    assert!(got.contains("pool_id=B"), "{got}");
    assert_eq!(entry(&pool, &vm).unwrap().revision, 2);
    for host in [1, 2] {
        assert_eq!(started(&pool, host, &vm).as_ref(), Some(&got), "host {host}");
    }
    assert_one_state(&pool, &vm, "after the starts");
}

#[test]
fn a_reboot_writes_again_what_a_failover_has_lost() {
    let (pool, vm) = pool_with_known_vm();
    pool.on(2).start(&vm);
    pool.sync_replica(1).unwrap();
    set_pool(&pool, 2, &vm, "B");
    fail_over(&pool);
    let got = pool.on(2).reboot_from_inside(&vm).unwrap();
    assert!(got.contains("pool_id=B"), "{got}");
    assert_one_state(&pool, &vm, "after the reboot");
}

#[test]
fn an_operation_writes_again_what_a_failover_has_lost() {
    // One that changes something, and one that asks for what is there.
    for (priority, revision) in [("low", 3), ("high", 2)] {
        let (pool, vm) = pool_after_failover();
        pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", priority)]);
        assert_eq!(entry(&pool, &vm).unwrap().revision, revision, "{priority}");
        assert_eq!(shown(&pool, 0, &vm), "B");
        assert_one_state(&pool, &vm, priority);
    }
}

#[test]
fn a_sync_writes_again_what_a_failover_has_lost() {
    let (pool, vm) = pool_after_failover();
    assert_eq!(pool.on(2).plugin("sync", &[])["pushed"], json!([]), "this one knows of nothing newer");
    let synced = pool.on(0).plugin("sync", &[]);
    assert_eq!((&synced["pushed"], &synced["repaired"]), (&json!([vm]), &json!([vm])));
    assert_one_state(&pool, &vm, "after the sync");
    assert_eq!(shown(&pool, 2, &vm), "B");
}

#[test]
fn registrations_and_removals_that_a_failover_has_lost_are_written_again() {
    let (pool, removed) = pool_with_known_vm();
    let registered = pool.host(0).create_vm("registered");
    pool.sync_replica(1).unwrap();
    pool.on(2).register(&registered, "B", "low");
    pool.on(2).plugin("remove_vm", &[("vm_uuid", &removed)]);
    fail_over(&pool);
    assert!(value(&pool, &registered).is_none() && args(&pool, &removed).is_some());
    assert_eq!(started(&pool, 2, &removed), None);
    assert!(started(&pool, 2, &registered).unwrap().contains("pool_id=B,priority=low"));
    assert_one_state(&pool, &removed, "the removed one");
    assert_one_state(&pool, &registered, "the registered one");
}

#[test]
fn what_was_changed_after_a_failover_and_more_often_before_it_ends_as_it_was_changed_more_often() {
    let (pool, vm) = pool_with_known_vm();
    pool.sync_replica(1).unwrap();
    for to in ["B", "A", "B"] {
        set_pool(&pool, 0, &vm, to);
    }
    fail_over(&pool);
    pool.on(2).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    assert_eq!(revision(&pool, 2, &vm), Some(2), "it could not know of the others");
    let got = started(&pool, 0, &vm).unwrap();
    assert!(got.contains("pool_id=B,priority=high"), "{got}");
    assert_one_state(&pool, &vm, "four revisions here, two there");
}

#[test]
fn a_failover_and_one_back_lose_nothing_that_any_host_knows() {
    let (pool, vm) = pool_after_failover();
    let other = known_vm(&pool);
    pool.sync_replica(2).unwrap();
    set_pool(&pool, 1, &other, "B");
    pool.lose_coordinator(Outage::emergency("HOST_STILL_BOOTING", &[]));
    pool.failover(2).unwrap();
    pool.heal(1);
    pool.on(0).plugin("sync", &[]);
    pool.on(1).plugin("sync", &[]);
    for vm in [&vm, &other] {
        assert!(started(&pool, 2, vm).unwrap().contains("pool_id=B"));
        assert_one_state(&pool, vm, "after two failovers");
    }
}

#[test]
fn a_coordinator_that_was_cut_off_brings_what_it_has_written_alone() {
    let (pool, vm) = pool_with_known_vm();
    pool.sync_replica(1).unwrap();
    pool.partition(0, Outage::Hangs);
    pool.on(0).root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool", "B"]);
    pool.failover(1).unwrap();
    assert_eq!(entry(&pool, &vm).unwrap().revision, 1);
    pool.heal(0);
    assert!(started(&pool, 0, &vm).unwrap().contains("pool_id=B"));
    assert_one_state(&pool, &vm, "after it came back");
}
