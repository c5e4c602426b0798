//! What the plugins of other hosts answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::three_hosts;

#[test]
fn a_host_with_another_version_is_named_where_it_does_not_know_an_argument() {
    let (pool, vm) = three_hosts();
    let plugin = pool.on(1).root.path("etc/xapi.d/plugins/vgpu");
    let answer = |members: &str| {
        format!(
            "<methodResponse><params><param><value><struct>{members}</struct></value></param></params></methodResponse>"
        )
    };
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let version = member("Status", "Success") + &member("Value", r#"{"version":"0.0.9","schema":4}"#);
    let words = ["VGPU_INVALID_PARAM", "vms", "web01", "only the arguments vm_uuid"];
    let words = format!("<value>{}</value>", words.join("</value><value>"));
    let refusal =
        member("ErrorDescription", &format!("<array><data>{words}</data></array>")) + &member("Status", "Failure");
    let script = format!(
        "#!/bin/sh\ncase $1 in *version*) echo '{}';; *) echo '{}';; esac\n",
        answer(&version),
        answer(&refusal)
    );
    fs::remove_file(&plugin).unwrap();
    fs::write(&plugin, script).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let ran = pool.on(0).root.admin(&["--host=xcp-ng-2", "set-pool", &vm, &vm, "B"]);
    let said = "expected only the arguments vm_uuid; host xcp-ng-2 has vgpu-config 0.0.9, and this host ";
    assert!(ran.code == Some(1) && ran.stderr.contains(said), "{ran:?}");
}

#[test]
fn each_host_is_asked_once_what_several_vms_run_with() {
    let (pool, vm) = three_hosts();
    let other = pool.host(0).create_vm("web02");
    pool.on(1).register(&other, "B", "low");
    for vm in [&vm, &other] {
        pool.on(1).start(vm);
    }
    pool.clear_calls();
    let shown = pool.on(0).root.admin_json(&["show-vm", &vm, &other]);
    let states: Vec<_> = shown.as_array().unwrap().iter().map(|vm| &vm["runs_with"]["state"]).collect();
    assert_eq!(states, ["as_configured", "as_configured"], "{shown}");
    let asked = pool.calls().iter().filter(|call| call.contains("call_plugin")).count();
    assert_eq!(asked, 1, "{:?}", pool.calls());
}
