//! Rows that are edited with sqlite3: they reach the next boot, XAPI and the other hosts, also from a host that has not heard of
//! what those have changed since.

use serde_json::{Value, json};
use simulated_host::Exit;
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ResourcePool, uuid};

/// Two hosts and a VM at low priority in GPU pool A that both know. Then the first host moves it to B, and back, and to B.
fn pool_whose_second_host_is_behind() -> (ResourcePool, String) {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).plugin("sync", &[]);
    for to in ["B", "A", "B"] {
        pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", to)]);
    }
    (pool, vm)
}

fn edit(pool: &ResourcePool, host: usize, sql: &str) {
    sql_ok(&pool.on(host).root.database(), sql);
}

/// GPU pool, priority and revision.
fn shown(pool: &ResourcePool, host: usize, vm: &str) -> Value {
    let shown = pool.on(host).plugin("show_vm", &[("vm_uuid", vm)]);
    json!([shown["pool"], shown["priority"], shown["revision"], shown["in_xapi"]])
}

/// Who changed a VM on a host, the oldest change first.
fn changers(pool: &ResourcePool, host: usize, vm: &str) -> Vec<String> {
    let history = pool.on(host).plugin("history", &[("vm_uuid", vm)]);
    let by = |entry: &Value| match &entry["changed_by"] {
        Value::String(who) => format!("{}: {who}", entry["through"].as_str().unwrap()),
        _ => entry["through"].as_str().unwrap().to_owned(),
    };
    history.as_array().unwrap().iter().rev().map(by).collect()
}

const MADE_AGAIN: &str = "by hand: made again to what another host has changed; told to XAPI";

#[test]
fn an_edit_reaches_the_next_boot_and_is_made_to_what_others_have_changed() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    let got = pool.on(1).start(&vm).unwrap();
    assert!(got.contains("pool_id=B,priority=high"), "{got}");
    assert_eq!(shown(&pool, 1, &vm), json!(["B", "high", 5, true]));
    let changers = changers(&pool, 1, &vm);
    assert_eq!(changers, ["another host", "by hand: told to XAPI", "another host", MADE_AGAIN]);
    pool.on(0).plugin("sync", &[]);
    assert_eq!(shown(&pool, 0, &vm), json!(["B", "high", 5, true]));
    assert_eq!(pool.host(0).platform(&vm)["device-model-args"], got);
}

#[test]
fn a_change_through_the_plugin_is_made_to_the_edit_as_well() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    edit(&pool, 1, "UPDATE vms SET priority = 1");
    pool.on(1).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
    assert_eq!(shown(&pool, 1, &vm), json!(["A", "medium", 6, true]));
}

#[test]
fn an_edit_of_what_another_host_has_removed_registers_it_again() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    pool.on(0).plugin("remove_vm", &[("vm_uuid", &vm)]);
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    let got = pool.on(1).start(&vm).unwrap();
    assert!(got.contains("pool_id=A,priority=high"), "{got}");
    pool.on(0).plugin("sync", &[]);
    assert_eq!(shown(&pool, 0, &vm), json!(["A", "high", 6, true]));
}

#[test]
fn an_edit_loses_nothing_of_a_single_change_that_it_did_not_know() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    pool.on(1).plugin("sync", &[]);
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    pool.on(1).plugin("sync", &[]);
    assert_eq!(shown(&pool, 1, &vm), json!(["A", "high", 6, true]));
}

#[test]
fn a_deletion_by_hand_is_a_removal_of_what_others_have_changed() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    edit(&pool, 1, "DELETE FROM vms");
    assert_eq!(pool.on(1).start(&vm), None);
    pool.on(0).plugin("sync", &[]);
    assert_eq!(pool.on(0).plugin("list_vms", &[]), json!([]));
}

#[test]
fn a_row_that_is_inserted_for_a_vm_that_another_host_has_registered_counts() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    let other = pool.host(0).create_vm("db01");
    pool.on(0).register(&other, "A", "high");
    pool.on(0).plugin("set_priority", &[("vm_uuid", &other), ("priority", "medium")]);
    edit(&pool, 1, &format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{other}', 'B', 0)"));
    let got = pool.on(1).start(&other).unwrap();
    assert!(got.contains("pool_id=B,priority=low"), "{got}");
    assert_eq!(shown(&pool, 1, &other), json!(["B", "low", 3, true]));
    assert_eq!(shown(&pool, 1, &vm), json!(["B", "low", 4, true]), "its neighbour is taken over as it is");
}

#[test]
fn an_edit_that_was_made_again_and_not_told_is_made_again_to_what_comes_then() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    // A read takes over what others have written, and tells XAPI nothing.
    assert_eq!(shown(&pool, 1, &vm), json!(["B", "high", 5, false]));
    for to in ["A", "B", "A"] {
        pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", to)]);
    }
    let got = pool.on(1).start(&vm).unwrap();
    assert!(got.contains("pool_id=A,priority=high"), "{got}");
    assert_eq!(shown(&pool, 1, &vm), json!(["A", "high", 8, true]));
}

#[test]
fn an_edit_that_xapi_was_told_of_is_not_made_again_although_that_was_not_noted() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    pool.on(1).plugin("sync", &[]);
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    assert!(pool.on(1).start(&vm).unwrap().contains("priority=high"));
    // As if the hook had ended before it noted that.
    edit(&pool, 1, &format!("UPDATE vm_state SET pushed_revision = 4 WHERE vm_uuid = '{vm}'"));
    for to in ["medium", "low"] {
        pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", to)]);
    }
    assert_eq!(shown(&pool, 1, &vm), json!(["B", "low", 7, true]));
}

#[test]
fn an_edit_of_a_restored_backup_gives_way_to_what_was_changed_since() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    let old = "datetime('now', '-1 day')";
    edit(&pool, 1, &format!("UPDATE vms SET priority = 2; UPDATE vms SET updated_at = {old}"));
    let got = pool.on(1).start(&vm).unwrap();
    assert!(got.contains("pool_id=B,priority=low"), "{got}");
    assert_eq!(shown(&pool, 1, &vm), json!(["B", "low", 4, true]));
}

#[test]
fn what_was_edited_is_known_however_short_the_history_is_kept() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    pool.on(1).root.settings("history = 0");
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    pool.on(1).root.admin_ok(&["register-vm", "--vm-uuid", &uuid(1), "--pool=A", "--priority=low", "--force"]);
    assert_eq!(shown(&pool, 1, &vm), json!(["B", "high", 5, false]));
}

#[test]
fn two_hosts_that_are_edited_come_to_one_state_and_lose_nothing() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    edit(&pool, 0, "UPDATE vms SET pool_id = 'A'");
    edit(&pool, 1, "UPDATE vms SET priority = 2");
    for host in [0, 1, 0] {
        pool.on(host).plugin("sync", &[]);
    }
    for host in [0, 1] {
        assert_eq!(shown(&pool, host, &vm), json!(["A", "high", 6, true]), "host {host}");
    }
}

#[test]
fn a_number_that_is_edited_stays_unless_another_vm_has_it() {
    let (pool, vm) = pool_whose_second_host_is_behind();
    edit(&pool, 1, &format!("UPDATE vm_state SET device_vm_id = 77 WHERE vm_uuid = '{vm}'"));
    let got = pool.on(1).start(&vm).unwrap();
    assert!(got.contains("pool_id=B,priority=low,vm_id=77"), "{got}");
    pool.on(1).shutdown(&vm).unwrap();
    let other = uuid(1);
    pool.on(0).plugin(
        "register_vm",
        &[("vm_uuid", &other), ("pool", "A"), ("priority", "low"), ("vm_id", "78"), ("force", "true")],
    );
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
    edit(&pool, 1, &format!("UPDATE vm_state SET device_vm_id = 78 WHERE vm_uuid = '{vm}'"));
    let got = pool.on(1).start(&vm).unwrap();
    assert!(got.contains("pool_id=A,priority=low,vm_id=77"), "{got}");
}

#[test]
fn the_first_start_after_an_insert_by_hand_has_the_arguments_and_so_has_xapi() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'A', 0)"));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert_eq!(boot.device_model_args, dom0.argument(&vm));
    assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm));
    let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!((&shown["in_xapi"], &shown["vm_name"]), (&true.into(), &"web01".into()));
}

#[test]
fn a_row_that_was_inserted_by_hand_and_never_seen_by_a_program_is_told_to_the_other_hosts_whole() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'B', 2)"));
    let got = dom0.start(&vm).unwrap();
    let told = dom0.shared(&vm).unwrap();
    let settings = told.settings.expect("it is registered, not removed");
    assert!(
        got.ends_with(&format!("pool_id={},priority={},vm_id={}", settings.pool, settings.priority, settings.vm_id))
    );
    assert_eq!(dom0.root.admin_json(&["sync"])["pushed"], json!([]));
}

#[test]
fn a_change_by_hand_while_running_is_in_the_reboot_whoever_asks_for_it() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.start(&vm).unwrap();
    dom0.sql("UPDATE vms SET priority = 0");
    assert_eq!(dom0.reboot_from_inside(&vm).unwrap(), before.replace("high", "low"));
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let boot = dom0.clean_reboot(&vm).unwrap();
    assert_eq!(boot.device_model_args.unwrap(), before.replace("high", "low").replace("pool_id=A", "pool_id=B"));
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), before.replace("high", "low").replace("pool_id=A", "pool_id=B"));
}

#[test]
fn a_deletion_by_hand_is_told_to_the_other_hosts_by_the_next_start() {
    for has_argument in [true, false] {
        let (dom0, vm) = Dom0::with_registered_vm();
        dom0.sql("DELETE FROM vms");
        if !has_argument {
            dom0.set_args_in_xapi(&vm, None);
        }
        assert_eq!(dom0.root.admin_json(&["status"])["not_in_xapi"], 1);
        assert_eq!((dom0.start(&vm), dom0.args_in_xapi(&vm)), (None, None));
        assert_eq!(dom0.shared(&vm).unwrap().settings, None, "also where no argument is left to take out");
        assert_eq!(dom0.root.admin_json(&["status"])["not_in_xapi"], 0);
        dom0.root.settings("unregistered = \"default\"");
        assert_eq!(dom0.reboot_from_inside(&vm), None, "who was removed on purpose is not registered again");
    }
}
