//! Databases with many VMs, and ways to damage them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, uuid};

/// How many VMs a database has that is damaged: some of its tables have several leaves then.
pub const MANY: u32 = 240;

/// The rows of all tables, as text.
pub const ROWS: [&str; 4] = [
    "SELECT vm_id, vm_uuid, quote(vm_name), pool_id, priority, created_at, updated_at FROM vms ORDER BY vm_id",
    "SELECT vm_uuid, device_vm_id, revision, pushed_revision, quote(removed_at), known_to_xapi FROM vm_state ORDER BY vm_uuid",
    "SELECT vm_uuid, started_at, host_uuid, device_argument, history_entry FROM last_starts ORDER BY vm_uuid",
    "SELECT * FROM history ORDER BY entry_id",
];

/// Registers VMs by hand, all alike but for what their number says, and lets a program complete them.
pub fn register_many(root: &ScratchRoot) {
    root.admin_ok(&["list-vms"]);
    let rows = (0..MANY).map(|number| {
        let (pool, priority) = (if number % 2 == 0 { "A" } else { "B" }, number % 3);
        format!(
            "INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('{}', 'vm {number}', '{pool}', {priority});
             INSERT INTO last_starts (vm_uuid, host_uuid, device_argument) VALUES ('{0}', 'some host', '-device x');",
            uuid(number)
        )
    });
    let rows: String = rows.collect();
    sql_ok(&root.database(), &format!("BEGIN; {rows} COMMIT"));
    root.admin_ok(&["list-vms"]);
}

/// A root with many VMs, and without XAPI.
pub fn with_many_vms() -> ScratchRoot {
    let root = ScratchRoot::new();
    register_many(&root);
    root
}

/// A host with many VMs, all of them told to XAPI.
pub fn host_with_many_vms() -> Dom0 {
    let dom0 = Dom0::new();
    register_many(&dom0.root);
    dom0.root.admin_ok(&["sync"]);
    dom0
}

/// All rows, table by table.
pub fn rows(database: &Path) -> Vec<String> {
    ROWS.iter().map(|query| sql_ok(database, query)).collect()
}

/// The UUIDs of the registered VMs.
pub fn registered(root: &ScratchRoot) -> BTreeSet<String> {
    sql_ok(&root.database(), "SELECT vm_uuid FROM vms").lines().map(str::to_owned).collect()
}

/// All that were registered but these.
pub fn all_but(lost: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    let lost: BTreeSet<_> = lost.into_iter().collect();
    (0..MANY).filter(|number| !lost.contains(number)).map(uuid).collect()
}

/// A page of a table: where it lies in the file, and the numbers of its first row and of the one after its last.
#[derive(Debug, Clone, Copy)]
pub struct Leaf {
    pub offset: usize,
    pub size: usize,
    pub first: usize,
    pub end: usize,
}

/// The leaves of a table, in the order of their rows.
pub fn leaves(database: &Path, table: &str) -> Vec<Leaf> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection
        .prepare("SELECT pgoffset, pgsize, ncell FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' ORDER BY path")
        .unwrap();
    let mut end = 0;
    let mut leaf = |row: &rusqlite::Row<'_>| {
        let first = end;
        end += row.get::<_, usize>(2)?;
        Ok(Leaf { offset: row.get(0)?, size: row.get(1)?, first, end })
    };
    let leaves: Vec<_> = statement.query_map([table], |row| leaf(row)).unwrap().map(Result::unwrap).collect();
    assert!(leaves.len() > 3, "{table} has {} leaves", leaves.len());
    leaves
}

/// The offset and the size of the page that leads to a table's leaves.
pub fn interior(database: &Path, name: &str) -> (usize, usize) {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT pgoffset, pgsize FROM dbstat WHERE name = ?1 AND pagetype = 'internal'";
    connection.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Writes over a part of a file.
pub fn overwrite(database: &Path, offset: usize, length: usize) {
    let mut bytes = fs::read(database).unwrap();
    bytes[offset..offset + length].fill(0xA5);
    fs::write(database, bytes).unwrap();
}

/// Recovers, whatever is lost, and answers what was said.
pub fn recover(root: &ScratchRoot) -> serde_json::Value {
    let ran = root.admin(&["recover", "--yes", "--format", "json"]);
    assert!(matches!(ran.code, Some(0 | 1)) && !ran.stdout.is_empty(), "{ran:?}");
    let reply: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let is_all = reply["lost"].as_array().unwrap().is_empty();
    assert_eq!(ran.code, Some(i32::from(!is_all)), "it ends with 1 where something is lost");
    assert_whole(root);
    reply
}

/// The new database is as the programs make one.
pub fn assert_whole(root: &ScratchRoot) {
    let checked: serde_json::Value = serde_json::from_str(&root.admin(&["check", "--format", "json"]).stdout).unwrap();
    for item in
        ["file", "integrity", "schema version", "tables", "indexes", "triggers", "columns", "constraints", "rows"]
    {
        let found = checked["checks"].as_array().unwrap().iter().find(|check| check["name"] == item);
        assert!(found.is_some_and(|check| check["ok"] == true), "{item}: {found:?}");
    }
}
