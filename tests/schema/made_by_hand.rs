//! A table `vms` that was made before vgpu-config: as it is described to people, and with what a hand can leave in it.

use std::fs;

use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM, programs};

/// A root with a table `vms` and these rows: a UUID, a GPU pool and a priority each.
fn with_rows(rows: &[(&str, &str, u8)]) -> ScratchRoot {
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    sql_ok(&root.database(), &fs::read_to_string(programs::workspace().join("tests/databases/vms.sql")).unwrap());
    for (vm, pool, priority) in rows {
        let insert = format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', '{pool}', {priority})");
        sql_ok(&root.database(), &insert);
    }
    root
}

/// SQL as it is compared: without comments, IF NOT EXISTS and spacing.
fn plain(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    words.replace("IF NOT EXISTS ", "").replace("( ", "(").replace(" )", ")")
}

#[test]
fn migration_1_is_exactly_the_table_vms_and_its_three_indexes() {
    let first = fs::read_to_string(programs::workspace().join("migrations/0001_vms.sql")).unwrap();
    assert_eq!(
        plain(&first),
        "CREATE TABLE vms (vm_id INTEGER PRIMARY KEY AUTOINCREMENT, vm_uuid TEXT UNIQUE NOT NULL, vm_name TEXT, \
         pool_id CHAR(1) NOT NULL CHECK (pool_id IN ('A', 'B')), priority INTEGER NOT NULL CHECK (priority IN (0, 1, 2)), \
         created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP); \
         CREATE INDEX idx_vm_uuid ON vms (vm_uuid); CREATE INDEX idx_pool ON vms (pool_id); \
         CREATE INDEX idx_priority ON vms (priority);"
    );
}

#[test]
fn a_row_that_no_program_understands_is_named_and_the_others_work_on() {
    let root = with_rows(&[("not a UUID", "A", 2), (VM, "B", 1)]);
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["pool"], "B");
    let complaint = root.admin_fails(&["list-vms"]);
    assert!(complaint.contains("'not a UUID'") && complaint.contains("sqlite3"), "{complaint}");
    let check = root.admin(&["check"]).stdout;
    assert!(check.contains("WRONG  rows") && check.contains("'not a UUID'"), "{check}");
}

#[test]
fn one_uuid_in_two_spellings_is_found_by_check_as_one_vm_with_two_rows() {
    let root = with_rows(&[(VM, "B", 1), (&VM.to_uppercase(), "A", 2)]);
    for command in ["check", "list-vms", "check"] {
        let ran = root.admin(&[command]);
        if command == "check" {
            assert!(ran.stdout.contains("WRONG  rows"), "{ran:?}");
            assert!(ran.stdout.contains(&format!("VM {VM} has several rows")), "{ran:?}");
            assert!(ran.stdout.contains("GPU pool B priority 1 and GPU pool A priority 2"), "{ran:?}");
        }
    }
    let checked = root.admin(&["check"]).stdout;
    let (_, advice) = checked.split_once("vgpu_config.db \"").unwrap();
    sql_ok(&root.database(), advice.split_once('"').unwrap().0);
    root.register(VM, "web01", "A", "high");
    assert!(!root.admin(&["check"]).stdout.contains("WRONG  rows"));
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["pool"], "A");
}
