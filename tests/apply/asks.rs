//! What it asks before it reboots anything, and what it shows meanwhile.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;
use simulated_host::Role;
use vgpu_tests::Dom0;
use vgpu_tests::root::Ran;

use crate::support::{running, set_high, uuids};

#[test]
fn it_asks_first_and_without_a_terminal_wants_to_be_told() {
    let (dom0, vms) = running(1);
    set_high(&dom0, &[&vms[0]]);
    let Ran { code, stderr, .. } = dom0.root.admin(&["apply", "--pending"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("apply asks for confirmation, but there is no terminal: add --yes"), "{stderr}");
    assert_eq!(dom0.root.admin(&["apply"]).code, Some(2), "which VMs has to be said");
    assert_eq!(dom0.boots(&vms[0]).len(), 1);
}

/// Runs a command line on a terminal, and answers what it asks.
fn on_a_terminal(dom0: &Dom0, arguments: &str, answer: &str) -> String {
    let line = format!("{} {arguments}; echo ended with $?", dom0.root.path("usr/bin/vgpu-admin").display());
    let mut terminal = Command::new("script");
    let terminal = terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut terminal = terminal.spawn().unwrap();
    terminal.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
    String::from_utf8_lossy(&terminal.wait_with_output().unwrap().stdout).into_owned()
}

#[test]
fn on_a_terminal_it_asks_and_shows_how_far_it_is() {
    let (dom0, vms) = running(1);
    set_high(&dom0, &[&vms[0]]);
    let said = on_a_terminal(&dom0, "apply --pending", "n\n");
    assert!(
        said.contains("would be rebooted: ") && said.contains("Reboot them now, one after the other? [y/N]"),
        "{said}"
    );
    assert!(said.contains("Nothing was rebooted.") && said.contains("ended with 1"), "{said}");
    assert_eq!(dom0.boots(&vms[0]).len(), 1);
    // Long enough to be seen.
    dom0.root.write("etc/xapi.d/vm-pre-start/60slow", "#!/bin/sh\nsleep 1.5\n");
    dom0.root.chmod("etc/xapi.d/vm-pre-start/60slow", 0o755);
    let said = on_a_terminal(&dom0, "apply --pending", "y\n");
    assert!(said.contains(&format!("1/1 {} (vm1): rebooting (1 s)", vms[0])), "{said}");
    assert!(said.rfind("rebooting") < said.rfind("rebooted: -device"), "the result comes last: {said}");
    assert!(said.contains("(vm1) on xcp-ng-1  rebooted: ") && said.contains("ended with 0"), "{said}");
}

#[test]
fn without_a_terminal_there_is_only_the_result() {
    let (dom0, vms) = running(1);
    set_high(&dom0, &[&vms[0]]);
    dom0.root.write("etc/xapi.d/vm-pre-start/60slow", "#!/bin/sh\nsleep 1.5\n");
    dom0.root.chmod("etc/xapi.d/vm-pre-start/60slow", 0o755);
    let Ran { code, stdout, stderr } = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!((code, stdout.lines().count(), stderr.as_str()), (Some(0), 1, ""), "{stdout}");
}

#[test]
fn xapis_roles_decide_who_may_reboot() {
    let (dom0, vms) = running(1);
    set_high(&dom0, &[&vms[0]]);
    let answer = dom0.call_plugin_as(Role::ReadOnly, "vgpu", "apply", &[("pending", "true")]).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((uuids(&answer["applied"]), uuids(&answer["left_alone"])), (vec![], vec![vms[0].as_str()]));
    assert!(answer["left_alone"][0]["why"].as_str().unwrap().contains("RBAC_PERMISSION_DENIED"), "{answer}");
    assert_eq!(dom0.boots(&vms[0]).len(), 1);
}
