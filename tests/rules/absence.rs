//! Rule 3, its first half: between the two halves of a change a key is absent, so absence is never a removal. A removal
//! is an entry with a higher revision.

use std::thread;
use std::time::Duration;

use simulated_host::{Fault, Service};
use vgpu_tests::ResourcePool;

use crate::support::{
    HOSTS, args, assert_one_state, entry, key, known_vm, pool_with_known_vm, pool_with_registered_vm, row, set_pool,
    set_value, shown, started, value, wait_until,
};

/// Waits until there is no entry of a VM: a change is between its two halves.
fn wait_for_gap(pool: &ResourcePool, vm: &str) {
    wait_until("the gap", || value(pool, vm).is_none());
}

#[test]
fn an_entry_that_is_absent_removes_nothing_and_is_written_again_by_whatever_comes_next() {
    let (pool, vm) = pool_with_known_vm();
    let argument = args(&pool, &vm);
    for host in 0..HOSTS {
        set_value(&pool, &vm, None);
        assert_eq!(started(&pool, host, &vm), argument, "host {host}");
        assert_one_state(&pool, &vm, &format!("a start on host {host}"));
        set_value(&pool, &vm, None);
        assert_eq!(pool.on(host).plugin("sync", &[])["pushed"], serde_json::json!([vm]), "host {host}");
        assert_one_state(&pool, &vm, &format!("a sync on host {host}"));
        set_value(&pool, &vm, None);
        pool.on(host).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
        assert_one_state(&pool, &vm, &format!("a change of nothing on host {host}"));
        assert_eq!(entry(&pool, &vm).unwrap().revision, 1, "nobody has changed it");
    }
}

#[test]
fn all_entries_absent_at_once_remove_nothing_on_any_host() {
    let (pool, one) = pool_with_known_vm();
    let other = known_vm(&pool);
    for vm in [&one, &other] {
        set_value(&pool, vm, None);
    }
    for (host, vm) in [(0, &one), (1, &other), (2, &one)] {
        assert!(started(&pool, host, vm).is_some(), "host {host}");
        assert_eq!(shown(&pool, host, vm), "A", "host {host}");
    }
    assert_one_state(&pool, &one, "after the starts");
    assert_one_state(&pool, &other, "after the starts");
}

#[test]
fn a_host_that_never_heard_of_a_vm_leaves_it_as_it_is_while_its_entry_is_absent() {
    let (pool, vm) = pool_with_registered_vm();
    let argument = args(&pool, &vm);
    set_value(&pool, &vm, None);
    assert_eq!(started(&pool, 2, &vm), argument, "the argument is nobody else's");
    pool.on(2).plugin("sync", &[]);
    assert_eq!((args(&pool, &vm), value(&pool, &vm)), (argument.clone(), None));
    assert_eq!(started(&pool, 0, &vm), argument);
    assert_one_state(&pool, &vm, "after a start where it is known");
}

#[test]
fn what_starts_in_the_gap_of_a_change_elsewhere_is_not_removed() {
    let (pool, vm) = pool_with_known_vm();
    let argument = args(&pool, &vm);
    pool.on(0).set_fault_in(Service::Xapi, "pool.add_to_other_config", Fault::Hangs).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| pool.on(0).call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]));
        wait_for_gap(&pool, &vm);
        assert_eq!(started(&pool, 1, &vm), argument, "a start in the gap");
        assert_eq!(entry(&pool, &vm).unwrap().revision, 1, "which fills it");
        assert_eq!(shown(&pool, 2, &vm), "A");
        // The call that hung is cut; the plugin takes back what it can.
        pool.on(0).restart_xapi().unwrap();
        change.join().unwrap().unwrap_err();
    });
    pool.on(2).plugin("sync", &[]);
    assert_one_state(&pool, &vm, "after the change was cut");
    assert_eq!(shown(&pool, 0, &vm), "A", "what failed has changed nothing");
}

#[test]
fn a_change_whose_gap_is_filled_by_another_host_still_counts() {
    for next in ["start", "sync"] {
        let (pool, vm) = pool_with_known_vm();
        let slow = Fault::Slow(Duration::from_millis(1500));
        pool.on(0).set_fault_in(Service::Xapi, "pool.add_to_other_config", slow).unwrap();
        thread::scope(|scope| {
            let change = scope.spawn(|| set_pool(&pool, 0, &vm, "B"));
            wait_for_gap(&pool, &vm);
            match next {
                "start" => drop(started(&pool, 1, &vm)),
                _ => drop(pool.on(1).plugin("sync", &[])),
            }
            change.join().unwrap();
        });
        pool.on(0).clear_faults().unwrap();
        let got = started(&pool, 2, &vm).unwrap();
        assert!(got.contains("pool_id=B"), "{next}: {got}");
        assert_one_state(&pool, &vm, next);
    }
}

#[test]
fn a_removal_is_an_entry_with_a_higher_revision_and_no_host_brings_the_vm_back() {
    let (pool, vm) = pool_with_known_vm();
    let before = entry(&pool, &vm).unwrap();
    pool.on(1).plugin("remove_vm", &[("vm_uuid", &vm)]);
    let removed = entry(&pool, &vm).expect("a removal is an entry, not an absence");
    assert_eq!((removed.settings, removed.revision), (None, before.revision + 1));
    let told = value(&pool, &vm);
    for host in [2, 0, 1] {
        // Its own row says that the VM is registered, until it has taken the removal over.
        pool.on(host).plugin("sync", &[]);
        assert_eq!(started(&pool, host, &vm), None, "host {host}");
        assert_eq!(value(&pool, &vm), told, "host {host}");
    }
    assert_one_state(&pool, &vm, "removed");
    pool.on(2).register(&vm, "B", "low");
    assert_eq!(entry(&pool, &vm).unwrap().revision, removed.revision + 1, "and so is a return");
    assert_one_state(&pool, &vm, "registered again");
}

#[test]
fn a_removal_whose_entry_is_absent_is_told_again_and_does_not_undo_itself() {
    let (pool, vm) = pool_with_known_vm();
    pool.on(1).plugin("remove_vm", &[("vm_uuid", &vm)]);
    pool.on(2).plugin("sync", &[]);
    set_value(&pool, &vm, None);
    // One that knows of the removal comes before one that does not.
    pool.on(2).plugin("sync", &[]);
    assert_eq!(started(&pool, 0, &vm), None);
    assert_one_state(&pool, &vm, "after a removal whose entry was lost");
    assert!(row(&pool, 0, &vm).contains("||"), "{}", row(&pool, 0, &vm));
    assert!(pool.host(0).pool_other_config().contains_key(&key(&vm)));
}
