//! Experiments on a start or a reboot: what the hook did, and what the domain was then built from.

use std::fs;

use simulated_host::{XeOutput, xe};

use crate::literal;
use crate::start_hooks::{assert_boot, recording};
use crate::support::{Lab, SESSION, VM, VM_REF, assert_same, body, post, vector};

/// What every recorded hook that used XenAPI began with.
const READS: &str = "xapi = Xapi()
log('login ok')
for method in ['VM.get_power_state', 'VM.get_current_operations', 'VM.get_platform', 'VM.get_resident_on',
               'VM.get_scheduled_to_be_resident_on', 'VM.get_domid']:
    xapi.logged(method, xapi.vm)
";

/// And ended with.
const END: &str = "log('end')\nxapi.close()\n";

/// Adds a value to what xenopsd is about to boot.
pub const ADD: &str = "xenopsd = Xenopsd()\nxenopsd.add('-device lab')\n";
const CHECK: &str = "pause()\nlog(f\"before exit xenopsd has args: ['{xenopsd.arguments()}']\")\n";

fn start_by_xe(lab: &Lab) -> XeOutput {
    xe(lab.host.root(), &[b"vm-start".to_vec(), format!("uuid={VM}").into_bytes()])
}

#[test]
fn a_start_without_a_hook_has_xapi_s_platform_and_what_it_adds() {
    let lab = Lab::with_vm();
    assert_boot("h00_none", &lab.host.vm_start(VM).unwrap());
    assert_eq!(lab.host.power_state(VM), "Running");
}

#[test]
fn exit_1_is_ignored() {
    let lab = Lab::with_vm();
    lab.hook_file("10-lab", "#!/bin/sh\necho complaint\nexit 1\n");
    assert_boot("h01_exit1", &lab.host.vm_start(VM).unwrap());
}

#[test]
fn exit_2_vetoes_the_start_and_the_caller_sees_what_was_printed() {
    let lab = Lab::with_vm();
    lab.hook_file("10-lab", "#!/bin/sh\nprintf 'line1 <&>\\nline2 \\303\\251'\necho lost >&2\nexit 2\n");
    assert_xe("h02_exit2_xe", &start_by_xe(&lab));
    assert_replies(&lab, "h03_exit2_api");
    assert_eq!(lab.host.power_state(VM), "Halted");
    assert_eq!(lab.host.boots(VM), []);
    assert_eq!(lab.host.hook_runs(VM)[0].stderr, "lost\n");
}

#[test]
fn a_hook_that_is_killed_is_an_internal_error() {
    let lab = Lab::with_vm();
    lab.hook_file("10-lab", "#!/bin/sh\nkill -9 $$\n");
    assert_xe("h04_sigkill", &start_by_xe(&lab));
}

#[test]
fn whatever_bytes_a_hook_prints_reach_the_caller() {
    let lab = Lab::with_vm();
    lab.hook_file("10-lab", "#!/bin/sh\nprintf 'a\\001b'\nexit 2\n");
    assert_replies(&lab, "h05_ctl_out");
    lab.hook_file("10-lab", "#!/bin/sh\nprintf 'a\\377b'\nexit 2\n");
    assert_replies(&lab, "h06_badutf8");
}

/// Compares with what xe wrote, noted as `stdout='…' stderr='…'`.
fn assert_xe(name: &str, output: &XeOutput) {
    let recording = recording(name);
    let (head, rest) = recording.lines().nth(1).unwrap().split_once(" stdout=").unwrap();
    let (stdout, rest) = literal::string(rest);
    let (stderr, _) = literal::string(rest.strip_prefix(" stderr=").unwrap());
    assert_same(name, &output.stdout, &stdout);
    assert_same(name, &output.stderr, &stderr);
    assert_eq!(head, format!("xe vm-start rc={}", output.code));
}

/// Compares with the replies to VM.start in JSON-RPC 2.0 and in XML-RPC.
fn assert_replies(lab: &Lab, name: &str) {
    let recording = recording(name);
    let recorded = |notation: &str| literal::string(recording.split_once(&format!("\n{notation}: ")).unwrap().1).0;
    let json =
        format!(r#"{{"jsonrpc":"2.0","method":"VM.start","params":["{SESSION}","{VM_REF}",false,false],"id":1}}"#);
    assert_same(name, &body(&lab.xapi(&post("/jsonrpc", json.as_bytes()))), &recorded("json2"));
    let xml = format!(
        "<methodCall><methodName>VM.start</methodName><params><param><value>{SESSION}</value></param><param><value>\
         {VM_REF}</value></param><param><value><boolean>0</boolean></value></param><param><value><boolean>0</boolean>\
         </value></param></params></methodCall>"
    );
    assert_same(name, &body(&lab.xapi(&post("/", xml.as_bytes()))), &recorded("xmlrpc"));
}

#[test]
fn a_file_that_cannot_be_executed_vetoes_every_start() {
    let lab = Lab::with_vm();
    let folder = lab.path("etc/xapi.d/vm-pre-start");
    fs::write(folder.join("README.txt"), "text\n").unwrap();
    assert_xe_lines("y01_nonexecutable_through_xe", &start_by_xe(&lab));
    fs::remove_file(folder.join("README.txt")).unwrap();
    fs::create_dir(folder.join("sub")).unwrap();
    assert_xe_lines("y02_directory_through_xe", &start_by_xe(&lab));
    assert_eq!(lab.host.power_state(VM), "Halted");
}

/// Compares with what xe wrote, noted line by line.
fn assert_xe_lines(name: &str, output: &XeOutput) {
    let recording = recording(name);
    let (_, rest) = recording.split_once("\nstdout:\nstderr:\n").unwrap();
    let (stderr, _) = rest.split_once("state: ").unwrap();
    assert_same(name, &output.stderr, stderr.as_bytes());
    assert!(output.stdout.is_empty() && recording.starts_with(&format!("rc={}", output.code)));
}

#[test]
fn a_value_added_to_xenopsd_by_the_hook_is_in_this_boot_and_stays_over_a_reboot() {
    let lab = Lab::with_vm();
    assert_boot("h10_vmadd", &lab.start_with(ADD));
    lab.assert_hook_log("h10_vmadd");
    // The file has no newline at its end.
    let on_disk = String::from_utf8(vector("start/vmt-given-by-xapi.json")).unwrap();
    let ours: serde_json::Value = serde_json::from_str(&lab.host.xenopsd_metadata_text(VM).unwrap()).unwrap();
    assert_eq!(ours, serde_json::from_str::<serde_json::Value>(&on_disk).unwrap());
    lab.remove_hook();
    assert_boot("h11_reboot_after_vmadd", &lab.host.clean_reboot(VM).unwrap());
    lab.host.shutdown(VM).unwrap();
    assert_boot("h12_start_again_no_hook", &lab.host.vm_start(VM).unwrap());
    lab.hook("log('ran ' + ' '.join(sys.argv[1:]))");
    assert_boot("h13_reboot_runs_prestart", &lab.host.clean_reboot(VM).unwrap());
    assert_eq!(lab.hook_log(), format!("ran -vmuuid {VM} -reason none\n"));
}

#[test]
fn the_hook_sees_a_halted_vm_with_a_start_in_progress() {
    let lab = Lab::with_vm();
    assert_boot("h20_api_read", &lab.start_with(&format!("{READS}{END}")));
    lab.assert_hook_log("h20_api_read");
    assert!(lab.host.open_sessions().iter().all(|session| session.originator != "hook"));
}

#[test]
fn a_platform_key_set_through_xapi_by_the_hook_is_one_boot_late() {
    let lab = Lab::with_vm();
    let script = "xapi.logged('VM.add_to_platform', xapi.vm, 'device-model-args', '-device viaapi')
xapi.logged('VM.get_platform', xapi.vm)\n";
    assert_boot("h21_api_add_platform", &lab.start_with(&format!("{READS}{script}{END}")));
    lab.assert_hook_log("h21_api_add_platform");
    lab.remove_hook();
    let boot = lab.host.clean_reboot(VM).unwrap();
    assert_eq!(boot.device_model_args.as_deref(), Some("-device viaapi"));
}

#[test]
fn other_config_and_plugins_are_open_to_the_hook() {
    let lab = Lab::with_vm();
    crate::plugins::install_lab_plugins(&lab);
    let script = "for change in ['other_config', 'xenstore_data']:
    xapi.logged('VM.add_to_' + change, xapi.vm, 'vm-data/lab', '1')
    xapi.logged('VM.remove_from_' + change, xapi.vm, 'vm-data/lab')\n";
    assert_boot("h22_api_other_config", &lab.start_with(&format!("{READS}{script}{END}")));
    lab.assert_hook_log("h22_api_other_config");
    lab.host.shutdown(VM).unwrap();
    let script = "host = xapi('VM.get_scheduled_to_be_resident_on', xapi.vm)
xapi.logged('host.call_plugin', host, 'lab', 'main', {})\n";
    assert_boot("h23_api_plugin", &lab.start_with(&format!("{READS}{script}{END}")));
    lab.assert_hook_log("h23_api_plugin");
}

/// One pass over the experiments with keys known and unknown to xapi, with its filter on or off.
fn known_and_unknown_keys(filter: bool) {
    let lab = Lab::with_vm();
    let prefix = if filter { "" } else { "nofilter_" };
    lab.host.filter_unknown_platform_keys(filter);
    let add = |key: &str, value: &str| {
        format!("{READS}xapi.logged('VM.add_to_platform', xapi.vm, '{key}', '{value}')\n{END}")
    };

    lab.host.set_platform_key(VM, "device-model-args", Some("-device foo,x=1 -cpu \"a b\"")).unwrap();
    let boot = lab.host.vm_start(VM).unwrap();
    assert_boot(&format!("{prefix}x01_unknown_platform_key_before_start"), &boot);
    lab.host.shutdown(VM).unwrap();
    lab.host.set_platform_key(VM, "device-model-args", None).unwrap();

    let boot = lab.start_with(&add("device-model-args", "-device late"));
    assert_boot(&format!("{prefix}x02_hook_api_add_unknown_key"), &boot);
    lab.assert_hook_log(&format!("{prefix}x02_hook_api_add_unknown_key"));
    lab.host.shutdown(VM).unwrap();
    lab.host.set_platform_key(VM, "device-model-args", None).unwrap();

    let boot = lab.start_with(&add("vga", "std"));
    assert_boot(&format!("{prefix}x03_hook_api_add_known_key"), &boot);
    lab.assert_hook_log(&format!("{prefix}x03_hook_api_add_known_key"));
    lab.remove_hook();
    assert_boot(&format!("{prefix}x04_reboot_after_known_key"), &lab.host.clean_reboot(VM).unwrap());
}

#[test]
fn with_the_filter_unknown_platform_keys_are_dropped() {
    known_and_unknown_keys(true);
}

#[test]
fn without_the_filter_unknown_platform_keys_arrive() {
    known_and_unknown_keys(false);
}

#[test]
fn a_value_added_to_xenopsd_survives_whatever_is_written_to_xapi_during_the_start() {
    for (name, script, afterwards) in [
        ("r01_vmadd_then_nothing_3s", "", Some("-device lab")),
        (
            "r02_vmadd_then_xapi_other_config",
            "xapi = Xapi()
xapi.logged('VM.add_to_other_config', xapi.vm, 'k', 'v')
xapi.logged('VM.remove_from_other_config', xapi.vm, 'k')\n",
            Some("-device lab"),
        ),
        // After the start xapi pushes what changed, without the value that it never knew.
        (
            "r03_vmadd_then_xapi_platform",
            "xapi = Xapi()\nxapi.logged('VM.add_to_platform', xapi.vm, 'custom', '1')\n",
            None,
        ),
    ] {
        let lab = Lab::with_vm();
        assert_boot(name, &lab.start_with(&format!("{ADD}{script}{CHECK}")));
        lab.assert_hook_log(name);
        lab.remove_hook();
        let reboot = lab.host.clean_reboot(VM).unwrap();
        assert_eq!(reboot.device_model_args.as_deref(), afterwards, "{name}");
    }
}

#[test]
fn a_platform_change_of_a_running_vm_replaces_what_was_added_to_xenopsd() {
    let lab = Lab::with_vm();
    assert_boot("r04_running_then_platform_change", &lab.start_with(&format!("{ADD}{CHECK}")));
    lab.assert_hook_log("r04_running_then_platform_change");
    assert_eq!(lab.host.xenopsd_metadata(VM)["platformdata"]["device-model-args"], "-device lab");
    lab.host.set_platform_key(VM, "custom", Some("1")).unwrap();
    lab.host.pass_on_events();
    let pushed = lab.host.xenopsd_metadata(VM);
    assert_eq!(pushed["platformdata"]["custom"], "1");
    assert_eq!(pushed["platformdata"]["device-model-args"], serde_json::Value::Null);
    // What runs, runs on with what it has.
    assert_eq!(lab.host.running_platformdata(VM).unwrap()["device-model-args"], "-device lab");
}

/// `run` in `ocaml/forkexecd/src/child.ml`: only what is not there is 127.
#[test]
fn a_link_that_leads_nowhere_and_one_that_leads_in_a_circle_veto_too() {
    for (target, code) in [("nowhere", "127"), ("10-link", "126")] {
        let lab = Lab::with_vm();
        std::os::unix::fs::symlink(target, lab.path("etc/xapi.d/vm-pre-start/10-link")).unwrap();
        assert_eq!(lab.host.vm_start(VM).unwrap_err().params[3], code, "{target}");
    }
}

/// `ensure_device_model_profile_present` in `ocaml/xapi/xapi_vm_helpers.ml`; `sanity_check` in `ocaml/xapi/vm_platform.ml`.
#[test]
fn a_start_gives_a_vm_its_device_model_and_refuses_a_platform_that_cannot_be() {
    let lab = Lab::with_vm();
    lab.host.set_platform_key(VM, "device-model", None).unwrap();
    lab.host.vm_start(VM).unwrap();
    assert_eq!(lab.host.platform(VM).get_index(0).unwrap().1, "qemu-upstream-compat");
    lab.host.shutdown(VM).unwrap();
    for (key, value, code) in [
        ("device-model", "qemu-upstream-uefi", "INVALID_VALUE"),
        ("cores-per-socket", "x", "INVALID_VALUE"),
        ("cores-per-socket", "3", "VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE"),
    ] {
        let before = lab.host.platform(VM).get(key).cloned();
        lab.host.set_platform_key(VM, key, Some(value)).unwrap();
        assert_eq!(lab.host.vm_start(VM).unwrap_err().code, code, "{value}");
        lab.host.set_platform_key(VM, key, before.as_deref()).unwrap();
    }
    assert_eq!(lab.host.power_state(VM), "Halted");
    lab.host.vm_start(VM).unwrap();
}
