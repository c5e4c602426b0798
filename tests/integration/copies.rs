//! Clones, templates and snapshots: nobody gets another VM's share, and no snapshot brings back what was changed since.

use vgpu_tests::{Dom0, uuid};

use crate::support::moved;

#[test]
fn a_clone_does_not_keep_the_argument_of_its_origin() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    assert_eq!(dom0.args_in_xapi(&clone), dom0.args_in_xapi(&vm));
    assert_eq!(dom0.start(&clone), None);
    assert_eq!(dom0.args_in_xapi(&clone), None);
    assert_eq!(dom0.start(&vm), dom0.argument(&vm), "the origin keeps it");
}

#[test]
fn a_clone_under_unregistered_default_gets_the_defaults_and_a_number_of_its_own() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("unregistered = \"default\"\ndefaults = { pool = \"B\", priority = \"low\" }");
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    let stranger = dom0.create_vm("stranger");
    let hand_written = dom0.create_vm("hand-written");
    dom0.set_args_in_xapi(&hand_written, Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=77"));
    for new in [&clone, &stranger] {
        let args = dom0.start(new).unwrap();
        assert!(args.starts_with("-device vgpu-stub,pool_id=B,priority=low,"), "{args}");
        assert_eq!(Some(&args), dom0.argument(new).as_ref());
        assert_eq!(Some(&args), dom0.args_in_xapi(new).as_ref());
    }
    assert_ne!(dom0.argument(&clone).unwrap().rsplit('=').next(), dom0.argument(&vm).unwrap().rsplit('=').next());
    let kept = dom0.start(&hand_written);
    assert_eq!(kept.as_deref(), Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=77"));
    assert_eq!(dom0.plugin("list_pools", &[])["total"], 3);
}

#[test]
fn a_clone_under_unregistered_inherit_gets_its_origins_settings_and_a_number_of_its_own() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("unregistered = \"inherit\"");
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    let stranger = dom0.create_vm("stranger");
    let args = dom0.start(&clone).unwrap();
    assert!(args.starts_with("-device vgpu-stub,pool_id=A,priority=high,"), "{args}");
    assert_ne!(Some(&args), dom0.argument(&vm).as_ref());
    assert_eq!(dom0.start(&stranger), None, "who is no clone inherits nothing");
}

#[test]
fn a_vm_from_a_template_of_a_registered_vm_does_not_keep_its_argument() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let snapshot = dom0.snapshot(&vm, "before").unwrap();
    let copy = dom0.clone_vm(&snapshot, "from the snapshot").unwrap();
    let refused = dom0.root.admin_fails(&["register-vm", "--vm-uuid", &snapshot, "--pool=A", "--priority=low"]);
    assert!(refused.contains("a snapshot, which is never started"), "{refused}");
    if dom0.platform(&copy).contains_key("device-model-args") {
        let _ = dom0.vm_start(&copy).map(|boot| assert_eq!(boot.device_model_args, None));
    }
}

#[test]
fn a_registered_template_is_told_what_becomes_of_vms_made_from_it() {
    let dom0 = Dom0::new();
    for (template, made, settings, expected) in [
        (uuid(1), uuid(2), "", "VMs created from it get no vGPU"),
        (uuid(3), uuid(4), "unregistered = \"default\"", "with the defaults of vgpu.toml"),
        (uuid(5), uuid(6), "unregistered = \"inherit\"", "registered with its settings at their first start"),
    ] {
        dom0.root.settings(settings);
        dom0.create_vm_with_uuid(&template, "template");
        dom0.make_template(&template).unwrap();
        let reply = dom0.plugin("register_vm", &[("vm_uuid", &template), ("pool", "B"), ("priority", "high")]);
        assert_eq!(reply["takes_effect"], serde_json::Value::Null);
        let [note] = &reply["notes"].as_array().unwrap()[..] else { panic!("{reply}") };
        assert!(note.as_str().unwrap().contains(expected), "{note}");
        dom0.clone_vm_with_uuid(&template, "made", &made).unwrap();
        dom0.provision(&made).unwrap();
        let args = dom0.start(&made);
        let is_like_it = args.as_deref().is_some_and(|args| args.contains("pool_id=B,priority=high"));
        assert_eq!((args.is_some(), is_like_it), (!settings.is_empty(), settings.contains("inherit")), "{args:?}");
    }
}

#[test]
fn a_clone_of_a_removed_vm_does_not_keep_its_share() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    assert_eq!(dom0.start(&clone), None);
}

#[test]
fn a_second_argument_of_ours_is_no_way_to_keep_another_vms() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let other = dom0.create_vm("other");
    let args = format!("-device vgpu-stub,vm_id=99 {}", dom0.args_in_xapi(&vm).unwrap());
    dom0.set_args_in_xapi(&other, Some(&args));
    assert_eq!(dom0.start(&other), None);
}

#[test]
fn a_reverted_snapshot_does_not_bring_old_settings_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let old = dom0.argument(&vm).unwrap();
    let snapshot = dom0.snapshot(&vm, "before").unwrap();
    dom0.plugin("update_vm", &[("vm_uuid", &vm), ("pool", "B"), ("priority", "low")]);
    dom0.revert(&snapshot).unwrap();
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), old, "XAPI itself brings them back");
    assert_eq!(dom0.start(&vm).unwrap(), moved(&old, "B", "low"));
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), moved(&old, "B", "low"));
}

#[test]
fn a_reverted_snapshot_does_not_bring_a_removed_registration_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let snapshot = dom0.snapshot(&vm, "before").unwrap();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    dom0.revert(&snapshot).unwrap();
    assert!(dom0.args_in_xapi(&vm).is_some());
    assert_eq!(dom0.start(&vm), None);
    assert_eq!(dom0.args_in_xapi(&vm), None);
}
