//! Which VMs are rebooted.

use serde_json::{Value, json};
use vgpu_tests::Dom0;

use crate::support::{args, running, set_high, uuids};

#[test]
fn only_vms_that_lack_their_settings_are_rebooted() {
    let (dom0, vms) = running(3);
    set_high(&dom0, &[&vms[0], &vms[2]]);
    let planned = dom0.root.admin_json(&["apply", "--pending", "--dry-run"]);
    assert_eq!(uuids(&planned["applied"]), [&vms[0], &vms[2]]);
    assert!(dom0.boots(&vms[0]).len() == 1, "a dry run reboots nothing");
    let ran = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "", "no progress without a terminal");
    assert!(
        ran.stdout.contains("(vm1) on xcp-ng-1  rebooted: -device vgpu-stub,pool_id=A,priority=low"),
        "{}",
        ran.stdout
    );
    for vm in [&vms[0], &vms[2]] {
        assert!(args(&dom0, vm).unwrap().contains("priority=high"));
    }
    assert_eq!(dom0.boots(&vms[1]).len(), 1);
    assert_eq!(dom0.root.admin_ok(&["apply", "--pending"]), "Every running VM has its settings.\n", "nothing to ask");
}

#[test]
fn one_vm_is_named_and_the_others_are_left_alone() {
    let (dom0, vms) = running(2);
    set_high(&dom0, &[&vms[0], &vms[1]]);
    let applied = dom0.plugin("apply", &[("vm_name", "vm2")]);
    assert_eq!(uuids(&applied["applied"]), [&vms[1]]);
    assert_eq!((dom0.boots(&vms[0]).len(), dom0.boots(&vms[1]).len()), (1, 2));
    let said = |vm: &str| dom0.root.admin_ok(&["apply", "--yes", "--vm-uuid", vm]);
    assert_eq!(said(&vms[1]), format!("VM {} already has its settings.\n", vms[1]));
    dom0.shutdown(&vms[1]).unwrap();
    assert_eq!(said(&vms[1]), format!("VM {} is halted: it gets its settings at its next start.\n", vms[1]));
    let stranger = dom0.create_vm("stranger");
    assert!(dom0.root.admin_fails(&["apply", "--yes", "--vm-uuid", &stranger]).contains("is not registered"));
    let refused = dom0.call_plugin("vgpu", "apply", &[]).unwrap_err();
    assert_eq!(refused.code, "VGPU_INVALID_PARAM");
}

#[test]
fn a_removed_vm_keeps_its_share_until_it_is_rebooted() {
    let (dom0, vms) = running(1);
    dom0.plugin("remove_vm", &[("vm_uuid", &vms[0])]);
    let planned = dom0.plugin("apply", &[("pending", "true"), ("dry_run", "true")]);
    assert_eq!((uuids(&planned["applied"]), &planned["applied"][0]["to"]), (vec![vms[0].as_str()], &json!("")));
    dom0.plugin("apply", &[("pending", "true")]);
    assert_eq!(args(&dom0, &vms[0]), None);
    assert_eq!(dom0.plugin("apply", &[("pending", "true")])["applied"], json!([]));
}

#[test]
fn a_vm_that_ran_before_it_was_registered_is_pending() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.start(&vm);
    dom0.register(&vm, "B", "high");
    let planned = dom0.root.admin_ok(&["apply", "--pending", "--dry-run"]);
    assert!(planned.contains("would be rebooted: no vGPU -> -device vgpu-stub,pool_id=B"), "{planned}");
    dom0.root.admin_ok(&["apply", "--pending", "--yes"]);
    assert_eq!(args(&dom0, &vm), dom0.argument(&vm));
}

#[test]
fn each_vm_is_looked_at_again_before_its_reboot() {
    let (dom0, vms) = running(3);
    set_high(&dom0, &[&vms[0], &vms[1], &vms[2]]);
    // While the first reboots, the second gets back what it runs with, and the third is shut down.
    let admin = dom0.root.path("usr/bin/vgpu-admin").display().to_string();
    let script = format!(
        "#!/bin/sh\n[ \"$2\" != {0} ] || {admin} set-priority --vm-uuid={1} --priority=low >/dev/null\n",
        vms[0], vms[1]
    );
    dom0.root.write("etc/xapi.d/vm-pre-start/60other", script);
    dom0.root.chmod("etc/xapi.d/vm-pre-start/60other", 0o755);
    let ran = dom0.root.admin(&["apply", "--pending", "--yes", "--format=json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let reply: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(uuids(&reply["applied"]), [&vms[0], &vms[2]]);
    assert_eq!(reply["notes"], json!([format!("VM {} already has its settings.", vms[1])]));
    assert_eq!(dom0.boots(&vms[1]).len(), 1);
}

#[test]
fn what_only_this_host_knows_or_a_newer_program_has_written_is_no_reason_to_reboot() {
    let (dom0, vms) = running(2);
    dom0.sql(&format!("UPDATE vms SET pool_id = 'B' WHERE vm_uuid = '{}'", vms[0]));
    dom0.set_pool_other_config(&format!("vgpu:{}", vms[1]), Some("2 something new"));
    let reply = dom0.plugin("apply", &[("pending", "true")]);
    assert_eq!((&reply["applied"], uuids(&reply["left_alone"])), (&json!([]), vec![vms[0].as_str(), &vms[1]]));
    assert!(reply["left_alone"][0]["why"].as_str().unwrap().contains("run 'vgpu-admin sync' first"), "{reply}");
    assert!(reply["left_alone"][1]["why"].as_str().unwrap().contains("newer vgpu-config"), "{reply}");
}

#[test]
fn a_removed_vm_whose_number_was_given_to_another_is_pending_all_the_more() {
    let (dom0, vms) = running(1);
    dom0.plugin("update_vm", &[("vm_uuid", &vms[0]), ("vm_id", "7")]);
    dom0.plugin("apply", &[("pending", "true")]);
    dom0.plugin("remove_vm", &[("vm_uuid", &vms[0])]);
    let other = dom0.create_vm("other");
    dom0.plugin("register_vm", &[("vm_uuid", &other), ("pool", "B"), ("priority", "low"), ("vm_id", "7")]);
    dom0.start(&other);
    assert_eq!(uuids(&dom0.plugin("apply", &[("pending", "true")])["applied"]), [&vms[0]]);
    assert_eq!(args(&dom0, &vms[0]), None);
}
