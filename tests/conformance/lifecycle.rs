//! Reboots, suspends and vetoes, which hooks they run and with which words. The facts behind these are read from the
//! real programs' sources; no recording shows them.

use std::fs;

use simulated_host::{Fault, Service, xe};

use crate::message_switch::call;
use crate::start::ADD;
use crate::start_hooks::recording;
use crate::support::{CLASSIC, Lab, VM, VM_REF};

#[test]
fn a_guest_s_own_reboot_runs_the_hooks_and_needs_no_xapi() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.hook(ADD);
    lab.host.set_fault(Service::Xapi, Fault::Absent).unwrap();
    lab.host.set_platform_key(VM, "custom", Some("1")).unwrap();
    let boot = lab.host.guest_reboot(VM).unwrap();
    assert_eq!(boot.device_model_args.as_deref(), Some("-device lab"));
    assert!(!boot.platformdata.contains_key("custom"), "xapi was away and could not push");
    lab.host.clear_faults().unwrap();
    lab.host.pass_on_events();
    assert_eq!(lab.host.xenopsd_metadata(VM)["platformdata"]["custom"], "1");
}

#[test]
fn a_reboot_through_xapi_takes_up_what_is_pending_and_what_its_hooks_change_waits_for_the_next() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.host.set_fault(Service::Xapi, Fault::Absent).unwrap();
    lab.host.set_platform_key(VM, "custom", Some("1")).unwrap();
    assert_eq!(lab.host.clean_reboot(VM).unwrap().platformdata["custom"], "1");
    lab.host.clear_faults().unwrap();
    lab.hook("xapi = Xapi()\nxapi('VM.add_to_platform', xapi.vm, 'device-model-args', '-device late')\nxapi.close()");
    assert_eq!(lab.host.clean_reboot(VM).unwrap().device_model_args, None);
    lab.remove_hook();
    lab.host.pass_on_events();
    assert_eq!(lab.host.guest_reboot(VM).unwrap().device_model_args.as_deref(), Some("-device late"));
}

#[test]
fn a_vm_in_the_wrong_state_is_refused_as_recorded() {
    let lab = Lab::with_vm();
    let reply = lab.json("VM.hard_shutdown", &[&format!("\"{VM_REF}\"")]);
    let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
    let recording = recording("h24_api_ops");
    let recorded = recording.lines().find_map(|line| line.split_once("VM.hard_shutdown FAILED ")).unwrap().1;
    assert_eq!(reply["error"], serde_json::from_str::<serde_json::Value>(recorded).unwrap());
}

#[test]
fn a_veto_during_a_reboot_leaves_the_vm_halted() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.hook_file("10-lab", "#!/bin/sh\nexit 2\n");
    assert_eq!(lab.host.clean_reboot(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
    assert_eq!(lab.host.power_state(VM), "Halted");
}

#[test]
fn a_resume_runs_no_pre_start_hook_and_brings_back_what_ran() {
    let lab = Lab::with_vm();
    lab.host.set_platform_key(VM, "device-model-args", Some("-device first")).unwrap();
    lab.host.vm_start(VM).unwrap();
    lab.hook_file("10-lab", "#!/bin/sh\nexit 0\n");
    lab.host.suspend(VM).unwrap();
    lab.host.set_platform_key(VM, "device-model-args", Some("-device second")).unwrap();
    lab.host.resume(VM).unwrap();
    assert_eq!(lab.host.hook_runs(VM), []);
    assert_eq!(lab.host.running_platformdata(VM).unwrap()["device-model-args"], "-device first");
    let boot = lab.host.clean_reboot(VM).unwrap();
    assert_eq!(boot.device_model_args.as_deref(), Some("-device second"));
}

#[test]
fn hooks_of_every_kind_run_in_order_with_their_reasons() {
    let lab = Lab::with_vm();
    for point in ["vm-pre-start", "vm-pre-shutdown", "vm-post-destroy", "vm-pre-reboot", "vm-pre-suspend"] {
        fs::create_dir_all(lab.path(&format!("etc/xapi.d/{point}"))).unwrap();
        for script in ["b", ".a", "B"] {
            lab.install(&format!("etc/xapi.d/{point}/{script}"), "#!/bin/sh\n");
        }
    }
    lab.host.vm_start(VM).unwrap();
    lab.host.clean_reboot(VM).unwrap();
    lab.host.guest_reboot(VM).unwrap();
    lab.host.shutdown(VM).unwrap();
    let runs = lab.host.hook_runs(VM);
    let seen: Vec<String> =
        runs.iter().map(|run| format!("{}/{} {}", run.hook_point, run.script, run.args[2..].join(" "))).collect();
    let mut expected = Vec::new();
    for (point, rest) in [
        ("vm-pre-start", "-reason none"),
        ("vm-pre-shutdown", "-reason clean-reboot -vmdomid 1"),
        ("vm-post-destroy", "-reason clean-reboot"),
        ("vm-pre-reboot", "-reason none"),
        ("vm-pre-start", "-reason none"),
        ("vm-pre-shutdown", "-reason hard-reboot -vmdomid 2"),
        ("vm-post-destroy", "-reason hard-reboot"),
        ("vm-pre-reboot", "-reason none"),
        ("vm-pre-start", "-reason none"),
        ("vm-pre-shutdown", "-reason clean-shutdown -vmdomid 3"),
        ("vm-post-destroy", "-reason clean-shutdown"),
    ] {
        expected.extend([".a", "B", "b"].map(|script| format!("{point}/{script} {rest}")));
    }
    assert_eq!(seen, expected);
}

#[test]
fn what_xenstore_cannot_hold_fails_the_start() {
    let lab = Lab::with_vm();
    lab.host.set_platform_key(VM, "device-model-args", Some(&"x".repeat(2048))).unwrap();
    lab.host.vm_start(VM).unwrap();
    lab.host.shutdown(VM).unwrap();
    lab.host.set_platform_key(VM, "device-model-args", Some(&"x".repeat(2049))).unwrap();
    let error = lab.host.vm_start(VM).unwrap_err();
    assert_eq!(error.code, "INTERNAL_ERROR");
    assert!(error.params[0].contains("E2BIG"));
    lab.host.set_platform_key(VM, "device-model-args", None).unwrap();
    lab.host.set_platform_key(VM, "dotted.key", Some("1")).unwrap();
    assert!(lab.host.vm_start(VM).unwrap_err().params[0].contains("EINVAL"));
    assert_eq!(lab.host.power_state(VM), "Halted");
}

/// `start` in `ocaml/xapi/xapi_xenops.ml` calls `set_resident_on` after a failure too, whose event finds the VM halted.
#[test]
fn a_start_that_fails_leaves_nothing_in_xenopsd() {
    let lab = Lab::with_vm();
    lab.hook(&format!("{ADD}import sys\nsys.exit(2)\n"));
    assert_eq!(lab.host.vm_start(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
    assert!(lab.host.last_vm_add(VM).unwrap().contains("-device lab"));
    assert_eq!(lab.host.xenopsd_metadata(VM), serde_json::Value::Null);
    lab.remove_hook();
    assert_eq!(lab.host.vm_start(VM).unwrap().device_model_args, None);
}

/// `set_resident_on` ends with `Xenopsd_metadata.update`; no event is needed for that.
#[test]
fn what_a_hook_changes_in_xapi_is_in_xenopsd_when_the_start_is_over_and_so_it_is_after_a_resume() {
    let lab = Lab::with_vm();
    lab.host.hold_events(true);
    let added = || lab.host.xenopsd_metadata(VM)["platformdata"]["device-model-args"].clone();
    lab.hook("xapi = Xapi()\nxapi('VM.add_to_platform', xapi.vm, 'device-model-args', '-device late')\nxapi.close()");
    assert_eq!((lab.host.vm_start(VM).unwrap().device_model_args, added()), (None, "-device late".into()));
    lab.remove_hook();
    assert_eq!(lab.host.guest_reboot(VM).unwrap().device_model_args.as_deref(), Some("-device late"));
    lab.host.suspend(VM).unwrap();
    lab.host.set_platform_key(VM, "device-model-args", Some("-device later")).unwrap();
    lab.host.resume(VM).unwrap();
    assert_eq!(lab.host.guest_reboot(VM).unwrap().device_model_args.as_deref(), Some("-device later"));
}

/// `VM_resume` in `ocaml/xenopsd/lib/xenops_server.ml` creates the domain before its first hook.
#[test]
fn the_hooks_of_a_resume_have_a_domain_and_their_veto_leaves_the_vm_suspended_and_unknown_to_xenopsd() {
    let lab = Lab::with_vm();
    fs::create_dir_all(lab.path("etc/xapi.d/vm-pre-resume")).unwrap();
    lab.host.vm_start(VM).unwrap();
    lab.host.suspend(VM).unwrap();
    lab.install("etc/xapi.d/vm-pre-resume/10", "#!/bin/sh\nexit 2\n");
    assert_eq!(lab.host.resume(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
    assert_eq!(lab.host.hook_runs(VM)[0].args[2..], ["-reason", "none", "-vmdomid", "2"].map(String::from));
    assert_eq!(
        (lab.host.power_state(VM).as_str(), lab.host.xenopsd_metadata(VM)),
        ("Suspended", serde_json::Value::Null)
    );
    fs::remove_file(lab.path("etc/xapi.d/vm-pre-resume/10")).unwrap();
    lab.json("VM.resume", &[&format!("\"{VM_REF}\""), "true", "false"]);
    assert_eq!((lab.host.power_state(VM).as_str(), stat(&lab)), ("Paused", ("Paused".to_owned(), 1)));
}

/// What VM.stat says of the VM's power state and domains.
pub fn stat(lab: &Lab) -> (String, usize) {
    let request = format!(r#"{{"method":"VM.stat","params":[{{"id":"{VM}","debug_info":"lab"}}],"id":1}}"#);
    let reply: serde_json::Value = serde_json::from_str(&call(lab, CLASSIC, &request)).unwrap();
    let state = &reply["result"][1];
    (state["power_state"].as_str().unwrap().to_owned(), state["domids"].as_array().unwrap().len())
}

#[test]
fn a_paused_vm_is_not_started_reboots_by_force_only_and_runs_then() {
    let lab = Lab::with_vm();
    let vm = format!("\"{VM_REF}\"");
    lab.json("VM.start", &[&vm, "true", "false"]);
    assert_eq!((lab.host.power_state(VM).as_str(), stat(&lab)), ("Paused", ("Paused".to_owned(), 1)));
    let refused = lab.host.vm_start(VM).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), &refused.params[1..]),
        ("VM_BAD_POWER_STATE", ["halted", "paused"].map(String::from).as_slice())
    );
    assert_eq!(lab.host.clean_reboot(VM).unwrap_err().code, "VM_BAD_POWER_STATE");
    lab.json("VM.hard_reboot", &[&vm]);
    assert_eq!((lab.host.power_state(VM).as_str(), stat(&lab)), ("Running", ("Running".to_owned(), 1)));
}

#[test]
fn a_suspended_vm_is_neither_started_nor_rebooted_and_xenopsd_does_not_know_it() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.host.suspend(VM).unwrap();
    for refused in [lab.host.vm_start(VM), lab.host.clean_reboot(VM)] {
        assert_eq!(refused.unwrap_err().code, "VM_BAD_POWER_STATE");
    }
    let refused = lab.json("VM.hard_reboot", &[&format!("\"{VM_REF}\"")]);
    assert!(refused.contains("VM_BAD_POWER_STATE"), "{refused}");
    assert_eq!(lab.host.xenopsd_metadata(VM), serde_json::Value::Null);
}

/// `check_op_for_feature` in `ocaml/xapi/xapi_vm_lifecycle.ml`.
#[test]
fn a_guest_without_an_agent_is_asked_neither_to_reboot_nor_to_shut_down_nor_to_be_suspended() {
    let lab = Lab::with_vm();
    let vm = format!("\"{VM_REF}\"");
    lab.host.set_guest_agent(VM, false).unwrap();
    assert_eq!(lab.host.clean_reboot(VM).unwrap_err().code, "VM_BAD_POWER_STATE", "its power state comes first");
    lab.host.vm_start(VM).unwrap();
    for refused in [lab.host.clean_reboot(VM).map(drop), lab.host.shutdown(VM), lab.host.suspend(VM)] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.code.as_str(), refused.params), ("VM_LACKS_FEATURE", vec![VM_REF.to_owned()]));
    }
    let operations = lab.json("VM.get_allowed_operations", &[&vm]);
    assert!(!operations.contains("clean_") && operations.contains("hard_reboot"), "{operations}");
    assert_eq!((lab.host.power_state(VM).as_str(), lab.host.boots(VM).len()), ("Running", 1));
    assert!(!lab.json("VM.hard_reboot", &[&vm]).contains("error"));
    assert_eq!(lab.host.clean_reboot(VM).unwrap_err().code, "VM_LACKS_FEATURE", "a reboot installs none");
    lab.host.set_guest_agent(VM, true).unwrap();
    lab.host.clean_reboot(VM).unwrap();
    assert_eq!(lab.host.boots(VM).len(), 3);
}

#[test]
fn xe_vm_reboot_of_a_guest_without_an_agent_fails_and_with_force_does_not() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.host.set_guest_agent(VM, false).unwrap();
    let run = |args: &[&str]| xe(lab.root.path(), &args.iter().map(|arg| arg.as_bytes().to_vec()).collect::<Vec<_>>());
    let uuid = format!("uuid={VM}");
    let refused = run(&["vm-reboot", &uuid]);
    let name = lab.host.vm_record(VM).unwrap()["name_label"].as_str().unwrap().to_owned();
    let words = "You attempted an operation on a VM which lacks the feature.";
    assert_eq!(String::from_utf8_lossy(&refused.stderr), format!("{words}\nvm: {VM} ({name})\n"));
    assert_eq!((refused.code, refused.stdout.as_slice()), (1, b"".as_slice()));
    let forced = run(&["vm-reboot", &uuid, "--force"]);
    assert_eq!((forced.code, lab.host.boots(VM).len()), (0, 2));
}

/// The order of `check_operation_error`, and the operation that `check_template` and `check_snapshot` name.
#[test]
fn a_template_and_a_snapshot_are_refused_after_their_power_state_with_the_operation_s_name() {
    let lab = Lab::with_vm();
    let snapshot = lab.host.snapshot(VM, "as it was").unwrap();
    lab.json("VM.set_is_a_template", &[&format!("\"{VM_REF}\""), "true"]);
    for (uuid, code) in [(VM, "VM_IS_TEMPLATE"), (&snapshot, "VM_IS_SNAPSHOT")] {
        let vm = lab.host.vm_ref(uuid).unwrap();
        let refused = lab.host.vm_start(uuid).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.params), (code, vec![vm, "start".to_owned()]));
        assert_eq!(lab.host.clean_reboot(uuid).unwrap_err().code, "VM_BAD_POWER_STATE");
    }
}

#[test]
fn a_xapi_that_starts_anew_pushes_what_it_has_over_what_was_added_to_xenopsd() {
    let lab = Lab::with_vm();
    lab.hook(ADD);
    lab.host.vm_start(VM).unwrap();
    let added = || lab.host.xenopsd_metadata(VM)["platformdata"]["device-model-args"] == "-device lab";
    assert!(added());
    lab.host.set_fault(Service::Xapi, Fault::Hangs).unwrap();
    lab.host.clear_faults().unwrap();
    lab.host.pass_on_events();
    assert!(added(), "one that was only frozen knows what it has pushed");
    lab.host.set_fault(Service::Xapi, Fault::Absent).unwrap();
    lab.host.clear_faults().unwrap();
    lab.host.pass_on_events();
    assert!(!added());
}
