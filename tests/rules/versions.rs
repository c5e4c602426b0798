//! Rule 9: old and new versions of our program in one pool. Fields that are not known are kept; a newer format is left
//! alone, with a clear message, and starts go on.

use serde_json::json;
use vgpu_tests::ResourcePool;

use crate::support::{
    HOSTS, args, assert_one_state, entry, known_vm, last_log, pool_with_known_vm, pool_with_registered_vm, set_args,
    set_pool, set_value, sql, started, state, value,
};

/// What a newer program might write.
const NEWER: &str = "2 something new";

/// A VM that a newer program has changed: XAPI has its arguments, and an entry that this one does not understand.
fn pool_with_newer() -> (ResourcePool, String, String) {
    let (pool, vm) = pool_with_known_vm();
    let number = entry(&pool, &vm).unwrap().vm_id.unwrap();
    let newer = format!("-device vgpu-stub,pool_id=B,priority=low,vm_id={number},new=field");
    set_value(&pool, &vm, Some(NEWER));
    set_args(&pool, &vm, Some(&newer));
    (pool, vm, newer)
}

#[test]
fn changes_of_a_vm_that_a_newer_program_has_changed_are_refused_on_every_host() {
    let (pool, vm, _) = pool_with_newer();
    let file = json!({"version": 1, "vm": [{"vm_uuid": vm, "pool": "B", "priority": "low"}]}).to_string();
    let before = state(&pool, &[&vm]);
    for host in 0..HOSTS {
        for (function, arguments) in [
            ("set_pool", &[("vm_uuid", vm.as_str()), ("pool", "B")][..]),
            ("set_priority", &[("vm_uuid", &vm), ("priority", "low")]),
            ("update_vm", &[("vm_uuid", &vm), ("vm_id", "77")]),
            ("remove_vm", &[("vm_uuid", &vm)]),
            ("import", &[("config", &file)]),
        ] {
            let refused = pool.on(host).call_plugin("vgpu", function, arguments).unwrap_err();
            assert_eq!(refused.code, "VGPU_NEWER_FORMAT", "{function} on host {host}: {refused}");
            let message = &refused.params[0];
            assert!(
                message.contains(&vm) && message.contains("newer vgpu-config (format 2)") && message.contains("update"),
                "{function} on host {host}: {message}"
            );
        }
        let said = pool.on(host).root.admin_fails(&["set-pool", "--vm-uuid", &vm, "--pool", "B"]);
        assert!(said.contains("newer vgpu-config (format 2)"), "host {host}: {said}");
    }
    assert_eq!(state(&pool, &[&vm]), before);
}

#[test]
fn starts_of_a_vm_that_a_newer_program_has_changed_go_on_with_its_arguments_on_every_host() {
    let (pool, vm, newer) = pool_with_newer();
    for host in 0..HOSTS {
        assert_eq!(started(&pool, host, &vm).as_ref(), Some(&newer), "host {host}");
        let line = last_log(&pool, host);
        assert!(line.contains(&vm) && line.contains("newer vgpu-config (format 2)"), "host {host}: {line}");
        assert_eq!((args(&pool, &vm), value(&pool, &vm).as_deref()), (Some(newer.clone()), Some(NEWER)));
    }
    pool.on(1).start(&vm);
    assert_eq!(pool.on(1).reboot_from_inside(&vm), Some(newer));
}

#[test]
fn a_row_with_changes_of_its_own_does_not_overwrite_what_a_newer_program_has_written() {
    let (pool, vm, newer) = pool_with_newer();
    sql(&pool, 1, &format!("UPDATE vms SET priority = 1, pool_id = 'B' WHERE vm_uuid = '{vm}'"));
    sql(&pool, 2, &format!("DELETE FROM vms WHERE vm_uuid = '{vm}'"));
    for host in [1, 2] {
        assert_eq!(started(&pool, host, &vm).as_ref(), Some(&newer), "host {host}");
        let synced = pool.on(host).plugin("sync", &[]);
        assert_eq!((&synced["pushed"], &synced["repaired"]), (&json!([]), &json!([])), "host {host}");
        assert_eq!((args(&pool, &vm).as_ref(), value(&pool, &vm).as_deref()), (Some(&newer), Some(NEWER)));
    }
}

#[test]
fn a_sync_names_what_a_newer_program_has_changed_and_does_the_rest() {
    let (pool, vm, newer) = pool_with_newer();
    let other = known_vm(&pool);
    set_pool(&pool, 0, &other, "B");
    for host in [1, 2] {
        let synced = pool.on(host).plugin("sync", &[]);
        assert_eq!((&synced["taken"], &synced["left_alone"][0]["vm_uuid"]), (&json!([other]), &json!(vm)));
        assert!(synced["left_alone"][0]["why"].as_str().unwrap().contains("newer vgpu-config (format 2)"), "{synced}");
        assert_eq!(pool.on(host).root.admin(&["sync"]).code, Some(1), "what is left alone is no success");
        assert_eq!((args(&pool, &vm).as_ref(), value(&pool, &vm).as_deref()), (Some(&newer), Some(NEWER)));
    }
    // Nobody else has any trouble with it.
    pool.on(2).plugin("set_priority", &[("vm_uuid", &other), ("priority", "low")]);
    assert!(started(&pool, 1, &other).unwrap().contains("pool_id=B,priority=low"));
}

#[test]
fn a_vm_that_only_a_newer_program_knows_is_neither_registered_nor_adopted_nor_pruned_nor_given_a_default() {
    let (pool, _) = pool_with_known_vm();
    let vm = pool.host(0).create_vm("newer");
    let newer = "-device vgpu-stub,pool_id=B,priority=low,vm_id=9,new=field";
    let assert_untouched = |what: &str| {
        assert_eq!((args(&pool, &vm).as_deref(), value(&pool, &vm).as_deref()), (Some(newer), Some(NEWER)), "{what}");
    };
    set_value(&pool, &vm, Some(NEWER));
    set_args(&pool, &vm, Some(newer));
    for host in 0..HOSTS {
        let register = [("vm_uuid", vm.as_str()), ("pool", "A"), ("priority", "high")];
        let refused = pool.on(host).call_plugin("vgpu", "register_vm", &register).unwrap_err();
        assert_eq!(refused.code, "VGPU_NEWER_FORMAT", "host {host}");
        let adopted = pool.on(host).plugin("adopt", &[]);
        assert_untouched("adopt");
        assert_eq!((&adopted["adopted"], &adopted["left_alone"][0]["vm_uuid"]), (&json!([]), &json!(vm)), "{adopted}");
        assert!(adopted["left_alone"][0]["why"].as_str().unwrap().contains("newer vgpu-config"), "{adopted}");
        pool.on(host).root.settings("unregistered = \"default\"");
        assert_eq!(started(&pool, host, &vm).as_deref(), Some(newer), "host {host}");
        assert_untouched("a start that registers");
    }
    set_args(&pool, &vm, None);
    assert_eq!(started(&pool, 1, &vm), None, "it is not given a default");
    pool.host(0).destroy(&vm).unwrap();
    pool.on(2).plugin("prune", &[]);
    assert_eq!(value(&pool, &vm).as_deref(), Some(NEWER), "prune");
}

#[test]
fn once_a_host_understands_the_entry_again_its_own_row_counts_by_its_revision() {
    let (pool, vm, _) = pool_with_newer();
    let number = pool.on(0).plugin("show_vm", &[("vm_uuid", &vm)])["vm_id"].clone();
    // The newer program has gone back to the format that all understand.
    set_value(&pool, &vm, Some(&format!("1 B 0 {number} 9 1790000000")));
    for host in 0..HOSTS {
        let got = started(&pool, host, &vm).unwrap();
        assert!(got.starts_with(&format!("-device vgpu-stub,pool_id=B,priority=low,vm_id={number}")), "{got}");
    }
}

#[test]
fn fields_that_a_newer_program_has_added_are_kept_by_every_host_and_every_change() {
    let (pool, vm) = pool_with_registered_vm();
    set_value(&pool, &vm, Some(&format!("{} x=1", value(&pool, &vm).unwrap())));
    let assert_kept = |what: &str| {
        let value = value(&pool, &vm).unwrap();
        assert!(value.starts_with("1 ") && value.ends_with(" x=1"), "{what}: {value}");
    };
    for host in [1, 2, 0] {
        set_pool(&pool, host, &vm, if host == 2 { "A" } else { "B" });
        assert_kept("set_pool");
        started(&pool, host, &vm);
        assert_kept("start");
        pool.on(host).plugin("remove_vm", &[("vm_uuid", &vm)]);
        assert_kept("remove_vm");
        pool.on(host).register(&vm, "A", "low");
        assert_kept("register_vm");
        sql(&pool, host, "UPDATE vms SET priority = 2");
        pool.on(host).plugin("sync", &[]);
        assert_kept("sync");
        sql(&pool, host, "UPDATE vms SET priority = 1");
        started(&pool, host, &vm);
        assert_kept("a start that tells of an edit by hand");
    }
    assert_one_state(&pool, &vm, "after all of them");
}

#[test]
fn a_database_that_a_newer_program_has_migrated_on_one_host_is_that_hosts_affair() {
    let (pool, vm) = pool_with_known_vm();
    sql(&pool, 1, "PRAGMA user_version = 99");
    let refused = pool.on(1).call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap_err();
    assert_eq!(refused.code, "VGPU_DB_ERROR");
    set_pool(&pool, 2, &vm, "B");
    let newer = args(&pool, &vm);
    assert_eq!(started(&pool, 1, &vm), newer, "XAPI has given it what is right");
    assert_eq!(started(&pool, 0, &vm), newer);
}
