//! A database of the newest schema, and what is seen of it.

use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM};

/// A root with an empty database of the newest schema.
pub fn with_database() -> ScratchRoot {
    let root = ScratchRoot::new();
    root.admin_ok(&["list-vms"]);
    root
}

pub fn insert(vm_uuid: &str, pool: &str, priority: u8) -> String {
    format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm_uuid}', '{pool}', {priority});")
}

pub fn state(root: &ScratchRoot, column: &str) -> String {
    sql_ok(&root.database(), &format!("SELECT {column} FROM vm_state WHERE vm_uuid = '{VM}'")).trim_end().to_owned()
}

/// What check answers, whatever it ends with.
pub fn checked(root: &ScratchRoot) -> serde_json::Value {
    serde_json::from_str(&root.admin(&["check", "--format", "json"]).stdout).unwrap()
}
