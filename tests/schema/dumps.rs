//! A dump that was read back states no schema: it is recognised by what is in it.

use std::fs;

use vgpu_config::store::LATEST_SCHEMA;
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, VM, uuid};

use crate::support::{Written, count, dump_and_read_back, listing, version, written_by};

#[test]
fn a_dump_of_any_schema_that_was_read_back_is_recognised_and_goes_on() {
    for schema in 1..=LATEST_SCHEMA {
        let root = written_by(schema);
        dump_and_read_back(&root.database());
        let vms = root.admin_json(&["list-vms"]);
        assert_eq!(vms.as_array().unwrap().len(), count(&Written::released(schema).file()), "schema {schema}");
        assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["priority"], "high", "schema {schema}");
        assert_eq!(version(&root), LATEST_SCHEMA.to_string(), "schema {schema}");
        let checked = root.admin(&["check"]).stdout;
        for item in ["integrity", "schema version", "tables", "triggers", "columns", "constraints", "rows"] {
            assert!(!checked.contains(&format!("WRONG  {item}")), "schema {schema}: {checked}");
        }
        let copies: Vec<_> = listing(&root).into_iter().filter(|name| name.contains("schema-")).collect();
        let expected =
            if schema == LATEST_SCHEMA { vec![] } else { vec![format!("vgpu_config.db.schema-{schema}.bak")] };
        assert_eq!(copies, expected);
    }
}

#[test]
fn a_dump_that_was_read_back_keeps_numbers_revisions_and_removals() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    root.admin_ok(&["update-vm", "--vm-uuid", VM, "--vm-id=7"]);
    root.register(&uuid(1), "gone", "B", "low");
    root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(1)]);
    let rows = "SELECT * FROM vm_state ORDER BY vm_uuid; SELECT * FROM history";
    let before = sql_ok(&root.database(), rows);
    dump_and_read_back(&root.database());
    root.admin_ok(&["list-vms"]);
    assert_eq!(sql_ok(&root.database(), rows), before);
}

#[test]
fn the_hook_and_the_plugin_take_a_dump_that_was_read_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dump_and_read_back(&dom0.root.database());
    dom0.sql(&format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{vm}'"));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), simulated_host::Exit::Code(0), "{:?}", dom0.hook_log());
    assert!(boot.device_model_args.unwrap().contains("priority=low"));
    assert_eq!(version(&dom0.root), "0", "the hook leaves that to the others");
    let checked = dom0.root.admin(&["check"]).stdout;
    assert!(checked.contains(&format!("schema {LATEST_SCHEMA}, the newest, judging by its tables")), "{checked}");
    assert_eq!(dom0.plugin("list_pools", &[])["total"], 1);
    assert_eq!(version(&dom0.root), LATEST_SCHEMA.to_string());
}

#[test]
fn tables_of_others_or_a_part_of_ours_without_a_version_are_refused_in_one_sentence() {
    for (what, damage) in [
        (
            "a foreign table",
            "DROP TABLE vms; DROP TABLE vm_state; DROP TABLE last_starts; DROP TABLE history; CREATE TABLE cd (x)",
        ),
        ("no vm_state", "DROP TABLE vm_state"),
        ("no vms", "DROP TABLE vms"),
        ("no history", "DROP TABLE history"),
        ("a trigger less", "DROP TRIGGER vms_deleted"),
        ("a column less", "DROP TABLE last_starts; CREATE TABLE last_starts (vm_uuid, started_at, host_uuid)"),
    ] {
        let root = written_by(LATEST_SCHEMA);
        sql_ok(&root.database(), &format!("{damage}; PRAGMA user_version = 0"));
        let before = fs::read(root.database()).unwrap();
        let complaint = root.admin_fails(&["list-vms"]);
        assert!(
            complaint.contains("has no schema number") && complaint.contains("vgpu-admin recover"),
            "{what}: {complaint}"
        );
        assert!(complaint.len() < 400, "{what}: {complaint}");
        let hook = root.hook(VM);
        assert!(hook.code == Some(1) && hook.stdout.contains("has no schema number"), "{what}: {hook:?}");
        assert!(root.admin(&["check"]).stdout.contains("has no schema number"), "{what}");
        assert_eq!(fs::read(root.database()).unwrap(), before, "{what}");
        assert_eq!(listing(&root), ["vgpu_config.db"], "{what}");
    }
}
