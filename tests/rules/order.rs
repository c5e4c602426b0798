//! Rule 2, where XAPI refuses: the local change is open, XAPI is written, the pool's map before the VM's record, and only
//! then it is committed. So where XAPI refuses, nothing has changed anywhere.

use serde_json::json;
use simulated_host::{Fault, Service};
use vgpu_tests::ResourcePool;

use crate::support::{
    HOSTS, args, assert_unchanged, known_vm, pool_with_known_vm, pool_with_vm, set_args, state, value,
};

const POOL_ADD: &str = "pool.add_to_other_config";
const POOL_REMOVE: &str = "pool.remove_from_other_config";
const VM_ADD: &str = "VM.add_to_platform";
const VM_REMOVE: &str = "VM.remove_from_platform";

/// Lets XAPI refuse a method on a host, once it has allowed so many calls of it.
fn refuse(pool: &ResourcePool, host: usize, method: &str, after: usize) {
    pool.on(host).set_fault_after(Service::Xapi, method, after, Fault::error("INTERNAL_ERROR", &["no"]));
}

/// A call that is refused halfway changes nothing on any host and nothing in XAPI.
fn assert_changes_nothing(pool: &ResourcePool, host: usize, vms: &[&str], function: &str, arguments: &[(&str, &str)]) {
    let before = state(pool, vms);
    let refused = pool.on(host).call_plugin("vgpu", function, arguments).unwrap_err();
    assert_eq!(refused.code, "VGPU_XAPI_ERROR", "{function} on host {host}: {refused}");
    pool.on(host).clear_faults().unwrap();
    assert_unchanged(&before, &state(pool, vms), &format!("{function} on host {host}"));
}

#[test]
fn a_change_that_xapi_refuses_changes_nothing_anywhere() {
    let (pool, vm) = pool_with_known_vm();
    for host in 0..HOSTS {
        // The first removal is the question whether the caller may, of a key that is not there.
        for (method, after) in [(POOL_REMOVE, 0), (POOL_REMOVE, 1), (VM_REMOVE, 0)] {
            for (function, more) in [
                ("set_pool", &[("pool", "B")][..]),
                ("set_priority", &[("priority", "low")]),
                ("update_vm", &[("vm_id", "77")]),
                ("remove_vm", &[]),
            ] {
                refuse(&pool, host, method, after);
                let arguments = [&[("vm_uuid", vm.as_str())], more].concat();
                assert_changes_nothing(&pool, host, &[&vm], function, &arguments);
            }
        }
    }
}

#[test]
fn a_registration_that_xapi_refuses_registers_nothing_anywhere() {
    let (pool, vm) = pool_with_vm();
    for host in 0..HOSTS {
        for method in [POOL_ADD, VM_ADD] {
            refuse(&pool, host, method, 0);
            let arguments = [("vm_uuid", vm.as_str()), ("pool", "A"), ("priority", "high")];
            assert_changes_nothing(&pool, host, &[&vm], "register_vm", &arguments);
        }
    }
    pool.on(1).register(&vm, "A", "high");
}

#[test]
fn an_import_that_xapi_refuses_at_its_second_vm_puts_the_first_back() {
    let (pool, one) = pool_with_known_vm();
    let mut vms = [one, known_vm(&pool)];
    vms.sort();
    let [first, second] = &vms;
    let vm = |uuid: &str| json!({"vm_uuid": uuid, "pool": "B", "priority": "low"});
    let file = json!({"version": 1, "vm": [vm(first), vm(second)]}).to_string();
    // Its arguments are put aside before they are changed, which is refused and does not stand in the way of putting back.
    set_args(&pool, second, Some(&format!("-vga std {}", args(&pool, second).unwrap())));
    for host in 0..HOSTS {
        refuse(&pool, host, "VM.add_to_other_config", 0);
        assert_changes_nothing(&pool, host, &[first, second], "import", &[("config", &file)]);
        refuse(&pool, host, "VM.get_all_records", 0);
        assert_changes_nothing(&pool, host, &[first, second], "import", &[("config", &file)]);
    }
}

#[test]
fn what_a_sync_or_an_adoption_is_refused_for_one_vm_is_named_and_that_vm_is_as_before() {
    let (pool, vm) = pool_with_known_vm();
    let found = pool.host(0).create_vm("found");
    let by_hand = "-device vgpu-stub,pool_id=B,priority=low,vm_id=9";
    set_args(&pool, &found, Some(by_hand));
    refuse(&pool, 1, POOL_ADD, 0);
    let ran = pool.on(1).root.admin(&["adopt", "--format=json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reply: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&reply["adopted"], &reply["failed"][0]["vm_uuid"]), (&json!([]), &json!(found)));
    assert_eq!((value(&pool, &found), args(&pool, &found).as_deref()), (None, Some(by_hand)));
    assert_eq!(pool.on(1).call_plugin("vgpu", "show_vm", &[("vm_uuid", &found)]).unwrap_err().code, "VGPU_NOT_FOUND");
    pool.on(1).clear_faults().unwrap();
    set_args(&pool, &vm, Some("-vga std"));
    refuse(&pool, 2, VM_REMOVE, 0);
    let before = state(&pool, &[&vm]);
    let reply = pool.on(2).plugin("sync", &[]);
    assert_eq!((&reply["repaired"], &reply["left_alone"][0]["vm_uuid"]), (&json!([]), &json!(vm)));
    assert_eq!(state(&pool, &[&vm]), before);
}

#[test]
fn the_pools_map_is_written_before_the_vms_record() {
    let (pool, vm) = pool_with_known_vm();
    let written = |function: &str, arguments: &[(&str, &str)]| {
        pool.clear_calls();
        pool.on(1).plugin(function, arguments);
        let methods = [POOL_ADD, POOL_REMOVE, VM_ADD, VM_REMOVE];
        let calls: Vec<_> = pool.calls().into_iter().filter(|call| methods.contains(&call.as_str())).collect();
        calls[1..].to_vec() // Without the question whether the caller may.
    };
    assert_eq!(written("set_pool", &[("vm_uuid", &vm), ("pool", "B")]), [POOL_REMOVE, POOL_ADD, VM_REMOVE, VM_ADD]);
    assert_eq!(written("remove_vm", &[("vm_uuid", &vm)]), [POOL_REMOVE, POOL_ADD, VM_REMOVE]);
    let register = [("vm_uuid", vm.as_str()), ("pool", "A"), ("priority", "low")];
    assert_eq!(written("register_vm", &register), [POOL_REMOVE, POOL_ADD, VM_ADD]);
}
