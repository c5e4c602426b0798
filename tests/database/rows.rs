//! Rows that are written with dom0's own sqlite3: what they mean, and what is refused.

use simulated_host::{Fault, Service};
use vgpu_tests::tools::{sql, sql_ok};
use vgpu_tests::{Dom0, VM, uuid};

use crate::support::{insert, state, with_database};

#[test]
fn a_row_inserted_with_dom0s_sqlite3_is_a_registered_vm() {
    let root = with_database();
    sql_ok(&root.database(), &insert(VM, "A", 2));
    let vm = root.admin_json(&["show-vm", "--vm-uuid", VM]);
    assert_eq!((&vm["pool"], &vm["priority"], &vm["vm_id"]), (&"A".into(), &"high".into(), &1_170_751_909_u32.into()));
    assert_eq!(state(&root, "device_vm_id"), "1170751909", "the number is filled in for good");
    assert_eq!(vm["in_xapi"], false);
}

#[test]
fn a_uuid_in_upper_case_is_stored_in_lower_case() {
    let root = with_database();
    sql_ok(&root.database(), &insert(&VM.to_uppercase(), "B", 0));
    assert_eq!(sql_ok(&root.database(), "SELECT vm_uuid FROM vms").trim_end(), VM);
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", &VM.to_uppercase()])["vm_uuid"], VM);
    let again = sql(&root.database(), &insert(VM, "A", 0));
    assert!(again.stderr.contains("not unique"), "{again:?}");
}

#[test]
fn what_no_vm_can_have_is_refused_by_the_database_itself() {
    let root = with_database();
    for (statement, complaint) in [
        (insert("web01", "A", 0), "vm_uuid must be a UUID"),
        (insert(&VM[1..], "A", 0), "vm_uuid must be a UUID"),
        (insert(VM, "C", 0), "constraint failed"),
        (insert(VM, "a", 0), "constraint failed"),
        (insert(VM, "A", 3), "constraint failed"),
        (format!("INSERT INTO vms (vm_uuid, pool_id) VALUES ('{VM}', 'A')"), "may not be NULL"),
        (insert(VM, "A", 0) + "UPDATE vms SET vm_uuid = 'x'", "vm_uuid must be a UUID"),
        ("UPDATE vm_state SET device_vm_id = 0".to_owned(), "constraint failed"),
        ("UPDATE vm_state SET device_vm_id = 4294967296".to_owned(), "constraint failed"),
        ("UPDATE vm_state SET device_vm_id = 'seven'".to_owned(), "constraint failed"),
    ] {
        let ran = sql(&root.database(), &statement);
        assert!(ran.code != Some(0) && ran.stderr.contains(complaint), "{statement}: {ran:?}");
    }
}

#[test]
fn changes_by_hand_count_as_revisions_and_touch_updated_at() {
    let root = with_database();
    sql_ok(&root.database(), &insert(VM, "A", 2));
    assert_eq!(state(&root, "revision"), "1");
    sql_ok(&root.database(), "UPDATE vms SET updated_at = '2001-01-01 00:00:00'");
    sql_ok(&root.database(), "UPDATE vms SET priority = 0");
    assert_eq!(state(&root, "revision"), "2");
    let updated_at = sql_ok(&root.database(), "SELECT updated_at FROM vms");
    assert!(!updated_at.starts_with("2001"), "{updated_at}");
    sql_ok(&root.database(), "UPDATE vms SET priority = 0");
    sql_ok(&root.database(), "UPDATE vms SET vm_name = 'renamed'");
    assert_eq!(state(&root, "revision"), "2", "the same again, or a name, is no change of the settings");
    root.admin_ok(&["list-vms"]);
    sql_ok(&root.database(), "UPDATE vm_state SET device_vm_id = 7");
    assert_eq!(state(&root, "revision"), "3");
}

#[test]
fn a_row_deleted_or_replaced_by_hand_leaves_a_trace_with_a_higher_revision() {
    let root = with_database();
    root.register(VM, "web01", "A", "high");
    sql_ok(&root.database(), "DELETE FROM vms");
    assert_eq!(state(&root, "revision || ' ' || (removed_at IS NOT NULL) || ' ' || device_vm_id"), "2 1 1170751909");
    let gone = root.admin_fails(&["show-vm", "--vm-uuid", VM]);
    assert!(gone.contains("is not registered"), "{gone}");
    sql_ok(&root.database(), &insert(VM, "B", 1));
    assert_eq!(state(&root, "revision || ' ' || (removed_at IS NULL) || ' ' || device_vm_id"), "3 1 1170751909");
    sql_ok(&root.database(), &insert(VM, "A", 0).replace("INSERT", "REPLACE"));
    assert_eq!(state(&root, "revision || ' ' || device_vm_id"), "4 1170751909");
}

#[test]
fn another_uuid_in_a_row_is_another_vm() {
    let root = with_database();
    root.register(VM, "web01", "A", "high");
    let other = uuid(9);
    sql_ok(&root.database(), &format!("UPDATE vms SET vm_uuid = '{}'", other.to_uppercase()));
    assert_eq!(state(&root, "removed_at IS NOT NULL"), "1");
    let vm = root.admin_json(&["show-vm", "--vm-uuid", &other]);
    assert_ne!(vm["vm_id"], 1_170_751_909, "its number stays with the VM that it was derived from");
}

#[test]
fn one_vm_has_one_row_in_whatever_letters_its_uuid_is_typed() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let insert = format!("INSERT OR IGNORE INTO vms (vm_uuid, pool_id, priority) VALUES (upper('{vm}'), 'B', 0)");
    let said = sql(&dom0.root.database(), &insert);
    assert!(said.stderr.contains("registered already"), "{said:?}");
    assert_eq!(dom0.sql("SELECT count(*), pool_id FROM vms").trim(), "1|A");
}

#[test]
fn names_and_times_that_were_typed_in_any_way_make_no_vm_unusable() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql(
        "UPDATE vms SET vm_name = CAST(x'e9e8' AS TEXT), created_at = 1790000000, updated_at = strftime('%s', 'now')",
    );
    // Where XAPI tells the VM's name, it takes the place of what was typed.
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert!(dom0.root.admin_ok(&["list-vms"]).contains("\u{fffd}\u{fffd}"));
    dom0.clear_faults().unwrap();
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    assert_eq!(dom0.start(&vm), dom0.argument(&vm));
    dom0.root.admin_ok(&["history"]);
    dom0.root.admin_ok(&["export"]);
    dom0.root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &vm]);
}
