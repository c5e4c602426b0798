//! A reboot is a start: this very boot has what is configured, whoever reboots the VM, however soon after a change, with XAPI
//! there or away.

use simulated_host::{Exit, Fault, Service, xe};
use vgpu_tests::Dom0;
use vgpu_tests::dom0::hook_exit;

/// Who reboots the VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Its guest, which xapi only hears of.
    Guest,
    /// `xe vm-reboot`: xapi first passes on what has changed.
    Xe,
    /// `xe vm-reboot --force`.
    XeForce,
}

impl By {
    const ALL: [Self; 3] = [Self::Guest, Self::Xe, Self::XeForce];

    fn reboot(self, dom0: &Dom0, vm: &str) -> Option<String> {
        if self == Self::Guest {
            return dom0.reboot_from_inside(vm);
        }
        let force = (self == Self::XeForce).then_some("--force");
        let uuid = format!("uuid={vm}");
        let words: Vec<_> =
            ["vm-reboot", &uuid].into_iter().chain(force).map(|word| word.as_bytes().to_vec()).collect();
        let output = xe(dom0.root.folder(), &words);
        assert_eq!(output.code, 0, "{}", String::from_utf8_lossy(&output.stderr));
        dom0.boots(vm).pop().expect("it has booted").device_model_args
    }
}

/// A running VM in GPU pool A at high priority. xapi passes changes on to xenopsd when a test says so.
fn running() -> (Dom0, String) {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    dom0.hold_events(true);
    (dom0, vm)
}

/// The VM's argument with another GPU pool and priority.
fn with(dom0: &Dom0, vm: &str, pool: &str, priority: &str) -> Option<String> {
    let argument = dom0.argument(vm)?;
    let number = argument.rsplit_once("vm_id=")?.1.to_owned();
    Some(format!("-device vgpu-stub,pool_id={pool},priority={priority},vm_id={number}"))
}

fn log_line(dom0: &Dom0) -> String {
    dom0.hook_log().pop().expect("every boot is logged")
}

#[test]
fn a_change_through_the_plugin_is_in_a_reboot_that_follows_at_once_and_in_one_that_does_not() {
    for by in By::ALL {
        for passed_on in [false, true] {
            let (dom0, vm) = running();
            dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
            if passed_on {
                dom0.pass_on_events();
            }
            assert_eq!(by.reboot(&dom0, &vm), with(&dom0, &vm, "B", "high"), "{by:?} {passed_on}");
            let is_late = by == By::Guest && !passed_on;
            let changed =
                if is_late { "changed=this-boot was=\"-device vgpu-stub,pool_id=A" } else { "changed=nothing" };
            let line = log_line(&dom0);
            assert!(line.contains("boot=\"-device vgpu-stub,pool_id=B") && line.contains(changed), "{by:?}: {line}");
        }
    }
}

#[test]
fn a_change_by_vgpu_admin_is_in_a_reboot_that_follows_at_once() {
    for by in By::ALL {
        let (dom0, vm) = running();
        dom0.root.admin_ok(&["set-priority", "--vm-uuid", &vm, "--priority=low"]);
        assert_eq!(by.reboot(&dom0, &vm), with(&dom0, &vm, "A", "low"), "{by:?}");
    }
}

#[test]
fn a_row_that_was_edited_by_hand_is_in_the_reboot_that_follows_and_in_xapi() {
    for by in By::ALL {
        let (dom0, vm) = running();
        dom0.sql("UPDATE vms SET pool_id = 'B', priority = 1");
        let wanted = with(&dom0, &vm, "B", "medium");
        assert_eq!(by.reboot(&dom0, &vm), wanted, "{by:?}");
        assert_eq!(dom0.args_in_xapi(&vm), wanted, "{by:?}");
        assert!(log_line(&dom0).contains("changed=this-boot,xapi was="), "{by:?}: {}", log_line(&dom0));
    }
}

#[test]
fn what_somebody_wrote_into_the_platform_map_is_not_in_the_reboot_that_follows() {
    for by in By::ALL {
        let (dom0, vm) = running();
        let right = dom0.argument(&vm);
        let own_number = with(&dom0, &vm, "B", "low");
        for wrong in [None, Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=5"), own_number.as_deref()] {
            dom0.set_args_in_xapi(&vm, wrong);
            dom0.pass_on_events();
            assert_eq!(by.reboot(&dom0, &vm), right, "{by:?} {wrong:?}");
            assert_eq!(dom0.args_in_xapi(&vm), right, "{by:?} {wrong:?}");
        }
    }
}

#[test]
fn a_change_by_vgpu_admin_while_xapi_is_down_is_in_every_reboot_until_xapi_is_back() {
    let (dom0, vm) = running();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    let wanted = with(&dom0, &vm, "B", "high");
    for _ in 0..2 {
        assert_eq!(By::Guest.reboot(&dom0, &vm), wanted);
    }
    dom0.clear_faults().unwrap();
    assert_eq!(By::Guest.reboot(&dom0, &vm), wanted);
    assert_eq!(dom0.args_in_xapi(&vm), wanted, "the next boot tells XAPI");
}

#[test]
fn a_row_that_was_edited_by_hand_while_xapi_is_down_is_in_the_reboot_that_follows() {
    for (sql, wanted) in [("UPDATE vms SET pool_id = 'B'", Some("pool_id=B")), ("DELETE FROM vms", None)] {
        let (dom0, vm) = running();
        dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
        dom0.sql(sql);
        let got = By::Guest.reboot(&dom0, &vm);
        assert_eq!(got.is_some(), wanted.is_some(), "{sql}: {got:?}");
        assert!(wanted.is_none_or(|wanted| got.unwrap().contains(wanted)), "{sql}");
    }
}

#[test]
fn a_change_that_xapi_went_away_with_before_it_was_passed_on_is_in_the_reboot_that_follows() {
    let (dom0, vm) = running();
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let wanted = with(&dom0, &vm, "B", "high");
    assert_eq!(By::Guest.reboot(&dom0, &vm), wanted);
    assert!(log_line(&dom0).contains("it was changed after the VM's last start"), "{}", log_line(&dom0));
    assert_eq!(By::Guest.reboot(&dom0, &vm), wanted, "and in the one after");
}

#[test]
fn a_change_that_was_passed_on_does_not_stand_for_a_later_one_that_was_not() {
    let (dom0, vm) = running();
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    dom0.pass_on_events();
    dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert_eq!(By::Guest.reboot(&dom0, &vm), with(&dom0, &vm, "B", "low"));
}

#[test]
fn a_removal_that_xapi_went_away_with_before_it_was_passed_on_is_in_the_reboot_that_follows() {
    let (dom0, vm) = running();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert_eq!(By::Guest.reboot(&dom0, &vm), None);
}

#[test]
fn what_another_host_wrote_last_stays_over_a_row_that_has_not_heard_of_it_while_xapi_is_down() {
    let (dom0, vm) = running();
    // This host's change, one boot with it, and then another host's, which xapi passes on before it goes away.
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    By::Guest.reboot(&dom0, &vm);
    let newer = with(&dom0, &vm, "A", "low");
    dom0.set_args_in_xapi(&vm, newer.as_deref());
    dom0.pass_on_events();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    for _ in 0..2 {
        assert_eq!(By::Guest.reboot(&dom0, &vm), newer);
        assert!(log_line(&dom0).contains("the existing arguments were kept"), "{}", log_line(&dom0));
    }
}

#[test]
fn a_vm_that_was_registered_or_removed_while_it_ran_has_that_in_the_reboot_that_follows() {
    for by in By::ALL {
        let dom0 = Dom0::new();
        let vm = dom0.create_vm("web01");
        assert_eq!(dom0.start(&vm), None);
        dom0.hold_events(true);
        dom0.register(&vm, "B", "low");
        let wanted = dom0.argument(&vm);
        assert_eq!(by.reboot(&dom0, &vm), wanted, "{by:?}");
        dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
        assert_eq!(by.reboot(&dom0, &vm), None, "{by:?}");
    }
}

#[test]
fn a_reboot_is_noted_as_a_start() {
    for by in By::ALL {
        let (dom0, vm) = running();
        dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
        let is_current = || dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm])["last_start"]["is_current"].clone();
        assert_eq!(is_current(), false);
        by.reboot(&dom0, &vm);
        assert_eq!(is_current(), true, "{by:?}");
        let list = dom0.root.admin_ok(&["list-vms"]);
        assert!(list.contains("as configured") && !list.contains("NOT"), "{by:?}: {list}");
        let applied = dom0.root.admin_ok(&["apply", "--pending"]);
        assert_eq!(applied, "Every running VM has its settings.\n", "{by:?}");
    }
}

#[test]
fn where_xapi_would_not_take_what_xenopsd_was_given_the_next_reboot_tells_it() {
    let (dom0, vm) = running();
    dom0.set_fault_in(Service::Xapi, "VM.remove_from_platform", Fault::error("INTERNAL_ERROR", &["on purpose"]))
        .unwrap();
    dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=5"));
    dom0.pass_on_events();
    let right = dom0.argument(&vm);
    assert_eq!(By::Guest.reboot(&dom0, &vm), right);
    let line = log_line(&dom0);
    assert!(
        line.contains("this boot has the right arguments, XAPI's record is corrected at the next start or reboot"),
        "{line}"
    );
    assert_ne!(dom0.args_in_xapi(&vm), right);
    dom0.clear_faults().unwrap();
    // xenopsd still has what the last boot was given: only XAPI's record is wrong.
    dom0.hold_events(true);
    assert_eq!(By::Guest.reboot(&dom0, &vm), right);
    assert_eq!(dom0.args_in_xapi(&vm), right);
}

#[test]
fn where_xenopsd_cannot_be_asked_nothing_is_said_of_a_reboot_that_nobody_has_looked_at() {
    let (dom0, vm) = running();
    dom0.root.settings("on_error = \"block\"");
    dom0.set_fault(Service::Xenopsd, Fault::Absent).unwrap();
    // XAPI has the right arguments: at a start xenopsd has them from there, before a reboot it need not.
    let refused = dom0.guest_reboot(&vm).unwrap_err();
    assert_eq!(refused.code, "XAPI_HOOK_FAILED");
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1));
    dom0.root.settings("");
    By::Guest.reboot(&dom0, &vm);
    let line = log_line(&dom0);
    assert!(line.contains(" boot=unknown problem=\"the arguments of this boot could not be checked"), "{line}");
    assert!(!line.contains("nothing") && !line.contains("is right"), "{line}");
}

#[test]
fn with_xapi_and_xenopsd_away_the_log_does_not_say_that_anything_is_right() {
    let (dom0, vm) = running();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.set_fault(Service::MessageSwitch, Fault::Absent).unwrap();
    let boot = dom0.guest_reboot(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1));
    let line = log_line(&dom0);
    assert!(line.contains("boot=unknown") && line.contains("XAPI's record could not be checked"), "{line}");
    assert!(!line.contains("right") && !line.contains("nothing"), "{line}");
}

#[test]
fn a_reboot_that_another_hook_refuses_leaves_the_vm_halted_and_its_next_start_right() {
    let (dom0, vm) = running();
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    dom0.root.write("etc/xapi.d/vm-pre-start/60other", "#!/bin/sh\nexit 3\n");
    dom0.root.chmod("etc/xapi.d/vm-pre-start/60other", 0o755);
    assert_eq!(dom0.guest_reboot(&vm).unwrap_err().code, "XAPI_HOOK_FAILED");
    std::fs::remove_file(dom0.root.path("etc/xapi.d/vm-pre-start/60other")).unwrap();
    assert_eq!(dom0.start(&vm), with(&dom0, &vm, "B", "high"));
}

#[test]
fn a_vm_that_runs_is_left_alone_whatever_its_settings_say() {
    let (dom0, vm) = running();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let ran = dom0.root.hook(&vm);
    assert!(ran.stdout.contains("the VM is already running"), "{ran:?}");
    assert_eq!(dom0.last_vm_add(&vm), None);
    let line = log_line(&dom0);
    assert!(line.contains("boot=none changed=xapi"), "{line}");
}
