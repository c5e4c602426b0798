//! What ends it, and what does not stop the others.

use std::fs;

use serde_json::{Value, json};
use simulated_host::{Fault, Service};

use crate::support::{args, running, set_high, uuids};

#[test]
fn a_vm_that_does_not_come_back_ends_it_and_the_rest_is_left() {
    let (dom0, vms) = running(3);
    set_high(&dom0, &[&vms[0], &vms[1], &vms[2]]);
    // Another hook refuses the second VM's boot.
    let script = format!("#!/bin/sh\n[ \"$2\" != {} ] || exit 3\n", vms[1]);
    dom0.root.write("etc/xapi.d/vm-pre-start/60other", script);
    dom0.root.chmod("etc/xapi.d/vm-pre-start/60other", 0o755);
    let ran = dom0.root.admin(&["apply", "--pending", "--yes", "--format=json"]);
    assert_eq!(ran.code, Some(1));
    let reply: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(uuids(&reply["applied"]), [&vms[0]]);
    assert_eq!(reply["failed"]["vm_uuid"], vms[1]);
    assert!(reply["failed"]["why"].as_str().unwrap().contains("XAPI_HOOK_FAILED"), "{reply}");
    assert_eq!(reply["not_tried"], json!([vms[2]]));
    assert_eq!((dom0.boots(&vms[2]).len(), ran.stderr.as_str()), (1, ""), "programs are told in JSON alone");
}

#[test]
fn a_vm_that_comes_back_without_its_settings_ends_it() {
    let (dom0, vms) = running(2);
    set_high(&dom0, &[&vms[0], &vms[1]]);
    dom0.set_args_in_xapi(&vms[0], Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=4"));
    dom0.root.settings("no such setting");
    fs::remove_file(dom0.root.path("etc/xapi.d/vm-pre-start/50vgpu")).unwrap();
    dom0.root.settings("");
    let ran = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("FAILED: it came back with -device vgpu-stub,pool_id=B,priority=low,vm_id=4: run"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("not rebooted, because the one before failed"), "{}", ran.stdout);
}

#[test]
fn where_xapi_goes_away_in_the_middle_that_is_said_and_the_rest_is_left() {
    let (dom0, vms) = running(2);
    set_high(&dom0, &[&vms[0], &vms[1]]);
    dom0.set_fault_after(Service::Xapi, "Async.VM.clean_reboot", 1, Fault::Absent);
    let ran = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("(vm1) on xcp-ng-1  rebooted") && ran.stdout.contains(&format!("{}  FAILED: XAPI", vms[1])),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_vm_that_xapi_does_not_reboot_and_that_runs_on_does_not_stop_the_others() {
    let (dom0, vms) = running(2);
    set_high(&dom0, &[&vms[0], &vms[1]]);
    let refusal = Fault::error("OTHER_OPERATION_IN_PROGRESS", &["VM", "OpaqueRef:x"]);
    dom0.set_fault_in(Service::Xapi, "Async.VM.clean_reboot", refusal).unwrap();
    let ran = dom0.root.admin(&["apply", "--pending", "--yes", "--format=json"]);
    assert_eq!(ran.code, Some(1));
    let reply: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((uuids(&reply["left_alone"]), &reply["failed"]), (vec![vms[0].as_str(), &vms[1]], &Value::Null));
    assert!(reply["left_alone"][0]["why"].as_str().unwrap().contains("keeps running: XAPI refused"), "{reply}");
}

#[test]
fn a_vm_whose_guest_has_no_agent_is_left_alone_until_it_may_be_reset() {
    let (dom0, vms) = running(3);
    set_high(&dom0, &[&vms[0], &vms[1]]);
    dom0.set_guest_agent(&vms[0], false).unwrap();
    let ran = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let left_alone = format!("{}  left alone: it keeps running: its guest has no agent", vms[0]);
    assert!(ran.stdout.contains(&left_alone) && ran.stdout.contains("reset it with --hard"), "{}", ran.stdout);
    assert!(ran.stdout.contains("(vm2) on xcp-ng-1  rebooted: "), "the others are rebooted: {}", ran.stdout);
    assert_eq!(dom0.boots(&vms[0]).len(), 1);
    set_high(&dom0, &[&vms[2]]);
    dom0.clear_calls();
    let said = dom0.root.admin_ok(&["apply", "--pending", "--hard", "--yes"]);
    assert!(said.contains("(vm1) on xcp-ng-1  rebooted: ") && said.contains("(vm3) on xcp-ng-1  rebooted: "), "{said}");
    let resets = dom0.calls().iter().filter(|call| call.contains("hard_reboot")).count();
    assert_eq!(resets, 1, "who has an agent is told to reboot: {:?}", dom0.calls());
    assert!(args(&dom0, &vms[0]).unwrap().contains("priority=high"));
    assert_eq!(dom0.root.admin_ok(&["apply", "--pending"]), "Every running VM has its settings.\n");
}
