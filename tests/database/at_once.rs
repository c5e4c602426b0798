//! Several programs at once.

use std::thread;
use std::time::Duration;

use vgpu_config::store::{Registration, Store, StoreError};
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM, uuid};

use crate::support::with_database;

#[test]
fn a_locked_database_is_reported_as_locked() {
    let root = with_database();
    let holder = Store::open(&root.database()).unwrap();
    let writing = holder.write().unwrap();
    let other = Store::open_existing(&root.database(), Duration::from_millis(50)).unwrap();
    assert!(other.read().registration(&VM.parse().unwrap()).is_ok(), "a writer that waits blocks no reader");
    assert!(matches!(other.write(), Err(StoreError::Locked)));
    drop(writing);
    assert!(other.write().is_ok());
}

#[test]
fn a_dropped_change_has_not_happened() {
    let root = with_database();
    let store = Store::open(&root.database()).unwrap();
    let vm = VM.parse().unwrap();
    let writing = store.write().unwrap();
    writing.insert(&vm, None, "A".parse().unwrap(), "low".parse().unwrap(), None).unwrap();
    assert!(matches!(writing.read().registration(&vm), Ok(Registration::Registered(_))));
    drop(writing);
    assert_eq!(store.read().registration(&vm).unwrap(), Registration::Unknown);
}

#[test]
fn eight_programs_that_start_with_no_database_at_once_lose_nothing() {
    // Several times: who meets whom in the middle of what is left to chance.
    for _ in 0..10 {
        let root = ScratchRoot::new();
        thread::scope(|scope| {
            for number in 0..8 {
                let root = &root;
                scope.spawn(move || root.register(&uuid(number), &format!("vm{number}"), "A", "low"));
            }
        });
        let list = root.admin_json(&["list-vms"]);
        assert_eq!(list.as_array().unwrap().len(), 8);
        assert_eq!(sql_ok(&root.database(), "PRAGMA integrity_check").trim_end(), "ok");
    }
}
