//! Half a change is put back, and no argument of the administrator's is lost with it.

use std::thread;
use std::time::Duration;

use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, wait_until};

/// An argument that is none of ours.
const FOREIGN: &str = "-device foo,admin=1";

/// A registered VM with an argument of the administrator's before ours.
fn with_foreign_argument() -> (Dom0, String, String) {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = format!("{FOREIGN} {}", dom0.args_in_xapi(&vm).unwrap());
    dom0.set_args_in_xapi(&vm, Some(&args));
    (dom0, vm, args)
}

fn assert_nothing_changed(dom0: &Dom0, vm: &str, args: &str) {
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.args_in_xapi(vm).as_deref(), Some(args));
    assert_eq!(dom0.shared(vm).unwrap().revision, 1);
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["pool"], "A");
    assert_eq!(dom0.start(vm).as_deref(), Some(args));
}

#[test]
fn a_write_whose_reply_is_lost_is_taken_back_and_no_foreign_argument_with_it() {
    for method in ["VM.add_to_platform", "VM.remove_from_platform", "pool.add_to_other_config"] {
        let (dom0, vm, args) = with_foreign_argument();
        dom0.set_fault_in(Service::Xapi, method, Fault::DropsReply).unwrap();
        let _ = dom0.root.admin_fails(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
        assert_nothing_changed(&dom0, &vm, &args);
    }
}

#[test]
fn a_write_in_which_the_toolstack_restarts_is_taken_back() {
    let (dom0, vm, args) = with_foreign_argument();
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Hangs).unwrap();
    thread::scope(|scope| {
        dom0.clear_calls();
        let command = scope.spawn(|| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool=B"]));
        wait_until("the removal", || dom0.calls().contains(&"VM.remove_from_platform".to_owned()));
        assert!(!command.is_finished(), "it was to hang");
        thread::sleep(Duration::from_millis(200));
        // Connections are closed, calls that hung are gone.
        dom0.restart_xapi().unwrap();
        assert_eq!(command.join().unwrap().code, Some(1));
    });
    assert_nothing_changed(&dom0, &vm, &args);
}

#[test]
fn a_hook_whose_write_is_cut_keeps_the_foreign_arguments() {
    let (dom0, vm, args) = with_foreign_argument();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::DropsReply).unwrap();
    let got = dom0.start(&vm).unwrap();
    assert!(got.starts_with(FOREIGN) && got.contains("pool_id=B"), "{got}");
    let left = dom0.args_in_xapi(&vm).expect("the key is there");
    assert!(left == args || left == got, "{left}");
    dom0.clear_faults().unwrap();
    dom0.shutdown(&vm).unwrap();
    assert_eq!(dom0.start(&vm), Some(got.clone()));
    assert_eq!(dom0.args_in_xapi(&vm), Some(got));
}
