//! `adopt`: VMs whose arguments were written by hand are registered.

use serde_json::json;
use vgpu_tests::{Dom0, uuid};

#[test]
fn hand_written_arguments_are_adopted_as_they_are() {
    let (dom0, registered) = Dom0::with_registered_vm();
    let [plain, shared, broken] = [1, 2, 3].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        uuid(number)
    });
    let args = "-vga std -device vgpu-stub,pool_id=B,priority=low,vm_id=77,bus=pci.0";
    dom0.set_args_in_xapi(&plain, Some(args));
    dom0.set_args_in_xapi(&shared, Some("-device vgpu-stub,pool_id=A,priority=medium,vm_id=77"));
    dom0.set_args_in_xapi(&broken, Some("-device vgpu-stub,pool_id=C"));
    let before = (dom0.sql(".dump"), dom0.pool_other_config(), dom0.platform(&shared));
    let planned = dom0.root.admin(&["adopt", "--dry-run", "--format=json"]).stdout;
    let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
    assert_eq!((dom0.sql(".dump"), dom0.pool_other_config(), dom0.platform(&shared)), before);
    let done = dom0.plugin("adopt", &[]);
    assert_eq!((&done["adopted"], &done["left_alone"]), (&planned["adopted"], &planned["left_alone"]));
    assert_eq!(done["adopted"][0]["vm_id"], 77);
    assert_eq!(done["adopted"][1]["shared_with"], plain);
    assert_eq!(done["left_alone"][0]["vm_uuid"], broken);
    assert_eq!(dom0.args_in_xapi(&plain).unwrap(), args, "what was right stays byte for byte");
    assert_eq!(dom0.start(&shared), dom0.argument(&shared));
    assert!(!dom0.argument(&shared).unwrap().ends_with("=77"));
    assert_eq!(dom0.shared(&plain).unwrap().vm_id.unwrap().get(), 77);
    assert_eq!(dom0.plugin("adopt", &[])["adopted"], json!([]), "again does nothing");
    let again = dom0.root.admin(&["adopt"]);
    assert_eq!(again.code, Some(0), "all that can be done is done: {again:?}");
    assert!(again.stdout.contains(&format!("{broken}  left alone: ")), "{again:?}");
    assert!(dom0.argument(&registered).is_some());
}

#[test]
fn adopt_leaves_a_removed_vm_removed() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("DELETE FROM vms");
    let reply = dom0.plugin("adopt", &[]);
    assert_eq!((&reply["adopted"], &reply["left_alone"][0]["vm_uuid"]), (&json!([]), &json!(vm)));
    assert_eq!(dom0.start(&vm), None);
}
