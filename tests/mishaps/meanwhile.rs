//! What others do in the middle of a change: nothing old overwrites anything, and nobody waits who need not.

use std::thread;
use std::time::Duration;

use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, shared_key};

#[test]
fn a_change_that_waits_for_another_is_compared_with_what_that_one_left() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = dom0.args_in_xapi(&vm).unwrap();
    let set_pool = |pool: &str| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool", pool]).code;
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_secs(1))).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| set_pool("B"));
        dom0.wait_until_args_are_taken_out(&vm);
        // The first has told the other hosts and is in the middle of the VM's record.
        assert_eq!(set_pool("A"), Some(0));
        assert_eq!(first.join().unwrap(), Some(0));
    });
    assert_eq!((dom0.args_in_xapi(&vm), dom0.shared(&vm).unwrap().revision), (Some(args), 3));
}

#[test]
fn what_another_host_changes_while_this_one_looks_is_not_repaired() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let text = dom0.pool_other_config()[&shared_key(&vm)].clone();
    let newer = dom0.args_in_xapi(&vm).unwrap().replace("pool_id=A", "pool_id=B");
    let change = || {
        thread::sleep(Duration::from_millis(400));
        dom0.set_pool_other_config(
            &shared_key(&vm),
            Some(&text.replacen("1 A 2", "1 B 2", 1).replacen(" 1 1", " 2 1", 1)),
        );
        dom0.set_args_in_xapi(&vm, Some(&newer));
    };
    // A sync that has read the records; whatever else it has read by then must not be older.
    dom0.set_fault_in(Service::Xapi, "VM.get_all_records", Fault::Slow(Duration::from_millis(800))).unwrap();
    thread::scope(|scope| {
        let sync = scope.spawn(|| dom0.root.admin_ok(&["sync"]));
        change();
        sync.join().unwrap();
    });
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.args_in_xapi(&vm).as_deref(), Some(newer.as_str()));
    assert_eq!(dom0.start(&vm), Some(newer));
}

#[test]
fn while_a_change_waits_for_xapi_the_database_is_free_for_everybody() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_secs(2))).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool=B"]));
        dom0.wait_until_args_are_taken_out(&vm);
        // The shell waits for nobody.
        dom0.sql("BEGIN IMMEDIATE; UPDATE vms SET vm_name = 'other'; COMMIT");
        assert!(!change.is_finished());
        assert_eq!(change.join().unwrap().code, Some(0));
    });
    assert_eq!(dom0.start(&vm), dom0.argument(&vm));
}

#[test]
fn a_row_that_is_edited_while_it_is_changed_is_changed_from_what_it_is_then() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_secs(1))).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool=B"]));
        dom0.wait_until_args_are_taken_out(&vm);
        dom0.sql("UPDATE vms SET priority = 0");
        assert_eq!(change.join().unwrap().code, Some(0));
    });
    dom0.clear_faults().unwrap();
    let argument = dom0.argument(&vm).unwrap();
    assert!(argument.contains("pool_id=B,priority=low"), "both have come true: {argument}");
    assert_eq!((dom0.args_in_xapi(&vm), dom0.start(&vm)), (Some(argument.clone()), Some(argument)));
}

#[test]
fn a_change_waits_until_the_repair_before_a_start_has_ended() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_args_in_xapi(&vm, Some("-vga std"));
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_millis(700))).unwrap();
    thread::scope(|scope| {
        let start = scope.spawn(|| dom0.start(&vm));
        // The hook is between the two halves of its change of the record.
        dom0.wait_until_args_are_taken_out(&vm);
        dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
        assert!(start.join().unwrap().unwrap().contains("pool_id=A"));
    });
    dom0.clear_faults().unwrap();
    let args = format!("-vga std {}", dom0.argument(&vm).unwrap());
    assert!(args.contains("pool_id=B"), "{args}");
    assert_eq!(dom0.args_in_xapi(&vm).as_ref(), Some(&args), "what was done last counts");
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["in_xapi"], true);
}

#[test]
fn a_start_in_the_middle_of_a_change_ends_with_xapi_and_the_database_agreed() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_fault_in(Service::Xapi, "session.logout", Fault::Slow(Duration::from_millis(1))).unwrap();
    for round in 0..6 {
        let pool = if round % 2 == 0 { "B" } else { "A" };
        let delay = Fault::Slow(Duration::from_millis(20 * round));
        dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", delay).unwrap();
        thread::scope(|scope| {
            let change = scope.spawn(|| dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", pool)]));
            thread::sleep(Duration::from_millis(40));
            dom0.start(&vm);
            change.join().unwrap();
        });
        assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm), "round {round}");
        dom0.shutdown(&vm).unwrap();
        assert_eq!(dom0.start(&vm), dom0.argument(&vm), "round {round}");
        dom0.shutdown(&vm).unwrap();
    }
}
