//! What the log says of a start, and what is shown of it later.

use vgpu_tests::{Dom0, ScratchRoot, VM};

use crate::support::needing_repair;

#[test]
fn all_is_well_and_the_log_has_one_line_with_all_there_is_to_know() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    let log = dom0.hook_log();
    let [line] = log.as_slice() else { panic!("{log:?}") };
    for part in ["vgpu-hook[", &vm, "pool=A", "priority=high", "vm_id=", "changed=nothing", " ms"] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    dom0.reboot_from_inside(&vm);
    let line = dom0.hook_log().pop().unwrap();
    assert!(
        line.contains("pool=B") && line.contains("changed=this-boot,xapi was=\"-device vgpu-stub,pool_id=A"),
        "{line}"
    );
}

#[test]
fn without_syslog_the_log_goes_to_standard_error() {
    let root = ScratchRoot::new();
    let ran = root.hook(VM);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("vgpu-hook: ERROR") && ran.stderr.contains("there is no database"), "{ran:?}");
}

#[test]
fn a_log_that_hangs_does_not_hold_up_the_start() {
    let (dom0, vm) = needing_repair();
    std::fs::remove_file(dom0.root.path("dev/log")).unwrap();
    let hanging = std::os::unix::net::UnixDatagram::bind(dom0.root.path("dev/log")).unwrap();
    for _ in 0..30 {
        let boot = dom0.vm_start(&vm).unwrap();
        assert_eq!(boot.device_model_args, dom0.argument(&vm));
        dom0.shutdown(&vm).unwrap();
    }
    drop(hanging);
}

#[test]
fn what_a_vms_last_start_got_is_shown_even_where_it_was_not_what_is_configured() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    let shown = dom0.root.admin_ok(&["show-vm", "--vm-uuid", &vm]);
    let argument = dom0.argument(&vm).unwrap();
    let last_start = format!(" UTC on host {}, with {argument}\n", dom0.host_uuid());
    assert!(shown.contains("(as configured) on xcp-ng-1") && shown.contains(&last_start), "{shown}");
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let shown = dom0.root.admin_ok(&["show-vm", "--vm-uuid", &vm]);
    assert!(shown.contains("NOT as configured") && shown.contains(&last_start), "{shown}");
    let list = dom0.root.admin_ok(&["list-vms"]);
    assert!(list.contains("A high"), "{list}");
}
