//! Hosts that are cut off, crash, or break in the middle.

use std::fs;
use std::time::Duration;

use serde_json::json;
use simulated_host::{Fault, Outage, Service};

use crate::support::{Lab, resident_on, set_args};

#[test]
fn a_cut_off_members_calls_hang_until_it_is_healed() {
    let lab = Lab::new(2);
    let session = lab.log_in(1);
    lab.partition(1, Outage::Hangs);
    assert!(lab.hangs(1, "VM.get_all", &json!([session])));
    assert!(lab.hangs(1, "session.login_with_password", &json!(["root", "", "1.0", "test"])));
    assert!(lab.ask(0, "VM.get_all", &json!([session]))["result"].is_array());
    lab.heal(1);
    assert!(lab.ask(1, "VM.get_all", &json!([session]))["result"].is_array());
}

/// `with_reusable_stunnel` in `ocaml/libs/http-lib/xmlrpc_client.ml` tries again for minutes.
#[test]
fn a_call_that_hung_is_carried_out_when_the_member_is_healed_but_not_after_a_failover() {
    let lab = Lab::new(2);
    let (session, pool) = (lab.log_in(1), lab.host(0).pool_ref());
    lab.partition(1, Outage::Hangs);
    let write = |key: &str| lab.try_ask(1, "pool.add_to_other_config", &json!([session, pool, key, "1"]));
    std::thread::scope(|scope| {
        let late = scope.spawn(|| write("late"));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!late.is_finished());
        lab.heal(1);
        assert_eq!(late.join().unwrap().unwrap()["result"], "");
        lab.partition(1, Outage::Hangs);
        let later = scope.spawn(|| write("later"));
        std::thread::sleep(Duration::from_millis(200));
        lab.failover(1).unwrap();
        assert_eq!(later.join().unwrap(), None);
    });
    assert!(!lab.host(0).pool_other_config().contains_key("later"));
}

#[test]
fn a_member_in_emergency_mode_refuses_every_call_at_once_with_an_array() {
    let lab = Lab::new(2);
    let session = lab.log_in(1);
    for (code, params) in [("HOST_STILL_BOOTING", &[][..]), ("HOST_UNKNOWN_TO_MASTER", &[lab.host(1).host_uuid()])] {
        lab.partition(1, Outage::emergency(code, params));
        let mut expected = vec![code];
        expected.extend(params);
        for (method, params) in [("VM.get_all", json!([session])), ("session.login_with_password", json!(["root", ""]))]
        {
            let refused = lab.ask(1, method, &params);
            assert_eq!((&refused["error"], &refused["id"]), (&json!(expected), &json!(0)), "{method}");
        }
    }
}

#[test]
fn a_host_that_cannot_be_reached_runs_no_plugin_and_starts_no_vm() {
    let (lab, vm) = Lab::with_vm(3);
    let session = lab.log_in(0);
    let error = |code: &str, host: usize| json!([code, lab.host(host).host_ref()]);
    lab.partition(1, Outage::Hangs);
    lab.crash(2);
    assert_eq!(lab.who(0, &session, 1)["error"]["message"], "CANNOT_CONTACT_HOST");
    assert_eq!(lab.who(0, &session, 1)["error"]["data"], json!([lab.host(1).host_ref()]));
    assert_eq!(lab.who(0, &session, 2)["error"]["message"], "HOST_OFFLINE");
    let called = |host: usize| {
        let error = lab.host(host).call_plugin("who", "status", &[]).unwrap_err();
        json!([error.code, error.params[0]])
    };
    assert_eq!((called(1), called(2)), (error("CANNOT_CONTACT_HOST", 1), error("HOST_OFFLINE", 2)));
    let started = |host: usize| lab.host(host).vm_start(&vm).unwrap_err();
    assert_eq!(
        (started(1).code.as_str(), started(1).params[0].as_str()),
        ("CANNOT_CONTACT_HOST", lab.host(1).host_ref())
    );
    // `assert_can_boot_here` in `ocaml/xapi/xapi_vm_helpers.ml`.
    assert_eq!((started(2).code.as_str(), started(2).params.len()), ("HOST_NOT_LIVE", 0));
    lab.end_all_faults().unwrap();
    for host in [1, 2] {
        assert!(lab.who(0, &session, host)["result"].is_string(), "host {host}");
        lab.host(host).vm_start(&vm).unwrap();
        lab.host(host).shutdown(&vm).unwrap();
    }
}

/// `do_op_on_common` in `ocaml/xapi/message_forwarding.ml`.
#[test]
fn a_member_whose_xapi_is_down_runs_no_plugin_for_its_coordinator() {
    let lab = Lab::new(2);
    let session = lab.log_in(0);
    lab.host(1).set_fault(Service::Xapi, Fault::Refuses).unwrap();
    let refused = lab.who(0, &session, 1);
    assert_eq!(
        (&refused["error"]["message"], &refused["error"]["data"]),
        (&json!("CANNOT_CONTACT_HOST"), &json!([lab.host(1).host_ref()]))
    );
    lab.host(1).clear_faults().unwrap();
    assert!(lab.who(0, &session, 1)["result"].is_string());
}

#[test]
fn a_guest_reboots_on_a_cut_off_member_with_that_hosts_hook_and_without_xapi() {
    let (lab, vm) = Lab::with_vm(2);
    set_args(lab.host(0), &vm, "-device first");
    lab.host(1).vm_start(&vm).unwrap();
    lab.partition(1, Outage::Hangs);
    // Its xapi cannot learn of this before it is healed.
    set_args(lab.host(0), &vm, "-device second");
    let socket = lab.root(1).join("var/lib/xcp/xapi");
    lab.install(1, "etc/xapi.d/vm-pre-start/10hook", &ask_xapi(socket.to_str().unwrap()));
    let boot = lab.host(1).guest_reboot(&vm).unwrap();
    assert_eq!(boot.hook_runs[0].stdout.trim(), "no reply");
    assert_eq!(boot.device_model_args.as_deref(), Some("-device first"));
    lab.heal(1);
    lab.host(1).pass_on_events();
    assert!(lab.host(1).xenopsd_metadata(&vm).to_string().contains("-device second"));
    let boot = lab.host(1).guest_reboot(&vm).unwrap();
    assert_eq!(
        (boot.hook_runs[0].stdout.trim(), boot.device_model_args.as_deref()),
        ("a reply", Some("-device second"))
    );
}

/// A script that says whether xapi answers.
fn ask_xapi(socket: &str) -> String {
    format!(
        r#"#!/usr/bin/env python3
import socket
xapi = socket.socket(socket.AF_UNIX)
xapi.settimeout(0.3)
xapi.connect("{socket}")
body = b'{{"jsonrpc":"2.0","method":"VM.get_all","params":["x"],"id":1}}'
xapi.sendall(b"POST /jsonrpc HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
try:
    print("a reply" if xapi.recv(1) else "no reply")
except OSError:
    print("no reply")
"#
    )
}

#[test]
fn what_ended_on_a_cut_off_member_shows_when_it_is_healed() {
    let (lab, vm) = Lab::with_vm(2);
    lab.host(1).vm_start(&vm).unwrap();
    lab.partition(1, Outage::Hangs);
    lab.host(1).guest_power_off(&vm).unwrap();
    assert_eq!((lab.runs_on(&vm), lab.host(0).power_state(&vm).as_str()), (None, "Running"));
    lab.heal(1);
    assert_eq!(lab.host(0).power_state(&vm), "Halted");
}

#[test]
fn a_crashed_hosts_sockets_vanish_and_its_vms_are_halted_once_it_is_declared_dead() {
    let (lab, vm) = Lab::with_vm(2);
    lab.host(1).vm_start(&vm).unwrap();
    assert_eq!(lab.declare_dead(1).unwrap_err().code, "HOST_IS_LIVE");
    lab.crash(1);
    for socket in ["var/lib/xcp/xapi", "var/run/message-switch/sock"] {
        assert!(!lab.root(1).join(socket).exists(), "{socket}");
    }
    assert_eq!((lab.runs_on(&vm), lab.host(0).power_state(&vm).as_str()), (None, "Running"));
    assert_eq!(lab.host(0).vm_start(&vm).unwrap_err().code, "VM_BAD_POWER_STATE");
    lab.declare_dead(1).unwrap();
    assert_eq!(
        (lab.host(0).power_state(&vm), resident_on(lab.host(0), &vm)),
        ("Halted".into(), "OpaqueRef:NULL".into())
    );
    lab.host(0).vm_start(&vm).unwrap();
    lab.restart(1).unwrap();
    assert_eq!((lab.runs_on(&vm), resident_on(lab.host(1), &vm).as_str()), (Some(0), lab.host(0).host_ref()));
    lab.log_in(1);
}

#[test]
fn a_host_that_starts_again_finds_its_vms_halted_and_its_disk_as_it_was() {
    let (lab, vm) = Lab::with_vm(2);
    lab.host(1).vm_start(&vm).unwrap();
    fs::write(lab.root(1).join("etc/kept"), "1").unwrap();
    lab.crash(1);
    lab.restart(1).unwrap();
    assert_eq!((lab.host(0).power_state(&vm).as_str(), lab.host(1).xenopsd_metadata(&vm).is_null()), ("Halted", true));
    assert_eq!(fs::read_to_string(lab.root(1).join("etc/kept")).unwrap(), "1");
    lab.host(1).vm_start(&vm).unwrap();
}

#[test]
fn programs_on_a_host_that_crashes_are_killed_before_the_crash_is_over() {
    let (lab, vm) = Lab::with_vm(2);
    // A script that waits for a child, as our hook's does.
    let tick = r#"#!/bin/sh
sh -c 'for i in $(seq 500); do echo $i >> "$0"; sleep 0.01; done' "${0%/*}/../../tick"
exit 0
"#;
    lab.install(1, "etc/xapi.d/vm-pre-start/10tick", tick);
    let file = lab.root(1).join("etc/tick");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| lab.host(1).vm_start(&vm));
        while !file.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        lab.crash(1);
        // The kernel may take a moment over it.
        std::thread::sleep(Duration::from_millis(20));
        let length = fs::metadata(&file).unwrap().len();
        assert!(start.join().unwrap().is_err());
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(fs::metadata(&file).unwrap().len(), length);
    });
    assert_eq!((lab.runs_on(&vm), lab.host(0).power_state(&vm).as_str()), (None, "Halted"));
}

#[test]
fn a_fault_may_wait_until_so_many_calls_of_a_method_have_succeeded() {
    let (lab, vm) = Lab::with_vm(2);
    let (session, reference) = (lab.log_in(1), lab.host(0).vm_ref(&vm).unwrap());
    lab.host(1).set_fault_after(Service::Xapi, "VM.add_to_platform", 2, Fault::error("INTERNAL_ERROR", &["broken"]));
    let add = |host: usize, key: &str| {
        let reply = lab.ask(host, "VM.add_to_platform", &json!([session, reference, key, "1"]));
        reply.get("error").map_or("done".to_owned(), ToString::to_string)
    };
    assert_eq!(add(1, "a"), "done");
    assert!(add(1, "a").contains("MAP_DUPLICATE_KEY"), "what XAPI refuses has not succeeded");
    assert_eq!(add(1, "b"), "done");
    assert!(add(1, "c").contains("broken"));
    assert!(add(1, "d").contains("broken"), "and it stays");
    assert_eq!(add(0, "e"), "done", "on that host only");
    assert!(lab.ask(1, "VM.get_platform", &json!([session, reference]))["result"].is_object(), "in that method only");
    lab.host(1).clear_faults().unwrap();
    assert_eq!(add(1, "c"), "done");
}

#[test]
fn a_fault_may_wait_until_so_many_calls_of_any_method_have_succeeded() {
    let lab = Lab::new(1);
    lab.host(0).set_fault_after_any(Service::Xapi, 2, Fault::Absent);
    let session = lab.log_in(0);
    let get_all = || lab.try_ask(0, "VM.get_all", &json!([session]));
    assert!(get_all().is_some());
    assert!(get_all().is_none());
}

#[test]
fn a_fault_that_waits_breaks_our_hook_between_its_two_calls_of_xenopsd() {
    let pool = vgpu_tests::ResourcePool::new(1);
    let host = pool.host(0);
    for (calls, is_added) in [(1, false), (2, true)] {
        for method in [None, Some("request")] {
            let vm = host.create_vm("web01");
            pool.on(0).register(&vm, "A", "high");
            host.set_platform_key(&vm, "device-model-args", None).unwrap();
            match method {
                None => host.set_fault_after_any(Service::Xenopsd, calls, Fault::error("Internal_error", &["no"])),
                Some(method) => host.set_fault_after(Service::MessageSwitch, method, calls, Fault::Absent),
            }
            // What the hook makes of it is its own affair: it reads, and then adds.
            let _ = host.vm_start(&vm);
            assert_eq!(host.last_vm_add(&vm).is_some(), is_added, "{method:?} after {calls} calls");
            host.clear_faults().unwrap();
        }
    }
}
