//! Rule 7, with XAPI away: a guest reboots on a member while the coordinator is down. The boot is decided on that host, in
//! time, and the hook's line says which side won and why.

use simulated_host::{Exit, Fault, Outage, Service};
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::{Dom0, ResourcePool};

use crate::support::{
    args, assert_one_state, entry, known_vm, last_log, pool_with_known_vm, pool_with_registered_vm, revision, set_args,
    set_pool, shown, sql,
};

/// Ways in which a coordinator is away, as its members see it.
const OUTAGES: [Option<(&str, &[&str])>; 3] =
    [None, Some(("HOST_STILL_BOOTING", &[])), Some(("HOST_UNKNOWN_TO_MASTER", &["a host"]))];

/// Takes the coordinator away.
fn lose(pool: &ResourcePool, outage: Option<(&str, &[&str])>) {
    pool.lose_coordinator(match outage {
        None => Outage::Hangs,
        Some((code, params)) => Outage::emergency(code, params),
    });
}

/// A VM that runs on the second host, which knows it as all do, with a deadline short enough for a test to wait for.
fn running_on_a_member() -> (ResourcePool, String) {
    let (pool, vm) = pool_with_known_vm();
    pool.on(1).root.settings("deadline = 2");
    pool.on(1).start(&vm);
    (pool, vm)
}

/// Reboots the VM from inside: the hook has to end by itself and not by its deadline. Gives what QEMU got and the log's line.
fn reboot(pool: &ResourcePool, host: usize, vm: &str, exit: i32) -> (Option<String>, String) {
    let boot = pool.on(host).guest_reboot(vm).unwrap();
    let line = last_log(pool, host);
    assert_eq!(hook_exit(&boot), Exit::Code(exit), "{line}");
    assert!(line.contains(vm) && !line.contains("not finished within"), "{line}");
    (boot.device_model_args, line)
}

#[test]
fn a_guest_reboots_within_the_deadline_while_its_coordinator_is_away_and_gets_what_is_right() {
    for outage in OUTAGES {
        let (pool, vm) = running_on_a_member();
        let right = args(&pool, &vm);
        lose(&pool, outage);
        let (got, line) = reboot(&pool, 1, &vm, 0);
        assert_eq!(got, right, "{outage:?}");
        assert!(line.contains("changed=nothing"), "{outage:?}: {line}");
    }
}

#[test]
fn a_guest_reboots_on_a_member_whose_coordinator_has_crashed_and_on_one_that_is_cut_off() {
    let (pool, vm) = running_on_a_member();
    let right = args(&pool, &vm);
    pool.crash(0);
    assert_eq!(reboot(&pool, 1, &vm, 0).0, right);
    pool.restart(0).unwrap();
    pool.partition(1, Outage::Hangs);
    assert_eq!(reboot(&pool, 1, &vm, 0).0, right);
}

#[test]
fn a_row_with_a_change_that_xapi_was_not_told_of_wins() {
    for outage in OUTAGES {
        let (pool, vm) = running_on_a_member();
        lose(&pool, outage);
        sql(&pool, 1, &format!("UPDATE vms SET pool_id = 'B' WHERE vm_uuid = '{vm}'"));
        let (got, line) = reboot(&pool, 1, &vm, 1);
        assert!(got.as_ref().unwrap().contains("pool_id=B"), "{outage:?}: {got:?}");
        assert!(
            line.contains("pool=B") && line.contains("changed=this-boot was=\"-device vgpu-stub,pool_id=A"),
            "{line}"
        );
        assert!(line.contains("XAPI") && line.contains("this boot has the right arguments"), "{line}");
        assert!(line.contains("has changes that were not written to XAPI"), "why the row won: {line}");
        // The next boot with XAPI there tells all.
        pool.restore_coordinator();
        assert_eq!(pool.on(1).reboot_from_inside(&vm), got);
        assert_one_state(&pool, &vm, "after XAPI came back");
    }
}

#[test]
fn a_change_by_the_command_line_while_xapi_is_away_wins_too() {
    let (pool, vm) = running_on_a_member();
    lose(&pool, Some(("HOST_STILL_BOOTING", &[])));
    let said = pool.on(1).root.admin_ok(&["set-priority", "--vm-uuid", &vm, "--priority", "low"]);
    assert!(said.contains("Only the database was changed"), "{said}");
    let (got, _) = reboot(&pool, 1, &vm, 1);
    assert!(got.as_ref().unwrap().contains("priority=low"), "{got:?}");
    pool.restore_coordinator();
    assert_eq!(pool.on(1).reboot_from_inside(&vm), got);
    assert_one_state(&pool, &vm, "after XAPI came back");
}

#[test]
fn a_row_that_xapi_was_told_of_yields_to_arguments_with_the_vms_own_number() {
    for outage in OUTAGES {
        let (pool, vm) = running_on_a_member();
        // The third host changes it; XAPI hands the new arguments to the host where it runs, whose row is behind.
        set_pool(&pool, 2, &vm, "B");
        assert_eq!(revision(&pool, 1, &vm), Some(1));
        let newer = args(&pool, &vm);
        pool.on(1).pass_on_events();
        lose(&pool, outage);
        let (got, line) = reboot(&pool, 1, &vm, 1);
        assert_eq!(got, newer, "{outage:?}");
        assert!(line.contains("changed=nothing") && line.contains("XAPI"), "{line}");
        assert!(line.contains("the existing arguments were kept, they are at least as new as the database"), "{line}");
        pool.restore_coordinator();
        assert_eq!(pool.on(1).reboot_from_inside(&vm), newer);
        assert_one_state(&pool, &vm, "after XAPI came back");
    }
}

#[test]
fn arguments_with_another_vms_number_or_none_are_corrected() {
    for outage in OUTAGES {
        let (pool, vm) = running_on_a_member();
        let other = known_vm(&pool);
        let (right, others) = (args(&pool, &vm), args(&pool, &other).unwrap());
        for wrong in [Some(others.as_str()), Some("-device vgpu-stub,pool_id=B,priority=low"), None] {
            pool.restore_coordinator();
            set_args(&pool, &vm, wrong);
            pool.on(1).pass_on_events();
            lose(&pool, outage);
            let (got, line) = reboot(&pool, 1, &vm, 1);
            assert_eq!(got, right, "{outage:?} {wrong:?}");
            let was = format!("changed=this-boot was=\"{}\"", wrong.unwrap_or_default());
            assert!(line.contains(&was) && line.contains("this boot has the right arguments"), "{line}");
            assert!(line.contains("did not have this VM's own vm_id"), "why they were corrected: {line}");
        }
    }
}

#[test]
fn a_vm_that_came_from_another_host_keeps_its_argument_where_nobody_ever_heard_of_it() {
    let (pool, vm) = pool_with_registered_vm();
    pool.on(1).root.settings("deadline = 2");
    let right = pool.on(0).start(&vm);
    pool.migrate(&vm, 0, 1).unwrap();
    lose(&pool, None);
    let boot = pool.on(1).guest_reboot(&vm).unwrap();
    assert_eq!(boot.device_model_args, right);
    pool.restore_coordinator();
    assert_eq!(pool.on(1).reboot_from_inside(&vm), right);
    assert_eq!(shown(&pool, 1, &vm), "A");
}

#[test]
fn what_a_member_decided_alone_gives_way_to_what_was_changed_more_often_elsewhere() {
    let (pool, vm) = running_on_a_member();
    pool.partition(1, Outage::Hangs);
    pool.on(1).root.admin_ok(&["set-priority", "--vm-uuid", &vm, "--priority=low"]);
    for to in ["B", "A", "B"] {
        set_pool(&pool, 2, &vm, to);
    }
    assert!(reboot(&pool, 1, &vm, 1).0.unwrap().contains("pool_id=A,priority=low"));
    pool.heal(1);
    let got = pool.on(1).reboot_from_inside(&vm).unwrap();
    assert!(got.contains("pool_id=B,priority=high"), "{got}");
    assert_eq!(entry(&pool, &vm).unwrap().revision, 4);
    assert_one_state(&pool, &vm, "after it was back");
}

#[test]
fn a_host_without_its_coordinator_keeps_newer_arguments_whatever_xapi_refuses_with() {
    for code in ["HOST_STILL_BOOTING", "INTERNAL_ERROR", "HOST_MASTER_CANNOT_TALK_BACK", "HOST_HAS_NO_MANAGEMENT_IP"] {
        let (dom0, vm) = Dom0::with_registered_vm();
        dom0.start(&vm);
        let newer = dom0.args_in_xapi(&vm).unwrap().replace("pool_id=A", "pool_id=B");
        dom0.set_args_in_xapi(&vm, Some(&newer));
        dom0.pass_on_events();
        dom0.set_fault(Service::Xapi, Fault::error(code, &[])).unwrap();
        assert_eq!(dom0.reboot_from_inside(&vm), Some(newer), "{code}");
        let said = dom0.root.admin_ok(&["set-priority", "--vm-uuid", &vm, "--priority=low"]);
        assert!(said.contains("Only the database was changed"), "{code}: {said}");
    }
}

#[test]
fn a_removal_that_others_know_of_yields_to_arguments_at_hand_while_xapi_is_away() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = dom0.args_in_xapi(&vm).unwrap();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    // Registered again on another host, which has started it there.
    dom0.set_args_in_xapi(&vm, Some(&args));
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert_eq!(dom0.start(&vm), Some(args));
}
