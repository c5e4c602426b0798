//! What becomes of VMs while xapi is down, and what xapi does about them when it is back (`on_xapi_restart` in
//! `ocaml/xapi/xapi_xenops.ml`); and operations that get in each other's way.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use simulated_host::{Fault, Service};

use crate::start::ADD;
use crate::support::{Lab, VM, VM_REF};

fn record(lab: &Lab) -> (String, i64, String) {
    let record = lab.host.vm_record(VM).unwrap();
    let text = |field: &str| record[field].as_str().unwrap().to_owned();
    let domid = record["domid"].as_i64().or_else(|| text("domid").parse().ok());
    (text("power_state"), domid.unwrap(), text("resident_on"))
}

#[test]
fn a_guest_that_powers_off_while_xapi_is_down_stays_running_to_xapi_and_known_to_xenopsd_until_it_is_back() {
    for fault in [Fault::Absent, Fault::Hangs] {
        let lab = Lab::with_vm();
        lab.host.vm_start(VM).unwrap();
        let before = record(&lab);
        lab.host.set_fault(Service::Xapi, fault).unwrap();
        lab.host.guest_power_off(VM).unwrap();
        assert_eq!(record(&lab), before);
        assert_eq!(lab.host.xenopsd_metadata(VM)["id"], VM);
        lab.host.clear_faults().unwrap();
        assert_eq!(record(&lab), ("Halted".to_owned(), -1, "OpaqueRef:NULL".to_owned()));
        assert_eq!(lab.host.xenopsd_metadata(VM), Value::Null);
    }
}

#[test]
fn a_guest_that_reboots_while_xapi_is_down_has_its_old_domid_in_xapi_until_it_is_back() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.host.set_fault(Service::Xapi, Fault::Absent).unwrap();
    lab.host.guest_reboot(VM).unwrap();
    assert_eq!(record(&lab), ("Running".to_owned(), 1, lab.host.host_ref().to_owned()));
    lab.host.set_fault(Service::Xapi, Fault::Slow(Duration::ZERO)).unwrap();
    assert_eq!(record(&lab), ("Running".to_owned(), 2, lab.host.host_ref().to_owned()));
}

#[test]
fn a_reboot_that_a_hook_vetoes_while_xapi_is_down_leaves_what_was_added_in_xenopsd_until_it_is_back() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.hook(&format!("{ADD}import sys\nsys.exit(2)\n"));
    lab.host.set_fault(Service::Xapi, Fault::Absent).unwrap();
    lab.host.guest_reboot(VM).unwrap_err();
    assert_eq!(lab.host.power_state(VM), "Running");
    assert_eq!(lab.host.xenopsd_metadata(VM)["platformdata"]["device-model-args"], "-device lab");
    lab.host.clear_faults().unwrap();
    assert_eq!((lab.host.power_state(VM).as_str(), lab.host.xenopsd_metadata(VM)), ("Halted", Value::Null));
}

/// `VM_reboot` in `ocaml/xenopsd/lib/xenops_server.ml`: vm-pre-shutdown comes before the domain's end.
#[test]
fn a_hard_reboot_that_is_vetoed_before_the_domain_ends_leaves_the_vm_running() {
    let lab = Lab::with_vm();
    std::fs::create_dir_all(lab.path("etc/xapi.d/vm-pre-shutdown")).unwrap();
    lab.host.vm_start(VM).unwrap();
    lab.install("etc/xapi.d/vm-pre-shutdown/10", "#!/bin/sh\nexit 2\n");
    let refused = lab.json("VM.hard_reboot", &[&format!("\"{VM_REF}\"")]);
    assert!(refused.contains("XAPI_HOOK_FAILED"), "{refused}");
    assert_eq!(record(&lab), ("Running".to_owned(), 1, lab.host.host_ref().to_owned()));
}

/// `retry_with_global_lock` in `ocaml/xapi/helpers.ml`: the second waits, and is then checked anew.
#[test]
fn an_operation_waits_for_the_one_before_and_finds_the_power_state_that_it_has_left() {
    let lab = Lab::with_vm();
    lab.hook_file(
        "10-lab",
        "#!/bin/sh\nroot=${0%/etc/xapi.d/*}\n: > \"$root/runs\"\nwhile [ ! -e \"$root/ends\" ]; do sleep 0.01; done\n",
    );
    thread::scope(|scope| {
        let first = scope.spawn(|| lab.host.vm_start(VM));
        let until = Instant::now() + Duration::from_secs(20);
        while !lab.path("runs").exists() {
            assert!(Instant::now() < until, "no hook runs");
            thread::sleep(Duration::from_millis(5));
        }
        let second = scope.spawn(|| lab.host.vm_start(VM));
        let snapshot = scope.spawn(|| lab.host.snapshot(VM, "meanwhile"));
        // It has not been refused at once.
        thread::sleep(Duration::from_millis(100));
        assert!(!second.is_finished() && !snapshot.is_finished());
        std::fs::write(lab.path("ends"), "").unwrap();
        first.join().unwrap().unwrap();
        let refused = second.join().unwrap().unwrap_err();
        assert_eq!(json!([refused.code, refused.params]), json!(["VM_BAD_POWER_STATE", [VM_REF, "halted", "running"]]));
        snapshot.join().unwrap().unwrap();
    });
    assert_eq!(lab.host.boots(VM).len(), 1);
}
