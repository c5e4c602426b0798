//! `apply`: running VMs get their changed settings now, by a clean reboot, one after the other.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use simulated_host::{Fault, Outage, Role, Service};
use vgpu_tests::root::Ran;
use vgpu_tests::{Dom0, ResourcePool, uuid};

/// A host on which so many registered VMs run: `vm1`, `vm2`, …
fn running(vms: u32) -> (Dom0, Vec<String>) {
    let dom0 = Dom0::new();
    let vms: Vec<_> = (1..=vms).map(uuid).collect();
    for (number, vm) in vms.iter().enumerate() {
        dom0.create_vm_with_uuid(vm, &format!("vm{}", number + 1));
        dom0.register(vm, "A", "low");
        dom0.start(vm);
    }
    (dom0, vms)
}

fn set_high(dom0: &Dom0, vms: &[&String]) {
    for vm in vms {
        dom0.plugin("set_priority", &[("vm_uuid", vm), ("priority", "high")]);
    }
}

/// The arguments of a running VM's QEMU.
fn args(dom0: &Dom0, vm: &str) -> Option<String> {
    dom0.running_platformdata(vm)?.get("device-model-args").cloned()
}

fn uuids(vms: &Value) -> Vec<&str> {
    vms.as_array().unwrap().iter().map(|vm| vm["vm_uuid"].as_str().unwrap()).collect()
}

#[test]
fn only_vms_that_lack_their_settings_are_rebooted() {
    let (dom0, vms) = running(3);
    set_high(&dom0, &[&vms[0], &vms[2]]);
    let planned = dom0.root.admin_json(&["apply", "--pending", "--dry-run"]);
    assert_eq!(uuids(&planned["applied"]), [&vms[0], &vms[2]]);
    assert!(dom0.boots(&vms[0]).len() == 1, "a dry run reboots nothing");
    let ran = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        ran.stderr,
        format!("1/2 {} (vm1): rebooting\n2/2 {} (vm3): rebooting\n", vms[0], vms[2]),
        "how far it is"
    );
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
fn it_asks_first_and_without_a_terminal_wants_to_be_told() {
    let (dom0, vms) = running(1);
    set_high(&dom0, &[&vms[0]]);
    let Ran { code, stderr, .. } = dom0.root.admin(&["apply", "--pending"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("apply asks for confirmation, but there is no terminal: add --yes"), "{stderr}");
    assert_eq!(dom0.root.admin(&["apply"]).code, Some(2), "which VMs has to be said");
    assert_eq!(dom0.boots(&vms[0]).len(), 1);
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
        ran.stdout.contains("FAILED: it came back with -device vgpu-stub,pool_id=A,priority=low"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("not rebooted, because the one before failed"), "{}", ran.stdout);
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
    assert!(planned.contains("would be rebooted: unknown -> -device vgpu-stub,pool_id=B"), "{planned}");
    dom0.root.admin_ok(&["apply", "--pending", "--yes"]);
    assert_eq!(args(&dom0, &vm), dom0.argument(&vm));
}

#[test]
fn a_vm_that_has_moved_is_rebooted_where_it_runs() {
    let pool = ResourcePool::new(3);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).start(&vm);
    pool.migrate(&vm, 1, 2).unwrap();
    assert_eq!(
        pool.on(0).plugin("apply", &[("pending", "true")])["applied"],
        json!([]),
        "the second host knows its start"
    );
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let said = pool.on(0).root.admin_ok(&["apply", "--pending", "--yes"]);
    assert!(said.contains("(web01) on xcp-ng-3  rebooted: "), "{said}");
    assert_eq!(pool.runs_on(&vm), Some(2));
    let args = pool.host(2).running_platformdata(&vm).unwrap()["device-model-args"].clone();
    assert!(args.contains("pool_id=B"), "{args}");
}

#[test]
fn a_vm_on_a_host_that_cannot_say_what_it_has_is_left_alone() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).start(&vm);
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    pool.partition(1, Outage::Hangs);
    let ran = pool.on(0).root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("left alone: XAPI cannot reach host xcp-ng-2"), "{}", ran.stdout);
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
    dom0.root.write("etc/xapi.d/vm-pre-start/60slow", "#!/bin/sh\nsleep 0.5\n");
    dom0.root.chmod("etc/xapi.d/vm-pre-start/60slow", 0o755);
    let said = on_a_terminal(&dom0, "apply --pending", "y\n");
    assert!(said.contains(&format!("1/1 {} (vm1): rebooting", vms[0])), "{said}");
    assert!(said.contains("(vm1) on xcp-ng-1  rebooted: ") && said.contains("ended with 0"), "{said}");
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

#[test]
fn a_vm_without_an_agent_can_be_reset_on_another_host_through_the_plugin() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).start(&vm);
    pool.on(1).set_guest_agent(&vm, false).unwrap();
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let left = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!((&left["applied"], uuids(&left["left_alone"])), (&json!([]), vec![vm.as_str()]));
    assert!(left["left_alone"][0]["why"].as_str().unwrap().contains("hard=true"), "{left}");
    let applied = pool.on(0).plugin("apply", &[("pending", "true"), ("hard", "true")]);
    assert_eq!(uuids(&applied["applied"]), [&vm]);
    assert!(pool.host(1).running_platformdata(&vm).unwrap()["device-model-args"].contains("pool_id=B"));
}

/// A VM that was started on the first host, whose clock is five minutes ahead, then with another GPU pool on the second.
fn started_on_two_hosts(pool: &ResourcePool) -> String {
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(0).start(&vm);
    let ahead = "UPDATE last_starts SET started_at = datetime('now', '+5 minutes')";
    vgpu_tests::tools::sql_ok(&pool.on(0).root.database(), ahead);
    pool.host(0).shutdown(&vm).unwrap();
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    pool.on(1).start(&vm);
    vm
}

#[test]
fn of_two_hosts_that_have_started_a_vm_the_one_where_it_runs_is_believed_whatever_the_clocks_say() {
    let pool = ResourcePool::new(2);
    let vm = started_on_two_hosts(&pool);
    let reply = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!((&reply["applied"], &reply["left_alone"]), (&json!([]), &json!([])), "it has its settings");
    pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "high")]);
    let reply = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!(uuids(&reply["applied"]), [&vm]);
    let reply = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!((&reply["applied"], &reply["left_alone"]), (&json!([]), &json!([])), "and has them now");
}

#[test]
fn where_a_vm_runs_on_a_third_host_the_starts_on_two_others_are_not_put_in_an_order() {
    let pool = ResourcePool::new(3);
    let vm = started_on_two_hosts(&pool);
    pool.migrate(&vm, 1, 2).unwrap();
    let reply = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!((&reply["applied"], uuids(&reply["left_alone"])), (&json!([]), vec![vm.as_str()]));
    assert!(reply["left_alone"][0]["why"].as_str().unwrap().contains("clocks may differ"), "{reply}");
    let named = pool.on(0).plugin("apply", &[("vm_uuid", &vm)]);
    assert!(named["applied"][0]["to"].as_str().unwrap().contains("pool_id=B"), "{named}");
}
