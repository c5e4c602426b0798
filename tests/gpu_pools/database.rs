//! The tables of GPU pools, edited by hand with dom0's own sqlite3, and what is kept of changes.

use super::*;
use vgpu_tests::tools::sql;

/// Inserts a GPU by hand.
fn insert(dom0: &Dom0, address: &str, pool: &str) {
    let host = dom0.host_uuid();
    dom0.sql(&format!("INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{host}', '{address}', '{pool}')"));
}

#[test]
fn an_edit_by_hand_counts_as_much_as_a_command() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    insert(&dom0, ADDRESS, "A");
    dom0.sql("UPDATE gpu_pools SET name = 'render', max_vms = 4 WHERE pool_id = 'A'");
    assert_eq!(dom0.plugin("show_pool", &[("pool", "A")])["in_xapi"], false);
    dom0.root.admin_ok(&["sync"]);
    assert!(shared(&dom0, "pool:A").unwrap().ends_with(r#" 4 ["render",null]"#));
    assert!(shared(&dom0, &format!("gpu:{gpu}")).unwrap().starts_with("1 A 1 "));
    dom0.sql("UPDATE gpus SET pool_id = 'B'");
    dom0.sql("DELETE FROM gpus");
    dom0.root.admin_ok(&["sync"]);
    assert!(shared(&dom0, &format!("gpu:{gpu}")).unwrap().starts_with("1 - 3 "));
}

#[test]
fn what_cannot_be_is_refused_with_what_is_expected() {
    let dom0 = Dom0::new();
    let host = dom0.host_uuid();
    for (statement, expected) in [
        (
            "INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('host01', '0000:81:00.0', 'A')".to_owned(),
            "host_uuid must be",
        ),
        (
            format!(
                "INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{}', '0000:81:00.0', 'A')",
                host.to_uppercase()
            ),
            "in lower case",
        ),
        (
            format!("INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{host}', '81:00.0', 'A')"),
            "pci_address must be",
        ),
        (
            format!("INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{host}', '0000:81:00.0', 'C')"),
            "constraint",
        ),
        ("UPDATE gpu_pools SET name = 'a' || char(10)".to_owned(), "name must be"),
        ("UPDATE gpu_pools SET description = ''".to_owned(), "NULL for none"),
        ("UPDATE gpu_pools SET max_vms = -1".to_owned(), "constraint"),
        ("UPDATE gpu_pools SET pool_id = 'C'".to_owned(), "always the GPU pools A and B"),
        ("DELETE FROM gpu_pools".to_owned(), "always the GPU pools A and B"),
    ] {
        let ran = sql(&dom0.root.database(), &statement);
        assert!(ran.stderr.contains(expected), "{statement}: {}", ran.stderr);
    }
    assert_eq!(dom0.sql("SELECT count(*) FROM gpus; SELECT count(*) FROM gpu_pools WHERE name IS NULL"), "0\n2\n");
}

#[test]
fn a_replaced_row_and_one_that_has_vanished_are_changes() {
    let dom0 = with_gpus();
    let (one, other) = (gpu(&dom0, ADDRESS), gpu(&dom0, OTHER));
    insert(&dom0, ADDRESS, "A");
    dom0.root.admin_ok(&["sync"]);
    let host = dom0.host_uuid();
    // The row's hidden number is that of the other one, which REPLACE takes away without a trigger.
    dom0.sql(&format!(
        "INSERT OR REPLACE INTO gpus (rowid, host_uuid, pci_address, pool_id) VALUES (1, '{host}', '{OTHER}', 'B')"
    ));
    dom0.sql("INSERT OR REPLACE INTO gpu_pools (pool_id, name) VALUES ('A', 'render')");
    dom0.root.admin_ok(&["sync"]);
    assert!(shared(&dom0, &format!("gpu:{one}")).unwrap().starts_with("1 - 2 "));
    assert!(shared(&dom0, &format!("gpu:{other}")).unwrap().starts_with("1 B 1 "));
    assert!(shared(&dom0, "pool:A").unwrap().contains("render"));
}

#[test]
fn the_history_has_the_changes_of_gpu_pools_among_those_of_vms() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=render", "--max-vms=8"]);
    dom0.plugin("assign_gpu", &[("pool", "A"), ("gpu", &gpu)]);
    dom0.sql("UPDATE gpu_pools SET max_vms = 9 WHERE pool_id = 'A'");
    let entries = dom0.plugin("history", &[]);
    let told = |field: &str| entries.as_array().unwrap().iter().map(|entry| entry[field].clone()).collect::<Vec<_>>();
    assert_eq!(told("subject"), [json!("pool:A"), json!(format!("gpu:{gpu}")), json!("pool:A")]);
    assert_eq!(told("through"), ["by hand", "plugin", "vgpu-admin"]);
    assert_eq!(told("changed_by"), [Value::Null, json!("root (test)"), json!("root")]);
    assert_eq!(entries[0]["from"], json!({"pool": null, "name": "render", "description": null, "max_vms": 8}));
    assert_eq!(entries[1]["to"]["pool"], "A");
    let table = dom0.root.admin_ok(&["history", "--limit=1", "--columns=from,to,vm", "--no-header"]);
    assert_eq!(table, "\"render\" max 8  \"render\" max 9  pool:A\n");
}

#[test]
fn a_damaged_database_gets_its_gpu_pools_back_from_the_file_and_from_xapi() {
    let dom0 = with_gpus();
    let gpu = gpu(&dom0, ADDRESS);
    dom0.root.admin_ok(&["set-gpu-pool", "B", "--name=render", "--max-vms=8"]);
    dom0.root.admin_ok(&["assign-gpu", "B", "--gpu", &gpu]);
    let rows = "SELECT * FROM gpu_pools; SELECT * FROM gpus; SELECT * FROM gpu_state; SELECT * FROM gpu_history";
    let before = dom0.sql(rows);
    dom0.root.admin_ok(&["recover", "--yes", "--force"]);
    assert_eq!(dom0.sql(rows), before, "everything was in the file");
    std::fs::write(dom0.root.database(), "damaged").unwrap();
    let reply = dom0.root.admin_json(&["recover", "--yes"]);
    assert_eq!(reply["gpu_pools"], 0);
    let shown = dom0.plugin("show_pool", &[("pool", "B")]);
    assert_eq!(
        (&shown["name"], &shown["max_vms"], &shown["gpus"][0]["pci_address"]),
        (&json!("render"), &json!(8), &json!(ADDRESS))
    );
}
