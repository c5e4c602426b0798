//! A database whose schema is newer than the program.

use std::fs;

use vgpu_config::store::LATEST_SCHEMA;
use vgpu_tests::VM;
use vgpu_tests::tools::sql_ok;

use crate::support::written_by;

#[test]
fn a_newer_database_is_refused_by_everyone_and_stays_untouched() {
    let root = written_by(LATEST_SCHEMA);
    sql_ok(&root.database(), &format!("PRAGMA user_version = {}", LATEST_SCHEMA + 1));
    let bytes = fs::read(root.database()).unwrap();
    for arguments in [&["list-vms"][..], &["remove-vm", "--yes", "--vm-uuid", VM], &["status"]] {
        let complaint = root.admin_fails(arguments);
        assert!(complaint.contains("nothing was changed"), "{complaint}");
    }
    assert!(root.admin(&["check"]).stdout.contains("WRONG  schema version"));
    let hook = root.hook(VM);
    assert_eq!(hook.code, Some(1), "{hook:?}");
    assert!(
        hook.stdout.contains(&format!("schema {}, but this program only knows {LATEST_SCHEMA}", LATEST_SCHEMA + 1)),
        "{hook:?}"
    );
    assert_eq!(fs::read(root.database()).unwrap(), bytes);
}
