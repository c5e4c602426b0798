//! A pool that loses its coordinator, and what it is after another has taken over.

use std::time::Duration;

use serde_json::json;
use simulated_host::{Fault, Outage, Service};

use crate::support::{Lab, resident_on, running_args, set_args};

#[test]
fn without_its_coordinator_no_host_gets_an_answer_and_guests_reboot_all_the_same() {
    let (lab, vm) = Lab::with_vm(3);
    lab.install_hook(1);
    lab.host(1).vm_start(&vm).unwrap();
    let session = lab.log_in(1);
    lab.lose_coordinator(Outage::Hangs);
    for host in 0..3 {
        assert!(lab.hangs(host, "VM.get_all", &json!([session])), "host {host}");
    }
    assert_eq!(lab.host(1).guest_reboot(&vm).unwrap().hook_runs.len(), 1);
    assert_eq!(lab.host(2).set_platform_key(&vm, "key", Some("1")).unwrap_err().code, "CANNOT_CONTACT_HOST");
    lab.lose_coordinator(Outage::emergency("HOST_STILL_BOOTING", &[]));
    for host in 0..3 {
        assert_eq!(lab.ask(host, "VM.get_all", &json!([session]))["error"], json!(["HOST_STILL_BOOTING"]));
    }
    lab.restore_coordinator();
    for host in 0..3 {
        assert!(lab.ask(host, "VM.get_all", &json!([session]))["result"].is_array(), "host {host}");
    }
}

#[test]
fn a_coordinator_that_crashes_leaves_its_members_hanging_until_it_is_back_with_its_database() {
    let (lab, vm) = Lab::with_vm(2);
    lab.host(0).vm_start(&vm).unwrap();
    set_args(lab.host(0), &vm, "-device kept");
    let session = lab.log_in(1);
    lab.crash(0);
    assert!(lab.hangs(1, "VM.get_all", &json!([session])));
    assert!(lab.declare_dead(0).is_err(), "there is nobody to declare it");
    lab.restart(0).unwrap();
    assert!(lab.ask(1, "VM.get_all", &json!([session]))["result"].is_array());
    assert_eq!(
        (lab.host(1).power_state(&vm), lab.host(1).platform(&vm)["device-model-args"].clone()),
        ("Halted".into(), "-device kept".into())
    );
}

#[test]
fn members_hang_while_the_coordinators_xapi_is_down_and_tell_it_later_what_happened() {
    let (lab, vm) = Lab::with_vm(2);
    lab.host(1).vm_start(&vm).unwrap();
    let session = lab.log_in(1);
    lab.host(0).set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert!(lab.hangs(1, "VM.get_all", &json!([session])));
    lab.host(1).guest_power_off(&vm).unwrap();
    assert_eq!(lab.host(0).power_state(&vm), "Running");
    lab.host(0).clear_faults().unwrap();
    assert_eq!(lab.host(0).power_state(&vm), "Halted");
}

#[test]
fn a_failover_loses_what_was_written_since_the_new_coordinators_last_copy() {
    let (lab, vm) = Lab::with_vm(3);
    let host = lab.host(0);
    host.set_pool_other_config("kept", Some("old"));
    let session = lab.log_in(2);
    lab.sync_replica(1).unwrap();
    host.set_pool_other_config("kept", Some("new"));
    host.set_pool_other_config("lost", Some("1"));
    set_args(host, &vm, "-device lost");
    let lost_vm = host.create_vm("later");
    lab.lose_coordinator(Outage::Hangs);
    lab.failover(1).unwrap();
    assert_eq!((lab.coordinator_index(), lab.coordinator().host_uuid()), (1, lab.host(1).host_uuid()));
    let config = lab.host(2).pool_other_config();
    assert_eq!((config.get("kept").map(String::as_str), config.get("lost")), (Some("old"), None));
    assert!(!lab.host(2).platform(&vm).contains_key("device-model-args"));
    assert!(lab.host(2).vm_ref(&lost_vm).is_err());
    // The others follow; sessions are in no copy.
    assert_eq!(lab.ask(2, "VM.get_all", &json!([session]))["error"], json!(["SESSION_INVALID", session]));
    let session = lab.log_in(2);
    let pools = lab.ask(2, "pool.get_all_records", &json!([session]));
    assert_eq!(pools["result"][lab.host(2).pool_ref()]["master"], lab.host(1).host_ref());
    assert!(lab.ask(1, "VM.get_by_uuid", &json!([session, "0"]))["error"].is_object(), "now the coordinator");
}

#[test]
fn vms_run_on_through_a_failover_and_the_new_coordinator_learns_of_them() {
    let (lab, vm) = Lab::with_vm(3);
    let moved = lab.host(0).create_vm("moved");
    let forgotten_at = lab.host(0).create_vm("ends");
    for vm in [&moved, &forgotten_at] {
        lab.host(1).vm_start(vm).unwrap();
    }
    lab.sync_replica(1).unwrap();
    set_args(lab.host(0), &vm, "-device x");
    lab.host(2).vm_start(&vm).unwrap();
    lab.migrate(&moved, 1, 2).unwrap();
    lab.host(1).shutdown(&forgotten_at).unwrap();
    let unknown = lab.host(0).create_vm("unknown");
    lab.install_hook(2);
    lab.host(2).vm_start(&unknown).unwrap();
    lab.crash(0);
    assert_eq!(lab.host(2).guest_reboot(&unknown).unwrap().hook_runs.len(), 1);
    lab.failover(1).unwrap();
    let state = |vm: &str| (lab.host(1).power_state(vm), resident_on(lab.host(1), vm));
    let on = |host: usize| ("Running".to_owned(), lab.host(host).host_ref().to_owned());
    assert_eq!((state(&vm), state(&moved)), (on(2), on(2)));
    assert_eq!(state(&forgotten_at).0, "Halted");
    assert_eq!(running_args(lab.host(2), &vm).unwrap(), "-device x");
    // XAPI has no record of it: `resync_resident_on` in `ocaml/xapi/xapi_xenops.ml` ends it.
    assert!(lab.host(1).vm_record(&unknown).is_none());
    assert_eq!((lab.runs_on(&unknown), lab.host(2).xenopsd_metadata(&unknown).is_null()), (None, true));
}

#[test]
fn a_former_coordinator_stays_out_of_reach_until_it_is_healed_and_is_a_member_then() {
    let lab = Lab::new(2);
    lab.lose_coordinator(Outage::emergency("HOST_STILL_BOOTING", &[]));
    lab.failover(1).unwrap();
    let session = lab.log_in(1);
    assert_eq!(lab.ask(0, "VM.get_all", &json!([session]))["error"], json!(["HOST_STILL_BOOTING"]));
    assert_eq!(lab.who(1, &session, 0)["error"]["message"], "CANNOT_CONTACT_HOST");
    lab.heal(0);
    assert_eq!(lab.ask(0, "VM.get_by_uuid", &json!([session, "0"]))["error"], json!(["UUID_INVALID", "VM", "0"]));
    assert!(lab.who(1, &session, 0)["result"].is_string());
}

#[test]
fn a_coordinator_that_is_cut_off_goes_on_alone_and_what_it_wrote_is_lost_with_a_failover() {
    let lab = Lab::new(3);
    let session = lab.log_in(0);
    lab.partition(0, Outage::Hangs);
    assert!(lab.hangs(1, "VM.get_all", &json!([session])));
    let pool = lab.host(0).pool_ref();
    let written = lab.ask(0, "pool.add_to_other_config", &json!([session, pool, "alone", "1"]));
    assert_eq!(written["result"], "");
    assert_eq!(lab.sync_replica(1).unwrap_err().code, "CANNOT_CONTACT_HOST");
    lab.failover(1).unwrap();
    assert!(lab.hangs(0, "VM.get_all", &json!([session])), "it is still cut off");
    lab.log_in(2);
    lab.heal(0);
    lab.log_in(0);
    assert!(!lab.host(0).pool_other_config().contains_key("alone"));
    // It has kept its own database, and takes over with that where it has got no newer copy.
    lab.failover(0).unwrap();
    assert_eq!(lab.host(2).pool_other_config()["alone"], "1");
}

#[test]
fn a_vm_that_runs_unseen_on_a_cut_off_host_and_is_started_elsewhere_ends_there() {
    let (lab, vm) = Lab::with_vm(3);
    lab.host(2).vm_start(&vm).unwrap();
    lab.partition(2, Outage::Hangs);
    // Nobody has told the new coordinator that it runs.
    lab.failover(1).unwrap();
    assert!(lab.host(1).vm_ref(&vm).is_err(), "its copy is as old as the pool");
    lab.failover(0).unwrap();
    assert_eq!(lab.host(0).power_state(&vm), "Running", "the former coordinator's has it");
    lab.sync_replica(1).unwrap();
    lab.host(2).guest_power_off(&vm).unwrap();
    lab.heal(2);
    assert_eq!(lab.host(0).power_state(&vm), "Halted");
    // Now one copy has it halted.
    lab.sync_replica(1).unwrap();
    lab.host(2).vm_start(&vm).unwrap();
    lab.partition(2, Outage::Hangs);
    lab.failover(1).unwrap();
    assert_eq!(lab.host(1).power_state(&vm), "Halted");
    lab.host(1).vm_start(&vm).unwrap();
    lab.heal(2);
    assert_eq!(lab.runs_on(&vm), Some(1));
    assert_eq!(resident_on(lab.host(0), &vm), lab.host(1).host_ref());
    assert!(lab.host(2).running_platformdata(&vm).is_none());
}

#[test]
fn a_crashed_host_does_not_take_over_and_events_wait_through_a_failover() {
    let lab = Lab::new(3);
    lab.crash(2);
    assert_eq!(lab.failover(2).unwrap_err().code, "HOST_OFFLINE");
    let session = lab.log_in(1);
    let from = |host: usize, session: &str, token: &str, timeout: f64| {
        lab.ask(host, "event.from", &json!([session, ["pool"], token, timeout]))["result"].clone()
    };
    let token = from(1, &session, "", 0.0)["token"].as_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| from(1, &session, &token, 20.0));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished());
        lab.failover(1).unwrap();
        let told = waiting.join().unwrap();
        assert_eq!(told["events"][0]["snapshot"]["master"], lab.host(1).host_ref(), "{told}");
    });
}
