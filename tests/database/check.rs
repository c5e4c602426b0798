//! What `check` says of the database.

use vgpu_tests::ScratchRoot;
use vgpu_tests::tools::sql_ok;

use crate::support::{checked, with_database};

#[test]
fn check_names_each_thing_that_is_missing() {
    for (damage, item, complaint) in [
        ("DROP TABLE last_starts", "tables", "last_starts"),
        ("DROP INDEX idx_pool", "indexes", "idx_pool"),
        ("DROP TRIGGER vms_touched", "triggers", "vms_touched"),
        ("ALTER TABLE last_starts RENAME TO x; CREATE TABLE last_starts (vm_uuid)", "columns", "last_starts.host_uuid"),
        (
            "DROP TABLE vms; CREATE TABLE vms (vm_id INTEGER, vm_uuid TEXT, vm_name, pool_id, priority, created_at, updated_at)",
            "constraints",
            "a pool_id other than A and B",
        ),
    ] {
        let root = with_database();
        sql_ok(&root.database(), damage);
        let check = checked(&root);
        let found = check["checks"].as_array().unwrap().iter().find(|entry| entry["name"] == item).unwrap().clone();
        assert_eq!(found["ok"], false, "{damage}: {found}");
        assert!(found["message"].as_str().unwrap().contains(complaint), "{damage}: {found}");
    }
    let root = with_database();
    root.chmod("etc/vgpu/vgpu_config.db", 0o644);
    assert!(root.admin(&["check"]).stdout.contains("chmod 600"));
}

#[test]
fn check_changes_nothing_not_even_where_there_is_nothing() {
    let root = ScratchRoot::new();
    assert_eq!(root.admin(&["check"]).code, Some(1));
    assert!(!root.path("etc/vgpu").exists());
}
