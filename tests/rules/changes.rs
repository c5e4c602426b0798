//! Rule 1: a change on one host is what a start on another gets, with no step between.

use serde_json::json;
use vgpu_tests::ResourcePool;

use crate::support::{
    args, argument, assert_one_state, entry, pool_with_registered_vm, pool_with_vm, row, set_args, set_pool, shown,
    started,
};

/// What a VM's start on a host gets; it has to be what the pool-wide copy says, and to contain this.
fn assert_start(pool: &ResourcePool, host: usize, vm: &str, part: &str) {
    let got = started(pool, host, vm).unwrap_or_else(|| panic!("host {host}: {vm} got nothing instead of {part}"));
    assert!(got.contains(part), "host {host}: {got} has no {part}");
    assert_eq!(entry(pool, vm).and_then(|entry| argument(&entry)), Some(got));
}

#[test]
fn a_change_on_one_host_is_what_a_start_on_another_gets() {
    let (pool, vm) = pool_with_registered_vm();
    assert_start(&pool, 1, &vm, "pool_id=A,priority=high");
    let changes = [
        ("set_pool", &[("pool", "B")][..], "pool_id=B,priority=high"),
        ("set_priority", &[("priority", "low")], "pool_id=B,priority=low"),
        ("update_vm", &[("vm_id", "77")], "vm_id=77"),
        ("update_vm", &[("pool", "A"), ("priority", "medium")], "pool_id=A,priority=medium,vm_id=77"),
        ("set_pool", &[("pool", "B")], "pool_id=B"),
    ];
    for (number, (function, arguments, part)) in changes.into_iter().enumerate() {
        let (changed_on, started_on) = (number % 3, (number + 1) % 3);
        let arguments = [&[("vm_uuid", vm.as_str())], arguments].concat();
        pool.on(changed_on).plugin(function, &arguments);
        assert_start(&pool, started_on, &vm, part);
    }
    assert_one_state(&pool, &vm, "after all of them");
}

#[test]
fn a_vm_that_a_host_has_never_heard_of_starts_there_with_what_was_registered_elsewhere() {
    let (pool, vm) = pool_with_registered_vm();
    assert_eq!(row(&pool, 2, &vm), "", "the third host has never heard of it");
    assert_start(&pool, 2, &vm, "pool_id=A,priority=high");
    assert_eq!(shown(&pool, 2, &vm), "A");
    assert_one_state(&pool, &vm, "after the start");
}

#[test]
fn a_vm_that_was_registered_and_changed_twice_starts_elsewhere_with_the_last_change() {
    let (pool, vm) = pool_with_registered_vm();
    set_pool(&pool, 1, &vm, "B");
    pool.on(2).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    assert_start(&pool, 0, &vm, "pool_id=B,priority=low");
}

#[test]
fn a_change_by_the_command_line_is_what_a_start_on_another_host_gets() {
    let (pool, vm) = pool_with_vm();
    let registered = ["register-vm", "--vm-uuid", &vm, "--pool", "B", "--priority", "medium", "--vm-id", "4294967295"];
    pool.on(1).root.admin_ok(&registered);
    assert_start(&pool, 2, &vm, "pool_id=B,priority=medium,vm_id=4294967295");
    pool.on(2).root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool", "A"]);
    assert_start(&pool, 0, &vm, "pool_id=A,priority=medium,vm_id=4294967295");
}

#[test]
fn a_removal_on_one_host_is_a_removal_on_every_other() {
    let (pool, vm) = pool_with_registered_vm();
    assert!(started(&pool, 1, &vm).is_some());
    pool.on(2).plugin("remove_vm", &[("vm_uuid", &vm)]);
    for host in [1, 0, 2] {
        assert_eq!(started(&pool, host, &vm), None, "host {host}");
        let refused = pool.on(host).call_plugin("vgpu", "show_vm", &[("vm_uuid", &vm)]).unwrap_err();
        assert_eq!(refused.code, "VGPU_NOT_FOUND", "host {host}");
    }
    // Also where a snapshot or an administrator brings the argument back.
    let number = entry(&pool, &vm).unwrap().vm_id.unwrap();
    set_args(&pool, &vm, Some(&format!("-vga std -device vgpu-stub,pool_id=A,priority=high,vm_id={number}")));
    assert_eq!(started(&pool, 1, &vm).as_deref(), Some("-vga std"));
}

#[test]
fn a_vm_that_comes_back_on_another_host_keeps_its_number() {
    let (pool, vm) = pool_with_registered_vm();
    pool.on(0).plugin("update_vm", &[("vm_uuid", &vm), ("vm_id", "77")]);
    pool.on(1).plugin("remove_vm", &[("vm_uuid", &vm)]);
    pool.on(2).register(&vm, "B", "low");
    assert_start(&pool, 0, &vm, "pool_id=B,priority=low,vm_id=77");
    assert_one_state(&pool, &vm, "after it came back");
}

#[test]
fn what_was_imported_or_adopted_on_one_host_is_what_starts_on_another_get() {
    let (pool, imported) = pool_with_vm();
    let adopted = pool.host(0).create_vm("adopted");
    set_args(&pool, &adopted, Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=9"));
    let file = json!({"version": 1, "vm": [{"vm_uuid": imported, "pool": "B", "priority": "medium"}]}).to_string();
    pool.on(1).plugin("import", &[("config", &file)]);
    pool.on(1).plugin("adopt", &[]);
    assert_start(&pool, 2, &imported, "pool_id=B,priority=medium");
    assert_start(&pool, 0, &adopted, "pool_id=B,priority=low,vm_id=9");
    assert_eq!(shown(&pool, 0, &imported), "B", "a start takes over what there is of all VMs");
}

#[test]
fn a_reboot_on_one_host_gets_what_was_changed_on_another() {
    let (pool, vm) = pool_with_registered_vm();
    pool.on(1).start(&vm);
    set_pool(&pool, 2, &vm, "B");
    let got = pool.on(1).reboot_from_inside(&vm).unwrap();
    assert!(got.contains("pool_id=B"), "{got}");
    pool.migrate(&vm, 1, 2).unwrap();
    set_pool(&pool, 0, &vm, "A");
    let boot = pool.on(0).clean_reboot(&vm).unwrap();
    assert!(boot.device_model_args.as_ref().unwrap().contains("pool_id=A"), "{boot:?}");
    assert_eq!(pool.runs_on(&vm), Some(2));
    assert_eq!(shown(&pool, 2, &vm), "A");
}

#[test]
fn a_clone_started_elsewhere_does_not_keep_the_argument_of_a_vm_that_this_host_never_heard_of() {
    let (pool, vm) = pool_with_registered_vm();
    let clone = pool.on(0).clone_vm(&vm, "copy").unwrap();
    assert_eq!(args(&pool, &clone), args(&pool, &vm), "XAPI copies it");
    assert_eq!(started(&pool, 2, &clone), None);
    assert_eq!(args(&pool, &clone), None);
}

#[test]
fn two_hosts_that_change_two_vms_at_once_both_have_both_changes() {
    let (pool, one) = pool_with_registered_vm();
    let other = pool.host(0).create_vm("other");
    pool.on(1).register(&other, "A", "low");
    std::thread::scope(|scope| {
        scope.spawn(|| set_pool(&pool, 1, &one, "B"));
        scope.spawn(|| set_pool(&pool, 2, &other, "B"));
    });
    for (host, vm) in [(0, &one), (0, &other), (2, &one), (1, &other)] {
        assert_start(&pool, host, vm, "pool_id=B");
    }
}

#[test]
fn an_import_that_prunes_removes_also_what_only_another_host_has_heard_of() {
    let (pool, kept) = pool_with_registered_vm();
    let other = pool.host(0).create_vm("other");
    pool.on(1).register(&other, "B", "low");
    let file = json!({"version": 1, "vm": [{"vm_uuid": kept, "pool": "A", "priority": "high"}]}).to_string();
    pool.on(2).plugin("import", &[("config", file.as_str()), ("prune", "true")]);
    assert_eq!(entry(&pool, &other).unwrap().settings, None, "the other hosts are told");
    assert_eq!((args(&pool, &other), started(&pool, 1, &other)), (None, None));
}
