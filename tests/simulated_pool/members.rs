//! The hosts of a pool, and what a member's xapi does with calls.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use simulated_host::{Outage, Role, SimulatedPool};
use vgpu_tests::ResourcePool;

use crate::support::Lab;

#[test]
fn every_host_of_a_pool_has_a_root_a_name_and_a_uuid_of_its_own_and_the_first_is_the_coordinator() {
    let lab = Lab::new(3);
    assert_eq!((lab.len(), lab.hosts().len(), lab.coordinator_index()), (3, 3, 0));
    let session = lab.log_in(1);
    for (index, host) in lab.hosts().iter().enumerate() {
        assert_eq!(host.root(), lab.root(index));
        assert!(lab.root(index).join("var/run/message-switch/sock").exists());
        let inventory = fs::read_to_string(lab.root(index).join("etc/xensource-inventory")).unwrap();
        assert!(inventory.contains(host.host_uuid()), "{inventory}");
        let record = &lab.ask(1, "host.get_record", &json!([session, host.host_ref()]))["result"];
        assert_eq!(
            (&record["uuid"], &record["name_label"]),
            (&json!(host.host_uuid()), &json!(format!("xcp-ng-{}", index + 1)))
        );
    }
    assert_ne!(lab.host(0).host_uuid(), lab.host(1).host_uuid());
    let masters = lab.ask(2, "pool.get_all_records", &json!([session]));
    assert_eq!(masters["result"][lab.host(2).pool_ref()]["master"], lab.coordinator().host_ref());
}

#[test]
fn a_pool_has_one_to_four_hosts() {
    let folder = tempfile::TempDir::with_prefix_in("pool-", "/tmp").unwrap();
    assert!(SimulatedPool::start(folder.path(), 0).is_err());
    assert!(SimulatedPool::start(folder.path(), 5).is_err());
    assert_eq!(SimulatedPool::start(folder.path(), 4).unwrap().len(), 4);
    assert_eq!(SimulatedPool::start(folder.path(), 1).unwrap().len(), 1);
}

#[test]
fn what_is_written_through_one_host_is_read_through_every_other() {
    let (lab, vm) = Lab::with_vm(3);
    let session = lab.log_in(1);
    let reference = lab.host(0).vm_ref(&vm).unwrap();
    lab.ask(1, "VM.add_to_platform", &json!([session, reference, "key", "value"]));
    let pool = lab.host(0).pool_ref();
    lab.ask(2, "pool.add_to_other_config", &json!([session, pool, "ours", "1"]));
    for index in 0..3 {
        let read = lab.ask(index, "VM.get_platform", &json!([session, reference]));
        assert_eq!(read["result"]["key"], "value", "host {index}");
        assert_eq!(lab.host(index).pool_other_config()["ours"], "1", "host {index}");
        assert_eq!(lab.host(index).platform(&vm)["key"], "value", "host {index}");
    }
}

#[test]
fn a_member_answers_logins_itself_and_brings_forwarded_errors_as_arrays() {
    let lab = Lab::new(2);
    let session = lab.log_in(1);
    let here = lab.ask(1, "session.get_this_host", &json!([session, session]));
    assert_eq!(here["result"], lab.host(1).host_ref());
    let unknown = json!([session, "0"]);
    let on_coordinator = &lab.ask(0, "VM.get_by_uuid", &unknown)["error"];
    assert_eq!(on_coordinator, &json!({"code": 1, "message": "UUID_INVALID", "data": ["VM", "0"]}));
    let forwarded = &lab.ask(1, "VM.get_by_uuid", &unknown)["error"];
    assert_eq!(forwarded, &json!(["UUID_INVALID", "VM", "0"]));
    // The login is no forwarded call: its errors have the shape of 2.0.
    let refused = &lab.ask(1, "session.login_with_password", &json!([]))["error"];
    assert_eq!(refused["message"], "MESSAGE_PARAMETER_COUNT_MISMATCH", "{refused}");
}

#[test]
fn a_plugin_runs_on_the_host_that_is_named_in_the_callers_session_whichever_socket_was_asked() {
    let lab = Lab::new(3);
    for (asked, on) in [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0)] {
        let session = lab.log_in(asked);
        let answer = &lab.who(asked, &session, on)["result"];
        let program = lab.root(on).join("etc/xapi.d/plugins/who");
        assert_eq!(answer, &json!(format!("{} {session}", program.display())), "host {on} by host {asked}");
    }
    let answer = lab.host(2).call_plugin("who", "status", &[]).unwrap();
    assert!(answer.starts_with(lab.root(2).to_str().unwrap()), "{answer}");
}

#[test]
fn a_role_that_may_not_is_refused_on_a_member_as_on_the_coordinator() {
    let lab = Lab::new(2);
    let session = lab.host(0).open_session(Role::VmOperator);
    for asked in 0..2 {
        let error = &lab.who(asked, &session, 1)["error"];
        assert!(error.to_string().contains("RBAC_PERMISSION_DENIED"), "{error}");
    }
}

#[test]
fn calls_are_counted_for_the_whole_pool_once_each() {
    let lab = Lab::new(2);
    let session = lab.log_in(1);
    lab.ask(1, "VM.get_all", &json!([session]));
    lab.ask(0, "pool.get_all", &json!([session]));
    assert_eq!(lab.calls(), ["session.login_with_password", "VM.get_all", "pool.get_all"]);
    assert_eq!(lab.host(1).calls(), lab.calls());
    lab.clear_calls();
    assert!(lab.calls().is_empty());
}

#[test]
fn our_programs_run_on_every_host() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(1).register(&vm, "B", "low");
    let got = pool.on(0).start(&vm).unwrap();
    assert!(got.contains("pool_id=B"), "{got}");
    assert_eq!(pool.on(0).root.admin_json(&["show-vm", "--vm-uuid", &vm])["pool"], "B");
    pool.migrate(&vm, 0, 1).unwrap();
    assert_eq!(pool.on(1).reboot_from_inside(&vm), Some(got));
}

#[test]
fn a_pool_ends_at_once_also_while_calls_hang_and_programs_run() {
    let lab = Lab::new(3);
    lab.install(2, "etc/xapi.d/plugins/endless", "#!/bin/sh\nexec sleep 60\n");
    let session = lab.log_in(0);
    let endless = json!([session, lab.host(2).host_ref(), "endless", "f", {}]);
    assert!(lab.hangs(0, "host.call_plugin", &endless));
    lab.partition(1, Outage::Hangs);
    assert!(lab.hangs(1, "VM.get_all", &json!([session])));
    assert!(lab.hangs(0, "event.from", &json!([session, ["VM"], "99999999,0", 60.0])));
    let began = Instant::now();
    drop(lab);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
