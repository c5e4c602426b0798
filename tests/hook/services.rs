//! xenopsd, message-switch or XAPI is away, slow, or answers what nobody understands.

use std::time::Duration;

use simulated_host::{Exit, Fault, Service};
use vgpu_tests::dom0::hook_exit;

use crate::support::{needing_repair, start};

#[test]
fn without_xenopsd_the_vm_starts_as_it_was_and_xapi_is_told_for_the_next_time() {
    for (service, fault) in [
        (Service::MessageSwitch, Fault::Absent),
        (Service::MessageSwitch, Fault::Refuses),
        (Service::MessageSwitch, Fault::Hangs),
        (Service::MessageSwitch, Fault::DropsReply),
        (Service::MessageSwitch, Fault::Garbage),
        (Service::MessageSwitch, Fault::NotJson),
        (Service::MessageSwitch, Fault::WrongShape),
        (Service::Xenopsd, Fault::Absent),
        (Service::Xenopsd, Fault::Hangs),
        (Service::Xenopsd, Fault::NotJson),
        (Service::Xenopsd, Fault::WrongShape),
        (Service::Xenopsd, Fault::error("Internal_error", &["no"])),
    ] {
        let (dom0, vm) = needing_repair();
        dom0.set_fault(service, fault.clone()).unwrap();
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=A"), "{service:?} {fault:?}: {args}");
        assert!(line.contains("the arguments of this boot could not be checked"), "{service:?} {fault:?}: {line}");
        assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm), "{service:?} {fault:?}");
    }
}

#[test]
fn where_xenopsd_takes_the_question_but_not_the_answer_the_vm_starts_as_it_was() {
    for fault in [Fault::Hangs, Fault::WrongShape, Fault::error("Internal_error", &["no"])] {
        let (dom0, vm) = needing_repair();
        dom0.set_fault_in(Service::Xenopsd, "VM.add", fault.clone()).unwrap();
        let (_, line) = start(&dom0, &vm, 1);
        assert!(line.contains("the arguments of this boot could not be checked"), "{fault:?}: {line}");
    }
}

#[test]
fn without_xapi_this_boot_is_right_all_the_same() {
    for fault in [
        Fault::Absent,
        Fault::Refuses,
        Fault::Hangs,
        Fault::DropsReply,
        Fault::Garbage,
        Fault::NotJson,
        Fault::WrongShape,
        Fault::error("HOST_STILL_BOOTING", &[]),
    ] {
        let (dom0, vm) = needing_repair();
        dom0.set_fault(Service::Xapi, fault.clone()).unwrap();
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=B"), "{fault:?}: {args}");
        assert!(line.contains("this boot has the right arguments"), "{fault:?}: {line}");
        dom0.clear_faults().unwrap();
        dom0.reboot_from_inside(&vm);
        assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm), "{fault:?}: the next boot tells XAPI");
    }
}

#[test]
fn a_start_that_a_frozen_xapi_and_a_frozen_message_switch_hold_up_ends_by_itself_before_the_deadline() {
    let (dom0, vm) = needing_repair();
    dom0.root.settings("");
    dom0.set_fault(Service::Xapi, Fault::Hangs).unwrap();
    dom0.set_fault(Service::MessageSwitch, Fault::Hangs).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1));
    assert!(boot.device_model_args.unwrap().contains("pool_id=A"), "it starts as it was");
    let line = dom0.hook_log().pop().unwrap();
    assert!(line.contains("xenopsd did not answer in time") && line.contains("XAPI did not answer in time"), "{line}");
    assert!(!line.contains("not finished within"), "{line}");
}

#[test]
fn slow_services_are_waited_for_until_the_deadline_only() {
    let (dom0, vm) = needing_repair();
    dom0.set_fault(Service::Xenopsd, Fault::Slow(Duration::from_millis(300))).unwrap();
    dom0.set_fault(Service::Xapi, Fault::Slow(Duration::from_millis(300))).unwrap();
    let (_, line) = start(&dom0, &vm, 1);
    assert!(line.contains("in time"), "{line}");
    dom0.root.settings("deadline = 20");
    dom0.shutdown(&vm).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0), "{:?}", dom0.hook_log());
    assert_eq!(boot.device_model_args, dom0.argument(&vm));
}
