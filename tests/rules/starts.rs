//! Rule 7, with XAPI there: a row that another host has overtaken never overwrites newer arguments, for the pool's map is
//! asked first. And a start waits for no other host.

use std::thread;
use std::time::Duration;

use simulated_host::{Exit, Fault, Outage, Service};
use vgpu_tests::ResourcePool;
use vgpu_tests::dom0::hook_exit;

use crate::support::{
    HOSTS, args, argument, assert_one_state, entry, hook_log, last_log, pool_with_known_vm, pool_with_registered_vm,
    revision, set_args, set_pool, sql, started, wait_until,
};

/// An argument that is not the VM's own.
const ANOTHERS: &str = "-device vgpu-stub,pool_id=B,priority=low,vm_id=5";

#[test]
fn a_row_that_another_host_has_overtaken_never_overwrites_newer_arguments() {
    let (pool, vm) = pool_with_known_vm();
    set_pool(&pool, 0, &vm, "B");
    pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    let newer = args(&pool, &vm);
    // As vgpu-admin does it while XAPI is away: two revisions against three.
    sql(
        &pool,
        1,
        &format!("UPDATE vms SET priority = 1; UPDATE history SET through = 'vgpu-admin' WHERE vm_uuid = '{vm}'"),
    );
    assert_eq!(revision(&pool, 1, &vm), Some(2));
    for host in [1, 2] {
        assert_eq!(started(&pool, host, &vm), newer, "host {host}");
        assert_eq!(args(&pool, &vm), newer, "host {host}");
    }
    assert_one_state(&pool, &vm, "after the starts");
}

#[test]
fn arguments_that_a_snapshot_has_brought_back_are_not_taken_for_newer_ones() {
    let (pool, vm) = pool_with_known_vm();
    let old = args(&pool, &vm);
    set_pool(&pool, 0, &vm, "B");
    for host in 0..HOSTS {
        // They fit the row of a host that has not heard of the change.
        set_args(&pool, &vm, old.as_deref());
        let got = started(&pool, host, &vm).unwrap();
        assert!(got.contains("pool_id=B"), "host {host}: {got}");
    }
}

#[test]
fn an_edit_by_hand_that_is_newer_than_what_others_wrote_is_what_its_own_hosts_start_gives_and_tells() {
    let (pool, vm) = pool_with_known_vm();
    sql(&pool, 2, &format!("UPDATE vms SET pool_id = 'B' WHERE vm_uuid = '{vm}'"));
    let got = started(&pool, 2, &vm).unwrap();
    assert!(got.contains("pool_id=B"), "{got}");
    assert_eq!(entry(&pool, &vm).unwrap().revision, 2);
    assert_eq!(started(&pool, 0, &vm), Some(got));
}

#[test]
fn a_start_waits_for_no_other_host() {
    let (pool, vm) = pool_with_registered_vm();
    // The host that made the change is gone, and so is one that has nothing to do with it.
    set_pool(&pool, 2, &vm, "B");
    pool.crash(2);
    let got = started(&pool, 1, &vm).unwrap();
    assert!(got.contains("pool_id=B"), "{got}");
    pool.restart(2).unwrap();
    pool.partition(2, Outage::Hangs);
    assert_eq!(started(&pool, 1, &vm), Some(got));
    assert!(hook_log(&pool, 1).iter().all(|line| !line.contains("problem=")), "{:?}", hook_log(&pool, 1));
}

#[test]
fn a_start_does_not_wait_for_a_change_that_hangs_on_another_host() {
    let (pool, vm) = pool_with_known_vm();
    pool.on(0).set_fault_in(Service::Xapi, "VM.remove_from_platform", Fault::Hangs).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| pool.on(0).call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]));
        wait_until("the new entry", || entry(&pool, &vm).is_some_and(|entry| entry.revision == 2));
        let boot = pool.on(1).vm_start(&vm).unwrap();
        assert!(!change.is_finished(), "the start was not to wait for it");
        assert_eq!(hook_exit(&boot), Exit::Code(0));
        assert!(boot.device_model_args.unwrap().contains("pool_id=B"), "what XAPI was told already counts");
        pool.on(0).clear_faults().unwrap();
        let _ = change.join().unwrap();
    });
}

#[test]
fn a_start_of_a_host_whose_xapi_is_slow_ends_by_itself_and_says_why() {
    let (pool, vm) = pool_with_known_vm();
    pool.on(1).root.settings("deadline = 2");
    pool.on(1).set_fault(Service::Xapi, Fault::Hangs).unwrap();
    let boot = pool.on(1).vm_start(&vm).unwrap();
    assert_eq!(boot.device_model_args, args(&pool, &vm));
    assert!(!last_log(&pool, 1).contains("not finished within"), "{}", last_log(&pool, 1));
}

#[test]
fn what_another_program_takes_over_while_a_start_is_looked_at_counts_for_that_start() {
    let (pool, vm) = pool_with_registered_vm();
    set_args(&pool, &vm, Some(ANOTHERS));
    let second = pool.on(1);
    second.root.settings("deadline = 30");
    second.root.write("etc/xapi.d/vm-pre-start/10mark", "#!/bin/sh\n: > \"${0%/etc/*}/hooks-run\"\n");
    second.root.chmod("etc/xapi.d/vm-pre-start/10mark", 0o755);
    // The hook has read that the VM is not registered here, and waits for xenopsd.
    second.set_fault_in(Service::Xenopsd, "VM.stat", Fault::Slow(Duration::from_secs(3))).unwrap();
    thread::scope(|scope| {
        let boot = scope.spawn(|| second.start(&vm));
        wait_until("the hooks", || second.root.path("hooks-run").exists());
        thread::sleep(Duration::from_millis(500));
        second.plugin("sync", &[]);
        assert!(!boot.is_finished(), "the start was to be under way still");
        assert_eq!(boot.join().unwrap(), argument(&entry(&pool, &vm).unwrap()));
    });
}

#[test]
fn vms_registered_on_one_host_and_started_at_once_on_another_all_get_their_own() {
    const AT_ONCE: usize = 20;
    let pool = ResourcePool::new(2);
    pool.on(1).root.settings("deadline = 60");
    let vms: Vec<_> = (0..3 * AT_ONCE).map(|number| pool.host(0).create_vm(&format!("vm{number}"))).collect();
    for vm in &vms {
        pool.on(0).register(vm, "A", "high");
        set_args(&pool, vm, Some(ANOTHERS));
    }
    thread::scope(|scope| {
        for some in vms.chunks(vms.len() / AT_ONCE) {
            let pool = &pool;
            scope.spawn(move || {
                for vm in some {
                    assert_eq!(pool.on(1).start(vm), argument(&entry(pool, vm).unwrap()), "{vm}");
                }
            });
        }
    });
}
