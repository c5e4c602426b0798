//! Rule 8: a value is one short line. An operation reads the pool's map once, and changes it once for each VM that changes.

use serde_json::json;
use vgpu_config::entry::{LARGEST_REVISION, LONGEST_VALUE};
use vgpu_tests::ResourcePool;

use crate::support::{
    HOSTS, args, assert_one_state, known_vm, pool_with_known_vm, pool_with_vm, set_args, set_pool, set_value, sql,
    started, sync_all,
};

/// How often the pool's map is read, and how many entries are written and taken away, while something is done.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    read: usize,
    removed: usize,
    added: usize,
}

fn cost(pool: &ResourcePool, work: impl FnOnce()) -> Cost {
    pool.clear_calls();
    work();
    let calls = pool.calls();
    let count = |method: &str| calls.iter().filter(|call| *call == method).count();
    Cost {
        read: count("pool.get_other_config") + count("pool.get_record") + count("pool.get_all_records"),
        removed: count("pool.remove_from_other_config"),
        added: count("pool.add_to_other_config"),
    }
}

/// The same for a function of the plugin, without the question whether the caller may change anything, which removes a key
/// that is not there.
fn plugin_cost(pool: &ResourcePool, host: usize, function: &str, arguments: &[(&str, &str)]) -> Cost {
    let mut cost = cost(pool, || drop(pool.on(host).plugin(function, arguments)));
    cost.removed -= 1;
    cost
}

fn value_of(pool: &ResourcePool, vm: &str) -> String {
    crate::support::value(pool, vm).expect("it has an entry")
}

/// One read, and so many entries changed.
fn one_read_and(changed: usize) -> Cost {
    Cost { read: 1, removed: changed, added: changed }
}

#[test]
fn values_are_one_short_line_with_the_format_first_and_no_control_characters() {
    let (pool, vm) = pool_with_vm();
    let register = [("vm_uuid", vm.as_str()), ("pool", "B"), ("priority", "medium"), ("vm_id", "4294967295")];
    pool.on(1).plugin("register_vm", &register);
    // As many changes and as late as can be.
    sql(
        &pool,
        1,
        &format!(
            "UPDATE vm_state SET revision = 9007199254740000 WHERE vm_uuid = '{vm}';
             UPDATE vms SET updated_at = '9999-12-31 23:59:59', vm_name = 'a\x01b' || char(10) WHERE vm_uuid = '{vm}'"
        ),
    );
    pool.on(1).plugin("sync", &[]);
    let assert_short = |host: usize, what: &str| {
        let value = value_of(&pool, &vm);
        assert!(value.len() <= LONGEST_VALUE && LONGEST_VALUE <= 48, "{what} on host {host}: {value}");
        assert!(value.starts_with("1 ") && !value.contains(char::is_control), "{what} on host {host}: {value:?}");
    };
    assert_short(1, "sync");
    for host in 0..HOSTS {
        set_pool(&pool, host, &vm, if host == 1 { "B" } else { "A" });
        assert_short(host, "set_pool");
        pool.on(host).plugin("remove_vm", &[("vm_uuid", &vm)]);
        assert_short(host, "remove_vm");
        pool.on(host).register(&vm, "B", "low");
        assert_short(host, "register_vm");
        assert!(started(&pool, host, &vm).unwrap().contains("pool_id=B,priority=low,vm_id=4294967295"));
        assert_short(host, "start");
    }
}

#[test]
fn a_change_of_what_has_the_largest_revision_is_understood_by_every_host() {
    let (pool, vm) = pool_with_known_vm();
    let vm_id = value_of(&pool, &vm).split(' ').nth(3).unwrap().to_owned();
    set_value(&pool, &vm, Some(&format!("1 A 2 {vm_id} {LARGEST_REVISION} 0")));
    sync_all(&pool);
    set_pool(&pool, 0, &vm, "B");
    let changed = value_of(&pool, &vm);
    assert!(changed.starts_with(&format!("1 B 2 {vm_id} {LARGEST_REVISION} ")), "{changed}");
    sync_all(&pool);
    for host in 0..HOSTS {
        assert!(started(&pool, host, &vm).unwrap().contains("pool_id=B"), "host {host}");
    }
    assert_eq!(value_of(&pool, &vm), changed, "nobody has anything to correct");
    for host in 0..HOSTS {
        let shown = pool.on(host).root.admin_json(&["show-vm", "--vm-uuid", &vm]);
        assert_eq!(shown["in_xapi"], true, "host {host}: {shown}");
        assert!(pool.on(host).root.admin_ok(&["sync", "--dry-run"]).contains("Nothing to do"), "host {host}");
    }
}

#[test]
fn fields_of_a_newer_program_do_not_make_a_value_too_long_or_bring_in_control_characters() {
    let (pool, vm) = pool_with_known_vm();
    for more in ["a".repeat(60), "x\ny=1".to_owned(), "x\u{7f}".to_owned()] {
        let value = value_of(&pool, &vm);
        set_value(&pool, &vm, Some(&format!("{} {more}", value.split(' ').take(6).collect::<Vec<_>>().join(" "))));
        for (host, to) in [(0, "B"), (1, "A"), (2, "B")] {
            set_pool(&pool, host, &vm, to);
            let value = value_of(&pool, &vm);
            assert!(value.len() <= LONGEST_VALUE && !value.contains(char::is_control), "{more:?}: {value:?}");
            assert!(value.starts_with(&format!("1 {to} ")), "{more:?}: {value:?}");
        }
    }
}

#[test]
fn an_operation_on_one_vm_reads_once_and_changes_one_entry() {
    let (pool, vm) = pool_with_known_vm();
    for _ in 0..3 {
        known_vm(&pool);
    }
    for (host, function, more) in [
        (0, "set_pool", &[("pool", "B")][..]),
        (1, "set_priority", &[("priority", "low")]),
        (2, "update_vm", &[("pool", "A"), ("priority", "high"), ("vm_id", "77")]),
        (1, "remove_vm", &[]),
        (0, "register_vm", &[("pool", "B"), ("priority", "low")]),
    ] {
        let arguments = [&[("vm_uuid", vm.as_str())], more].concat();
        assert_eq!(plugin_cost(&pool, host, function, &arguments), one_read_and(1), "{function} on host {host}");
    }
    let again = [("vm_uuid", vm.as_str()), ("pool", "B")];
    assert_eq!(plugin_cost(&pool, 2, "set_pool", &again), one_read_and(0), "the same again");
    let by_root = cost(&pool, || drop(pool.on(2).root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool", "A"])));
    assert_eq!(by_root, one_read_and(1), "by the command line");
    let new = pool.host(0).create_vm("new");
    let register = [("vm_uuid", new.as_str()), ("pool", "B"), ("priority", "low")];
    let registered = plugin_cost(&pool, 1, "register_vm", &register);
    assert_eq!(registered, Cost { read: 1, removed: 0, added: 1 }, "where there was no entry, none is removed");
}

#[test]
fn an_operation_on_many_vms_changes_one_entry_for_each_that_changes() {
    let (pool, one) = pool_with_known_vm();
    let (two, unchanged) = (known_vm(&pool), known_vm(&pool));
    let vm = |uuid: &str, to: &str| json!({"vm_uuid": uuid, "pool": to, "priority": "high"});
    let file = json!({"version": 1, "vm": [vm(&one, "B"), vm(&two, "B"), vm(&unchanged, "A")]}).to_string();
    assert_eq!(plugin_cost(&pool, 2, "import", &[("config", &file)]), one_read_and(2), "import");
    assert_eq!(plugin_cost(&pool, 0, "sync", &[]), one_read_and(0), "a sync that only takes over");
    for vm in [&one, &two] {
        sql(&pool, 0, &format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{vm}'"));
    }
    // Each is looked at again when it is locked: another host may have changed it since.
    assert_eq!(plugin_cost(&pool, 0, "sync", &[]), Cost { read: 3, ..one_read_and(2) }, "a sync of two changes");
    let found = [1, 2].map(|number| {
        let found = pool.host(0).create_vm("found");
        set_args(&pool, &found, Some(&format!("-device vgpu-stub,pool_id=A,priority=low,vm_id={number}")));
        found
    });
    assert_eq!(plugin_cost(&pool, 1, "adopt", &[]), Cost { read: 3, removed: 0, added: 2 }, "adopt");
    sync_all(&pool);
    for vm in &found {
        pool.host(0).destroy(vm).unwrap();
    }
    assert_eq!(plugin_cost(&pool, 2, "prune", &[]), Cost { read: 3, removed: 2, added: 0 }, "prune");
    assert_eq!(
        plugin_cost(&pool, 1, "prune", &[]),
        Cost { read: 3, ..one_read_and(0) },
        "prune of what is gone already"
    );
}

#[test]
fn what_only_looks_reads_the_pools_map_at_most_once_and_changes_nothing() {
    let (pool, vm) = pool_with_known_vm();
    for (function, arguments) in [
        ("show_vm", &[("vm_uuid", vm.as_str())][..]),
        ("list_vms", &[]),
        ("scan_vms", &[]),
        ("export", &[]),
        ("sync", &[("dry_run", "true")]),
        ("adopt", &[("dry_run", "true")]),
        ("prune", &[("dry_run", "true")]),
    ] {
        let cost = cost(&pool, || drop(pool.on(1).plugin(function, arguments)));
        assert!(cost.read <= 1 && (cost.removed, cost.added) == (0, 0), "{function}: {cost:?}");
    }
}

#[test]
fn a_start_reads_once_and_changes_at_most_its_own_entry() {
    let (pool, vm) = pool_with_known_vm();
    let other = known_vm(&pool);
    let start = |host: usize| cost(&pool, || drop(started(&pool, host, &vm)));
    assert_eq!(start(1), one_read_and(0), "nothing has changed");
    set_pool(&pool, 0, &vm, "B");
    set_pool(&pool, 0, &other, "B");
    assert_eq!(start(1), one_read_and(0), "two changes elsewhere");
    sql(&pool, 1, "UPDATE vms SET priority = 0");
    assert_eq!(start(1), one_read_and(1), "two changes by hand here, of which one is this VM's");
    set_value(&pool, &vm, None);
    assert_eq!(start(1), Cost { read: 1, removed: 0, added: 1 }, "its entry was lost");
    set_args(&pool, &vm, None);
    assert_eq!(start(0), one_read_and(0), "its arguments were lost");
    let stranger = pool.host(0).create_vm("stranger");
    assert_eq!(cost(&pool, || drop(started(&pool, 2, &stranger))), one_read_and(0), "a VM that is not ours");
}

#[test]
fn a_value_that_nobody_of_ours_wrote_is_written_over() {
    let (pool, vm) = pool_with_known_vm();
    for host in 0..HOSTS {
        set_value(&pool, &vm, Some("nonsense"));
        pool.host(0).set_pool_other_config("vgpu:no-uuid", Some("nonsense"));
        assert_eq!(started(&pool, host, &vm), args(&pool, &vm), "host {host}");
        assert_one_state(&pool, &vm, &format!("after a start on host {host}"));
    }
}
