//! What the file has lost and XAPI has: settings, names, revisions, removals.

use std::fs;

use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, uuid};

use crate::support::{MANY, all_but, host_with_many_vms, leaves, overwrite, recover, registered};

const SETTINGS: &str = "SELECT vms.vm_uuid, pool_id, priority, device_vm_id, revision, updated_at FROM vms \
    JOIN vm_state USING (vm_uuid) ORDER BY 1";

fn settings(root: &ScratchRoot) -> String {
    sql_ok(&root.database(), SETTINGS)
}

#[test]
fn the_rows_of_a_lost_leaf_come_from_the_shared_copy_with_their_revisions() {
    let dom0 = host_with_many_vms();
    sql_ok(&dom0.root.database(), "DELETE FROM history");
    let before = settings(&dom0.root);
    let leaf = leaves(&dom0.root.database(), "vms")[1];
    overwrite(&dom0.root.database(), leaf.offset, leaf.size);
    let reply = recover(&dom0.root);
    let lost: Vec<_> = (leaf.first..leaf.end).map(|row| uuid(u32::try_from(row).unwrap())).collect();
    assert_eq!(reply["filled_in"], serde_json::json!(lost));
    assert_eq!(reply["from_file"].as_u64().unwrap(), u64::from(MANY) - lost.len() as u64);
    assert_eq!(settings(&dom0.root), before);
    assert!(dom0.root.admin_ok(&["sync", "--dry-run"]).contains("Nothing to do"));
}

#[test]
fn lost_revisions_come_from_the_shared_copy_and_what_was_removed_stays_removed() {
    let dom0 = host_with_many_vms();
    for number in 0..5 {
        dom0.root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(number)]);
    }
    dom0.root.admin_ok(&["update-vm", "--vm-uuid", &uuid(6), "--pool=B", "--priority=low", "--vm-id=66"]);
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &uuid(6), "--pool=A"]);
    let (before, states) = (settings(&dom0.root), "SELECT vm_uuid, revision, removed_at FROM vm_state ORDER BY 1");
    let states_before = sql_ok(&dom0.root.database(), states);
    for leaf in leaves(&dom0.root.database(), "vm_state") {
        overwrite(&dom0.root.database(), leaf.offset, leaf.size);
    }
    let reply = recover(&dom0.root);
    assert_eq!(reply["from_file"], u64::from(MANY) - 5);
    assert_eq!((reply["filled_in"].as_array(), reply["newer_in_xapi"].as_array()), (Some(&vec![]), Some(&vec![])));
    assert_eq!(settings(&dom0.root), before);
    assert_eq!(sql_ok(&dom0.root.database(), states), states_before);
    assert!(dom0.root.admin_ok(&["sync", "--dry-run"]).contains("Nothing to do"));
}

#[test]
fn a_change_that_xapi_was_not_told_of_is_kept_even_where_its_revision_is_lost() {
    let dom0 = host_with_many_vms();
    let later =
        "UPDATE vms SET priority = 2, pool_id = 'B', updated_at = datetime('now', '+5 seconds') WHERE vm_uuid =";
    sql_ok(&dom0.root.database(), &format!("{later} '{}'; {later} '{}'", uuid(3), uuid(9)));
    for leaf in leaves(&dom0.root.database(), "vm_state") {
        overwrite(&dom0.root.database(), leaf.offset, leaf.size);
    }
    let reply = recover(&dom0.root);
    for number in [3, 9] {
        let vm = dom0.root.admin_json(&["show-vm", "--vm-uuid", &uuid(number)]);
        assert_eq!((&vm["pool"], &vm["priority"]), (&"B".into(), &"high".into()));
        assert_eq!((&vm["revision"], &vm["in_xapi"]), (&2.into(), &false.into()));
        assert!(
            reply["notes"].to_string().contains(&format!("VM {} has a change on this host", uuid(number))),
            "{reply}"
        );
    }
    let synced = dom0.root.admin_json(&["sync"]);
    assert_eq!(synced["pushed"], serde_json::json!([uuid(3), uuid(9)]));
}

#[test]
fn what_another_host_has_changed_or_removed_since_is_taken() {
    let dom0 = host_with_many_vms();
    let saved = fs::read(dom0.root.database()).unwrap();
    dom0.root.admin_ok(&["set-priority", "--vm-uuid", &uuid(0), "--priority=high"]);
    dom0.root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(1)]);
    let now = settings(&dom0.root);
    // The file of a host that has not heard of that yet, damaged.
    fs::write(dom0.root.database(), saved).unwrap();
    let leaf = leaves(&dom0.root.database(), "last_starts")[0];
    overwrite(&dom0.root.database(), leaf.offset, leaf.size);
    let reply = recover(&dom0.root);
    assert_eq!(reply["newer_in_xapi"], serde_json::json!([uuid(0), uuid(1)]));
    assert_eq!(settings(&dom0.root), now);
}

#[test]
fn of_a_file_that_is_gone_empty_or_no_database_xapi_has_everything_but_the_past() {
    for (what, content) in [("gone", None), ("empty", Some(Vec::new())), ("no database", Some(vec![b'x'; 9000]))] {
        let dom0 = host_with_many_vms();
        let vm = dom0.create_vm("web01");
        dom0.register(&vm, "A", "high");
        let before = settings(&dom0.root);
        fs::remove_file(dom0.root.database()).unwrap();
        if let Some(content) = &content {
            dom0.root.write("etc/vgpu/vgpu_config.db", content);
        }
        let reply = recover(&dom0.root);
        assert_eq!(reply["filled_in"].as_array().unwrap().len(), MANY as usize + 1, "{what}");
        assert_eq!(reply["kept_as"].is_string(), what == "no database", "{reply}");
        assert_eq!(settings(&dom0.root), before, "{what}");
        assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-name=web01"])["vm_uuid"], vm, "XAPI has its name");
        assert!(dom0.start(&vm).unwrap().contains("pool_id=A,priority=high"));
    }
}

#[test]
fn where_nothing_can_be_read_and_xapi_is_away_nothing_is_done_unless_that_is_asked_for() {
    for content in [None, Some(Vec::new()), Some(vec![b'x'; 9000])] {
        let root = ScratchRoot::new();
        root.write("etc/vgpu/vgpu.toml", "");
        if let Some(content) = &content {
            root.write("etc/vgpu/vgpu_config.db", content);
        }
        let complaint = root.admin_fails(&["recover", "--yes"]);
        assert!(complaint.contains("Try again when XAPI answers"), "{complaint}");
        assert_eq!(fs::read(root.database()).ok(), content);
        root.admin_ok(&["recover", "--yes", "--force"]);
        assert!(registered(&root).is_empty());
    }
}

#[test]
fn a_vm_whose_settings_nobody_has_but_whose_argument_xapi_has_is_pointed_out() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=9"));
    dom0.root.write("etc/vgpu/vgpu_config.db", vec![b'x'; 9000]);
    let said = dom0.root.admin_ok(&["recover", "--yes"]);
    assert!(
        said.contains("1 VM has a vGPU argument in XAPI but no settings: see 'vgpu-admin adopt --dry-run'"),
        "{said}"
    );
    assert_eq!(dom0.root.admin_json(&["adopt"])["adopted"][0]["vm_id"], 9);
}

#[test]
fn nothing_is_written_to_xapi() {
    let dom0 = host_with_many_vms();
    let leaf = leaves(&dom0.root.database(), "vms")[0];
    overwrite(&dom0.root.database(), leaf.offset, leaf.size);
    dom0.clear_calls();
    recover(&dom0.root);
    let writes: Vec<_> =
        dom0.calls().into_iter().filter(|call| call.contains("add_to") || call.contains("remove_")).collect();
    assert_eq!(writes, Vec::<String>::new());
    assert_eq!(registered(&dom0.root), all_but([]));
}
