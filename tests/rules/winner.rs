//! Rule 4: the winner is decided by revision, then time, then content, on every host alike. Clocks may disagree.

use vgpu_tests::ResourcePool;

use crate::support::{
    HOSTS, assert_one_state, entry, known_vm, pool_with_known_vm, pool_with_vm, row, set_pool, set_value, shown, sql,
    started, sync_all, value,
};

/// Every order in which three hosts may meet.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// What is changed on a host: GPU pool, how many changes that counts as, and when it was.
type Edit = (&'static str, i64, &'static str);

/// Changes a VM on a host as `vgpu-admin` does while XAPI is away.
fn edit(pool: &ResourcePool, host: usize, vm: &str, (to, changes, when): Edit) {
    let removal = format!("DELETE FROM vms WHERE vm_uuid = '{vm}'");
    let update = format!("UPDATE vms SET pool_id = '{to}' WHERE vm_uuid = '{vm}'");
    sql(
        pool,
        host,
        &format!(
            "{}; UPDATE vm_state SET revision = 1 + {changes} WHERE vm_uuid = '{vm}';
             UPDATE vm_state SET removed_at = '{when}' WHERE vm_uuid = '{vm}' AND removed_at IS NOT NULL;
             UPDATE vms SET updated_at = '{when}' WHERE vm_uuid = '{vm}';
             UPDATE history SET through = 'vgpu-admin' WHERE vm_uuid = '{vm}'",
            if to == "-" { removal } else { update }
        ),
    );
}

/// Lets three hosts disagree about a VM and meet in every order; they always settle on this GPU pool.
fn assert_winner(edits: [Edit; 3], winner: &str) {
    let (pool, _) = pool_with_known_vm();
    for order in ORDERS {
        let vm = known_vm(&pool);
        for (host, edited) in edits.into_iter().enumerate() {
            edit(&pool, host, &vm, edited);
        }
        for host in order {
            pool.on(host).plugin("sync", &[]);
        }
        // Once more, for those that came first.
        sync_all(&pool);
        let why = format!("{edits:?} in order {order:?}");
        assert_one_state(&pool, &vm, &why);
        let settled = entry(&pool, &vm).unwrap().settings.map_or("-".to_owned(), |settings| settings.pool.to_string());
        assert_eq!(settled, winner, "{why}");
    }
}

#[test]
fn the_higher_revision_wins_whatever_the_clocks_say() {
    assert_winner(
        [("A", 1, "2038-01-01 00:00:00"), ("B", 2, "1999-12-31 23:59:59"), ("A", 0, "2055-06-01 00:00:00")],
        "B",
    );
}

#[test]
fn of_equal_revisions_the_later_change_wins() {
    assert_winner(
        [("A", 1, "2026-01-01 00:00:01"), ("B", 1, "2026-01-01 00:00:00"), ("B", 1, "1999-01-01 00:00:00")],
        "A",
    );
    assert_winner(
        [("A", 1, "2026-01-01 00:00:00"), ("A", 1, "2025-01-01 00:00:00"), ("B", 1, "2061-01-01 00:00:00")],
        "B",
    );
}

#[test]
fn of_equal_revisions_and_times_the_content_decides() {
    let same = "2026-01-01 00:00:00";
    assert_winner([("A", 1, same), ("B", 1, same), ("A", 1, same)], "B");
    assert_winner([("-", 1, same), ("A", 1, same), ("-", 1, same)], "A");
}

#[test]
fn a_removal_wins_and_loses_by_the_same_rule() {
    assert_winner(
        [("B", 1, "2099-01-01 00:00:00"), ("-", 2, "2020-01-01 00:00:00"), ("A", 0, "2026-01-01 00:00:00")],
        "-",
    );
    assert_winner(
        [("B", 3, "2020-01-01 00:00:00"), ("-", 2, "2099-01-01 00:00:00"), ("A", 0, "2026-01-01 00:00:00")],
        "B",
    );
}

#[test]
fn starts_settle_a_disagreement_as_syncs_do() {
    let (pool, _) = pool_with_known_vm();
    for order in ORDERS {
        let vm = known_vm(&pool);
        let edits = [("A", 1, "2050-01-01 00:00:00"), ("B", 2, "2001-01-01 00:00:00"), ("A", 2, "2000-01-01 00:00:00")];
        for (host, edited) in edits.into_iter().enumerate() {
            edit(&pool, host, &vm, edited);
        }
        for host in order {
            started(&pool, host, &vm);
        }
        for host in 0..HOSTS {
            let got = started(&pool, host, &vm).unwrap();
            assert!(got.contains("pool_id=B"), "host {host} in order {order:?}: {got}");
        }
        assert_one_state(&pool, &vm, &format!("{order:?}"));
    }
}

#[test]
fn a_host_whose_clock_is_years_ahead_does_not_keep_others_from_changing_what_it_has_changed() {
    let (pool, vm) = pool_with_known_vm();
    edit(&pool, 2, &vm, ("B", 1, "2061-01-01 00:00:00"));
    pool.on(2).plugin("sync", &[]);
    for (host, to) in [(0, "A"), (1, "B"), (0, "A")] {
        set_pool(&pool, host, &vm, to);
        for other in 0..HOSTS {
            let got = started(&pool, other, &vm).unwrap();
            assert!(got.contains(&format!("pool_id={to}")), "host {other}: {got}");
        }
    }
    assert_one_state(&pool, &vm, "after all of them");
    assert_eq!(row(&pool, 2, &vm).split('|').nth(4), Some("5"), "five revisions: {}", row(&pool, 2, &vm));
}

#[test]
fn a_time_that_is_none_decides_nothing_and_harms_nothing() {
    assert_winner([("A", 1, "yesterday"), ("B", 1, "2001-01-01 00:00:00"), ("A", 0, "-5000-01-01")], "B");
}

#[test]
fn a_name_that_a_start_notes_is_no_later_change() {
    let (pool, vm) = pool_with_known_vm();
    let number = entry(&pool, &vm).unwrap().vm_id.unwrap();
    let told = format!("1 B 1 {number} 5 1577836800");
    set_value(&pool, &vm, Some(&told));
    for host in (0..HOSTS).chain(0..HOSTS) {
        started(&pool, host, &vm);
        assert_eq!(value(&pool, &vm).as_ref(), Some(&told), "host {host}");
        assert_eq!(pool.on(host).plugin("show_vm", &[("vm_uuid", &vm)])["vm_name"], "web01", "host {host}");
    }
    assert_one_state(&pool, &vm, "after the starts");
}

#[test]
fn what_somebody_chose_counts_more_than_a_default_that_a_start_gave() {
    let (pool, vm) = pool_with_vm();
    pool.on(1).root.settings("unregistered = \"default\"");
    pool.on(1).start(&vm);
    let given = entry(&pool, &vm).unwrap();
    assert_eq!(given.revision, 0);
    // Chosen on another host while this one was cut off, long before.
    set_value(&pool, &vm, Some(&format!("1 B 2 {} 1 1790000000", given.vm_id.unwrap())));
    pool.on(1).plugin("sync", &[]);
    assert_eq!(shown(&pool, 1, &vm), "B");
}
