//! What can be read of the file alone, with XAPI away.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use vgpu_config::store::LATEST_SCHEMA;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM, programs, uuid};

use crate::support::{
    MANY, all_but, assert_whole, interior, leaves, overwrite, recover, register_many, registered, rows, with_many_vms,
};

fn forget_the_history(root: &ScratchRoot) {
    sql_ok(&root.database(), "DELETE FROM history");
}

#[test]
fn of_a_healthy_database_every_row_of_every_table_is_read_as_sqlite_reads_it() {
    let root = with_many_vms();
    root.admin_ok(&["update-vm", "--vm-uuid", &uuid(7), "--vm-id=7", "--pool=A", "--priority=high"]);
    root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(8)]);
    let long = "long ".repeat(5000);
    for (number, name) in
        [(10, "NULL"), (11, "''"), (12, "'Z\u{fc}rich \u{1f600}'"), (13, "3.5"), (14, &format!("'{long}'"))]
    {
        sql_ok(&root.database(), &format!("UPDATE vms SET vm_name = {name} WHERE vm_uuid = '{}'", uuid(number)));
    }
    sql_ok(&root.database(), &format!("DELETE FROM vms WHERE vm_uuid = '{}'", uuid(9)));
    sql_ok(&root.database(), &format!("UPDATE vms SET priority = 2 WHERE vm_uuid = '{}'", uuid(15)));
    root.admin_ok(&["list-vms"]);
    let before = rows(&root.database());
    let ran = root.admin_ok(&["recover", "--yes", "--force"]);
    assert!(ran.contains(&format!("From the file saved: {} VMs, 2 removals, {MANY} last starts", MANY - 2)), "{ran}");
    assert_eq!(rows(&root.database()), before);
    assert_whole(&root);
}

#[test]
fn a_healthy_database_is_left_alone() {
    let root = with_many_vms();
    let before = fs::read(root.database()).unwrap();
    let complaint = root.admin_fails(&["recover", "--yes"]);
    assert!(complaint.contains("is healthy: there is nothing to recover"), "{complaint}");
    sql_ok(&root.database(), &format!("PRAGMA user_version = {}", LATEST_SCHEMA + 1));
    let complaint = root.admin_fails(&["recover", "--yes", "--force"]);
    assert!(complaint.contains("install the newer vgpu-config again"), "{complaint}");
    sql_ok(&root.database(), &format!("PRAGMA user_version = {LATEST_SCHEMA}"));
    assert_eq!(fs::read(root.database()).unwrap().len(), before.len());
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    let first = fs::read_to_string(programs::workspace().join("migrations/0001_vms.sql")).unwrap();
    sql_ok(&root.database(), &first);
    let complaint = root.admin_fails(&["recover", "--yes"]);
    assert!(complaint.contains("run 'vgpu-admin status' once"), "{complaint}");
}

#[test]
fn every_leaf_of_vms_that_is_lost_costs_its_own_rows_and_no_others() {
    let intact = with_many_vms();
    forget_the_history(&intact);
    for leaf in leaves(&intact.database(), "vms") {
        let root = ScratchRoot::new();
        root.write("etc/vgpu/vgpu_config.db", fs::read(intact.database()).unwrap());
        root.chmod("etc/vgpu/vgpu_config.db", 0o600);
        overwrite(&root.database(), leaf.offset, leaf.size);
        let lost: Vec<_> = (leaf.first..leaf.end).map(|row| u32::try_from(row).unwrap()).collect();
        let reply = recover(&root);
        assert_eq!(registered(&root), all_but(lost.iter().copied()));
        let named: Vec<_> = reply["lost"].as_array().unwrap().iter().map(|lost| lost["vm_uuid"].clone()).collect();
        assert_eq!(named, lost.iter().map(|number| uuid(*number)).collect::<Vec<_>>());
        for number in [0, MANY - 1].into_iter().filter(|number| !lost.contains(number)) {
            let vm = root.admin_json(&["show-vm", "--vm-uuid", &uuid(number)]);
            let pool = if number % 2 == 0 { "A" } else { "B" };
            assert_eq!((&vm["pool"], &vm["revision"]), (&pool.into(), &1.into()));
        }
    }
}

#[test]
fn what_a_lost_leaf_held_comes_back_from_the_history() {
    let root = with_many_vms();
    root.admin_ok(&["set-priority", "--vm-uuid", &uuid(0), "--priority=high"]);
    root.admin_ok(&["update-vm", "--vm-uuid", &uuid(1), "--vm-id=77"]);
    root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(2)]);
    let before = sql_ok(&root.database(), "SELECT vm_uuid, vm_name, pool_id, priority FROM vms ORDER BY vm_uuid");
    let states = sql_ok(&root.database(), "SELECT * FROM vm_state ORDER BY vm_uuid");
    let leaf = leaves(&root.database(), "vms")[0];
    overwrite(&root.database(), leaf.offset, leaf.size);
    let reply = recover(&root);
    assert_eq!(reply["from_history"].as_array().unwrap().len(), leaf.end);
    assert_eq!(
        sql_ok(&root.database(), "SELECT vm_uuid, vm_name, pool_id, priority FROM vms ORDER BY vm_uuid"),
        before
    );
    assert_eq!(sql_ok(&root.database(), "SELECT * FROM vm_state ORDER BY vm_uuid"), states);
}

#[test]
fn without_its_header_its_first_page_or_the_page_that_leads_to_the_leaves_the_file_gives_all_its_rows() {
    let intact = with_many_vms();
    let before = rows(&intact.database());
    let (root_of_vms, size) = interior(&intact.database(), "vms");
    let (root_of_states, _) = interior(&intact.database(), "vm_state");
    let all = fs::metadata(intact.database()).unwrap().len();
    for (what, offset, length) in [
        ("header", 0, 100),
        ("magic", 0, 16),
        ("page size", 16, 2),
        ("schema", 100, size - 100),
        ("first page", 0, size),
        ("root of vms", root_of_vms, size),
        ("root of vm_state", root_of_states, size),
        ("half an interior page", root_of_vms + 6, 20),
    ] {
        let root = ScratchRoot::new();
        root.write("etc/vgpu/vgpu_config.db", fs::read(intact.database()).unwrap());
        root.chmod("etc/vgpu/vgpu_config.db", 0o600);
        overwrite(&root.database(), offset, length);
        let reply = recover(&root);
        assert_eq!(rows(&root.database()), before, "{what}: {reply}");
        let kept = fs::metadata(reply["kept_as"].as_str().unwrap()).unwrap();
        assert_eq!(kept.len(), all, "{what}");
    }
}

#[test]
fn a_damaged_index_costs_nothing() {
    let root = with_many_vms();
    let before = rows(&root.database());
    for index in ["idx_vm_uuid", "idx_pool", "sqlite_autoindex_vms_1", "sqlite_autoindex_vm_state_1"] {
        let leaf = leaves_of_index(&root.database(), index);
        overwrite(&root.database(), leaf.0, leaf.1);
        recover(&root);
        assert_eq!(rows(&root.database()), before, "{index}");
    }
}

fn leaves_of_index(database: &Path, index: &str) -> (usize, usize) {
    let connection = rusqlite::Connection::open(database).unwrap();
    let sql = "SELECT pgoffset, pgsize FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path LIMIT 1";
    connection.query_row(sql, [index], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn half_a_page_gives_the_rows_of_its_other_half() {
    let root = with_many_vms();
    forget_the_history(&root);
    let leaf = leaves(&root.database(), "vms")[1];
    // Rows lie from the end of a page to its beginning: the first half holds the later ones.
    overwrite(&root.database(), leaf.offset + leaf.size / 2, leaf.size / 2);
    recover(&root);
    let kept = registered(&root).len();
    let rows = leaf.end - leaf.first;
    let all = usize::try_from(MANY).unwrap();
    assert!(kept > all - rows && kept < all - rows / 3, "{kept} of {all} with {rows} in the page");
    assert!(registered(&root).is_superset(&all_but((leaf.first..leaf.end).map(|row| u32::try_from(row).unwrap()))));
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_there() {
    let root = with_many_vms();
    forget_the_history(&root);
    let bytes = fs::read(root.database()).unwrap();
    let leaves = leaves(&root.database(), "vms");
    let cut = leaves[leaves.len() / 2].offset;
    fs::write(root.database(), &bytes[..cut]).unwrap();
    recover(&root);
    let there = leaves.iter().filter(|leaf| leaf.offset < cut).flat_map(|leaf| leaf.first..leaf.end);
    let there: BTreeSet<_> = there.map(|row| uuid(u32::try_from(row).unwrap())).collect();
    assert!(there.len() > 20, "{}", there.len());
    assert_eq!(registered(&root), there);
}

#[test]
fn removals_stay_removed_and_registrations_registered_wherever_the_damage_is() {
    let intact = with_many_vms();
    for number in (0..MANY).step_by(5) {
        sql_ok(&intact.database(), &format!("DELETE FROM vms WHERE vm_uuid = '{}'", uuid(number)));
    }
    intact.admin_ok(&["list-vms"]);
    let back = uuid(5);
    sql_ok(&intact.database(), &format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{back}', 'B', 0)"));
    let remaining = registered(&intact);
    let states = "SELECT vm_uuid, revision, removed_at IS NULL FROM vm_state ORDER BY vm_uuid";
    let before = sql_ok(&intact.database(), states);
    let bytes = fs::read(intact.database()).unwrap();
    for page in pages_with_registrations(&intact.database()) {
        let root = ScratchRoot::new();
        root.write("etc/vgpu/vgpu_config.db", &bytes);
        root.chmod("etc/vgpu/vgpu_config.db", 0o600);
        overwrite(&root.database(), (page - 1) * 4096, 4096);
        if root.admin(&["recover", "--yes"]).stderr.contains("is healthy") {
            continue;
        }
        assert!(registered(&root).is_subset(&remaining), "page {page} brings a removed VM back");
        let after = sql_ok(&root.database(), states);
        let revisions: Vec<_> = after.lines().filter(|line| !before.contains(line)).collect();
        // A row of vm_state that was lost is counted as never changed, so that every other host knows better.
        assert!(revisions.iter().all(|line| line.ends_with("|0|1")), "page {page}: {revisions:?}");
    }
}

/// The first page, and those of the tables that say what is registered and what was removed.
fn pages_with_registrations(database: &Path) -> Vec<usize> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let sql = "SELECT pageno FROM dbstat WHERE pageno = 1 OR name IN ('vms', 'vm_state')";
    let mut statement = connection.prepare(sql).unwrap();
    let pages: Vec<_> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(pages.len() > 8, "{pages:?}");
    pages
}

#[test]
fn rows_of_long_ago_that_free_pages_still_hold_do_not_come_back() {
    let root = with_many_vms();
    sql_ok(&root.database(), &format!("DELETE FROM vms WHERE vm_uuid <> '{}'", uuid(1)));
    root.admin_ok(&["set-pool", "--vm-uuid", &uuid(1), "--pool=A"]);
    let free: usize = sql_ok(&root.database(), "PRAGMA freelist_count").trim().parse().unwrap();
    assert!(free > 3, "{free}");
    let size = 4096;
    overwrite(&root.database(), 100, 200);
    recover(&root);
    assert_eq!(registered(&root), [uuid(1)].into());
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", &uuid(1)])["pool"], "A");
    assert_eq!(sql_ok(&root.database(), "PRAGMA page_size").trim(), size.to_string());
}

#[test]
fn a_database_made_by_hand_with_small_pages_and_its_columns_in_another_order_is_read() {
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    let by_hand = "PRAGMA page_size = 1024; CREATE TABLE vms (vm_uuid TEXT UNIQUE NOT NULL, pool_id CHAR(1) NOT NULL, \
        priority INTEGER NOT NULL, vm_name TEXT, vm_id INTEGER PRIMARY KEY, created_at TIMESTAMP, updated_at TIMESTAMP, note)";
    sql_ok(&root.database(), by_hand);
    register_many(&root);
    let before = rows(&root.database());
    assert_eq!(sql_ok(&root.database(), "PRAGMA page_size").trim(), "1024");
    let (root_of_history, size) = interior(&root.database(), "history");
    overwrite(&root.database(), root_of_history, size);
    recover(&root);
    assert_eq!(rows(&root.database()), before);
}

#[test]
fn an_older_schema_that_is_damaged_becomes_the_newest() {
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    for migration in ["0001_vms.sql", "0002_device_and_starts.sql"] {
        let text = fs::read_to_string(programs::workspace().join("migrations").join(migration)).unwrap();
        sql_ok(&root.database(), &text);
    }
    let insert = format!("INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('{VM}', 'web01', 'A', 2)");
    sql_ok(&root.database(), &format!("PRAGMA user_version = 2; {insert}; UPDATE vms SET pool_id = 'B'"));
    sql_ok(&root.database(), "UPDATE vm_state SET device_vm_id = 12");
    let page: usize = sql_ok(&root.database(), "PRAGMA page_size").trim().parse().unwrap();
    let index: usize =
        sql_ok(&root.database(), "SELECT rootpage FROM sqlite_master WHERE name = 'idx_pool'").trim().parse().unwrap();
    overwrite(&root.database(), (index - 1) * page, page);
    recover(&root);
    let vm = root.admin_json(&["show-vm", "--vm-uuid", VM]);
    assert_eq!((&vm["pool"], &vm["vm_id"], &vm["revision"]), (&"B".into(), &12.into(), &2.into()));
}

#[test]
fn half_a_dump_without_a_version_and_a_row_that_makes_no_sense_are_recovered() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    sql_ok(&root.database(), "DROP TABLE history; DROP TRIGGER vms_deleted; PRAGMA user_version = 0");
    let bad = "DROP TRIGGER vms_refuse_bad_uuid_insert; DROP TRIGGER vms_inserted; DROP TRIGGER history_of_registration; \
        INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('not a UUID', 'A', 1)";
    sql_ok(&root.database(), bad);
    let reply = recover(&root);
    assert!(reply["notes"].to_string().contains("'not a UUID', NULL, 'A', 1"), "{reply}");
    let vm = root.admin_json(&["show-vm", "--vm-uuid", VM]);
    assert_eq!((&vm["pool"], &vm["vm_id"], &vm["revision"]), (&"A".into(), &1_170_751_909_u32.into(), &1.into()));
}
