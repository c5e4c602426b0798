//! `check` follows the chain from a VM's settings to its QEMU, and names the first link that is broken.

use std::fs;

use serde_json::{Value, json};
use simulated_host::{Fault, Outage, Release, Service};
use vgpu_tests::{Dom0, ResourcePool};

/// A stock host with our qemu-wrapper in effect, on which a registered VM runs.
fn running() -> (Dom0, String) {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "A", "high");
    dom0.start(&vm);
    (dom0, vm)
}

/// The first broken link, and the line that says why.
fn broken(dom0: &Dom0, vm: &str) -> (Value, String) {
    let ran = dom0.root.admin(&["check", "--vm-uuid", vm]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let reply: Value =
        serde_json::from_str(&dom0.root.admin(&["check", "--vm-uuid", vm, "--format=json"]).stdout).unwrap();
    let why = ran.stdout.lines().find(|line| line.starts_with("Broken at ")).unwrap_or_default();
    (reply["broken_link"].clone(), why.to_owned())
}

#[test]
fn every_link_of_a_running_vm_shows_the_same_settings() {
    let (dom0, vm) = running();
    let said = dom0.root.admin_ok(&["check", "--vm-name=web01"]);
    let argument = dom0.argument(&vm).unwrap();
    let number = argument.rsplit('=').next().unwrap().to_owned();
    let settings = format!("GPU pool A, priority high, vm_id {number}");
    assert_eq!(
        said,
        format!(
            "VM {vm} (web01), running on xcp-ng-1\n\
             ok  database      {settings}\n\
             ok  shared copy   {settings}\n\
             ok  XAPI          {argument}\n\
             ok  xenopsd       {argument}\n\
             ok  qemu-wrapper  {argument}\n\
             ok  QEMU          {argument},addr=1e\n\
             The chain is complete.\n"
        )
    );
    let checked = dom0.root.admin_ok(&["check"]);
    assert!(checked.contains("the one registered VM that runs on this host has its settings"), "{checked}");
}

#[test]
fn a_halted_vm_has_no_more_than_the_first_three_links() {
    let (dom0, vm) = running();
    dom0.shutdown(&vm).unwrap();
    let said = dom0.root.admin_ok(&["check", "--vm-uuid", &vm]);
    assert!(said.contains("(web01), halted\n") && said.ends_with("The chain is complete.\n"), "{said}");
    assert!(said.contains("ok  xenopsd       nothing, because the VM is not running here\n"), "{said}");
    assert!(said.contains("ok  QEMU          none, because the VM is not running; "), "{said}");
}

#[test]
fn a_vm_is_checked_on_the_host_where_it_runs_as_far_as_that_answers() {
    let pool = ResourcePool::stock(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "high");
    pool.on(1).root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    pool.on(1).start(&vm);
    pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    // Asked on either host, the one where it runs answers.
    for host in [0, 1] {
        let ran = pool.on(host).root.admin(&["check", "--vm-uuid", &vm]);
        assert_eq!(ran.code, Some(1));
        let expected = format!("VM {vm} (web01), running on xcp-ng-2\nok     database      GPU pool A, priority high");
        assert!(ran.stdout.starts_with(&expected), "{}", ran.stdout);
        assert!(ran.stdout.contains("; another host has a newer change, which is taken over at"), "{}", ran.stdout);
        assert!(
            ran.stdout.contains("\nWRONG  qemu-wrapper  -device vgpu-stub,pool_id=A,priority=high"),
            "{}",
            ran.stdout
        );
    }
    pool.partition(1, Outage::Hangs);
    let said = pool.on(0).root.admin(&["check", "--vm-uuid", &vm]).stdout;
    assert!(said.contains("ok     XAPI          -device vgpu-stub,pool_id=A,priority=low"), "{said}");
    assert!(said.contains("WRONG  xenopsd       not known\n"), "{said}");
    assert!(said.contains("Broken at xenopsd: XAPI cannot reach host xcp-ng-2"), "{said}");
}

#[test]
fn a_database_that_cannot_be_read_is_the_first_broken_link() {
    let (dom0, vm) = running();
    fs::write(dom0.root.database(), "no database").unwrap();
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "database");
    assert!(said.contains("recover"), "{said}");
}

#[test]
fn the_shared_copy_may_lack_a_change_that_was_made_while_xapi_was_away() {
    let (dom0, vm) = running();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.root.admin_ok(&["set-priority", "--vm-uuid", &vm, "--priority=low"]);
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "shared_copy");
    assert!(said.starts_with("Broken at shared copy: XAPI cannot be reached"), "{said}");
    dom0.clear_faults().unwrap();
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "shared_copy");
    assert!(said.contains("no other host has it: run 'vgpu-admin sync'"), "{said}");
}

#[test]
fn the_record_in_xapi_may_have_been_edited() {
    let (dom0, vm) = running();
    dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=B,priority=high,vm_id=7"));
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "xapi");
    assert!(said.contains("platform:device-model-args is different: it is corrected"), "{said}");
    dom0.root.admin_ok(&["sync"]);
    dom0.pass_on_events();
    assert_eq!(dom0.root.admin(&["check", "--vm-uuid", &vm]).code, Some(0));
}

#[test]
fn xenopsd_may_not_have_heard_of_a_change_or_not_answer() {
    let (dom0, vm) = running();
    dom0.hold_events(true);
    dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "xenopsd");
    assert!(said.contains("the hook corrects it at the VM's next start or reboot"), "{said}");
    dom0.set_fault(Service::Xenopsd, Fault::Absent).unwrap();
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "xenopsd");
    assert!(said.contains("xenopsd is not running") && said.contains("xe-toolstack-restart"), "{said}");
    let checked = dom0.root.admin(&["check", "--format=json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&checked).unwrap()["broken_link"], "xenopsd");
}

#[test]
fn the_qemu_wrapper_may_be_off_and_a_boot_may_be_from_before_a_change() {
    let (dom0, vm) = running();
    dom0.root.admin_ok(&["qemu-wrapper", "disable", "--restart-toolstack"]);
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "qemu_wrapper");
    assert!(said.contains("run 'vgpu-admin qemu-wrapper enable'"), "{said}");
    dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    dom0.pass_on_events();
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "qemu_wrapper");
    assert!(said.contains(&format!("'vgpu-admin apply --vm-uuid={vm}' reboots the VM")), "{said}");
    let checked = dom0.root.admin_ok(&["check"]);
    assert!(
        checked.contains("1 of 1 registered VMs that run on this host do not have their settings yet"),
        "{checked}"
    );
    dom0.root.admin_ok(&["apply", "--vm-uuid", &vm, "--yes"]);
    assert_eq!(dom0.root.admin(&["check", "--vm-uuid", &vm]).code, Some(0));
}

#[test]
fn a_qemu_that_was_started_without_the_wrapper_is_the_last_link() {
    let dom0 = Dom0::stock(Release::V8_2);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "A", "high");
    dom0.vm_start(&vm).unwrap();
    dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "qemu");
    assert!(said.contains("before the qemu-wrapper was in effect") && said.contains("'vgpu-admin apply"), "{said}");
    let ran = dom0.root.admin(&["check"]);
    assert_eq!(ran.code, Some(1));
    let expected =
        format!("VM {vm} (web01) runs with no vGPU, although its start was given -device vgpu-stub,pool_id=A");
    assert!(ran.stdout.contains(&expected), "{}", ran.stdout);
    dom0.root.admin_ok(&["apply", "--pending", "--yes"]);
    assert_eq!(dom0.root.admin(&["check", "--vm-uuid", &vm]).code, Some(0));
}

#[test]
fn a_guest_without_a_qemu_breaks_the_chain_at_its_end() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "A", "high");
    let mut record = dom0.vm_record(&vm).unwrap();
    record["domain_type"] = "pvh".into();
    dom0.import_record("VM", &dom0.vm_ref(&vm).unwrap(), record.to_string().as_bytes()).unwrap();
    dom0.vm_start(&vm).unwrap();
    let (link, said) = broken(&dom0, &vm);
    assert_eq!(link, "qemu");
    assert!(said.contains("make it an HVM guest"), "{said}");
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["runs_with"]["state"], "no_qemu");
}

#[test]
fn a_vm_is_named_or_all_hosts_are_checked_but_not_both() {
    let (dom0, vm) = running();
    assert_eq!(dom0.root.admin(&["check", "--all-hosts", "--vm-uuid", &vm]).code, Some(2));
    let refused = dom0.call_plugin("vgpu", "check", &[("all_hosts", "true"), ("vm_uuid", &vm)]).unwrap_err();
    assert_eq!(refused.code, "VGPU_INVALID_PARAM");
    let stranger = dom0.create_vm("stranger");
    assert!(dom0.root.admin_fails(&["check", "--vm-uuid", &stranger]).contains("is not registered"));
    let checked = dom0.plugin("check", &[("vm_name", "web01")]);
    assert_eq!(
        (&checked["ok"], &checked["broken_link"], &checked["host_name"]),
        (&json!(true), &Value::Null, &json!("xcp-ng-1"))
    );
}
