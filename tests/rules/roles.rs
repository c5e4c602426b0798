//! Rule 6: the plugin uses its caller's session, so XAPI's roles decide. Who may not change the resource pool changes no
//! settings, by whatever he may write.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};
use simulated_host::Role;
use vgpu_tests::{Dom0, ResourcePool, uuid};

use crate::support::{
    HOSTS, args, assert_one_state, entry, key, known_vm, pool_with_known_vm, set_args, set_pool, started, state,
};

/// Everybody who may not change the resource pool.
const WITHOUT_RIGHTS: [Role; 4] = [Role::ReadOnly, Role::VmOperator, Role::VmAdmin, Role::VmPowerAdmin];

/// Calls XAPI on a host's socket in a session, as any of its clients does.
fn ask(pool: &ResourcePool, host: usize, method: &str, params: &Value) -> Value {
    let mut stream = UnixStream::connect(pool.on(host).root.path("var/lib/xcp/xapi")).unwrap();
    let body = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string();
    let head = format!("POST /jsonrpc HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    serde_json::from_str(reply.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// Every function that changes anything, with arguments that would.
fn changes(vm: &str, stranger: &str) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let file = json!({"version": 1, "vm": [{"vm_uuid": vm, "pool": "B", "priority": "low"}]}).to_string();
    let text = |value: &str| value.to_owned();
    vec![
        ("register_vm", vec![("vm_uuid", text(stranger)), ("pool", text("A")), ("priority", text("high"))]),
        ("set_pool", vec![("vm_uuid", text(vm)), ("pool", text("B"))]),
        ("set_priority", vec![("vm_uuid", text(vm)), ("priority", text("low"))]),
        ("update_vm", vec![("vm_uuid", text(vm)), ("vm_id", text("77"))]),
        ("remove_vm", vec![("vm_uuid", text(vm))]),
        ("adopt", vec![]),
        ("sync", vec![]),
        ("prune", vec![]),
        ("import", vec![("config", file)]),
    ]
}

#[test]
fn who_may_not_change_the_pool_is_refused_every_change_on_every_host_with_xapis_own_error() {
    let (pool, vm) = pool_with_known_vm();
    let (stranger, gone) = (pool.host(0).create_vm("stranger"), known_vm(&pool));
    // So that each of them would have something to do.
    set_args(&pool, &stranger, Some("-device vgpu-stub,pool_id=B,priority=high,vm_id=9"));
    set_args(&pool, &vm, Some("-vga std"));
    pool.host(0).destroy(&gone).unwrap();
    let before = state(&pool, &[&vm, &stranger]);
    for host in 0..HOSTS {
        let session = pool.on(host).open_session(Role::VmOperator);
        for (function, arguments) in changes(&vm, &stranger) {
            let arguments: Vec<_> = arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let refused = pool.on(host).call_plugin_in(&session, "vgpu", function, &arguments).unwrap_err();
            assert_eq!(refused.code, "RBAC_PERMISSION_DENIED", "{function} on host {host}: {refused}");
            assert!(refused.params[1].contains("pool-operator"), "{function} on host {host}: {refused}");
            let is_open = pool.host(0).open_sessions().iter().any(|open| open.reference == session);
            assert!(is_open, "{function} on host {host} has ended its caller's session");
        }
        assert_eq!(state(&pool, &[&vm, &stranger]), before, "host {host}");
    }
}

#[test]
fn each_role_below_pool_operator_is_refused_and_pool_operator_is_not() {
    let (pool, vm) = pool_with_known_vm();
    let set = |host: usize, role: Role| {
        let arguments = [("vm_uuid", vm.as_str()), ("pool", "B")];
        pool.on(host).call_plugin_as(role, "vgpu", "set_pool", &arguments)
    };
    for role in WITHOUT_RIGHTS {
        for host in 0..HOSTS {
            assert_eq!(set(host, role).unwrap_err().code, "RBAC_PERMISSION_DENIED", "{role:?} on host {host}");
        }
    }
    set(1, Role::PoolOperator).unwrap();
    assert_one_state(&pool, &vm, "after pool-operator's change");
    assert_eq!(entry(&pool, &vm).unwrap().revision, 2);
}

#[test]
fn a_change_of_nothing_is_refused_as_well() {
    let (pool, vm) = pool_with_known_vm();
    let to_come = uuid(1);
    for role in WITHOUT_RIGHTS {
        for (function, arguments) in [
            ("set_pool", &[("vm_uuid", vm.as_str()), ("pool", "A")][..]),
            ("set_priority", &[("vm_uuid", &vm), ("priority", "high")]),
            // Of one that XAPI does not know, it has nothing to write either.
            ("register_vm", &[("vm_uuid", &to_come), ("pool", "A"), ("priority", "high"), ("force", "true")]),
        ] {
            let refused = pool.on(1).call_plugin_as(role, "vgpu", function, arguments).unwrap_err();
            assert_eq!(refused.code, "RBAC_PERMISSION_DENIED", "{role:?} {function}");
        }
    }
}

#[test]
fn a_vm_operator_reads_on_every_host_and_keeps_the_session() {
    let (pool, vm) = pool_with_known_vm();
    for host in 0..HOSTS {
        let session = pool.on(host).open_session(Role::VmOperator);
        let before = state(&pool, &[&vm]);
        for (function, arguments) in [
            ("show_vm", &[("vm_uuid", vm.as_str())][..]),
            ("list_vms", &[]),
            ("list_pools", &[]),
            ("count_by_pool", &[]),
            ("count_by_priority", &[]),
            ("scan_vms", &[]),
            ("scan_gpus", &[]),
            ("metrics", &[]),
            ("export", &[]),
            ("history", &[]),
            ("status", &[]),
            ("check", &[]),
            ("version", &[]),
            ("sync", &[("dry_run", "true")]),
            ("adopt", &[("dry_run", "true")]),
            ("prune", &[("dry_run", "true")]),
            ("import", &[("config", "version = 1"), ("dry_run", "true")]),
        ] {
            let answer = pool.on(host).call_plugin_in(&session, "vgpu", function, arguments);
            answer.unwrap_or_else(|error| panic!("{function} on host {host}: {error}"));
        }
        assert!(pool.host(0).open_sessions().iter().any(|open| open.reference == session), "host {host}");
        assert_eq!(state(&pool, &[&vm]), before, "host {host}");
    }
}

#[test]
fn the_plugin_opens_no_session_of_its_own() {
    let (pool, vm) = pool_with_known_vm();
    pool.clear_calls();
    for host in 0..HOSTS {
        set_pool(&pool, host, &vm, if host == 1 { "A" } else { "B" });
        pool.on(host).plugin("sync", &[]);
        pool.on(host).plugin("scan_vms", &[]);
    }
    let sessions: Vec<_> = pool.calls().into_iter().filter(|call| call.contains("log")).collect();
    assert!(sessions.is_empty(), "{sessions:?}");
}

/// Sets a key of a map of a VM as XAPI lets that session.
fn set_key(pool: &ResourcePool, session: &str, vm: &str, map: &str, key: &str, value: &str) {
    let reference = pool.host(0).vm_ref(vm).unwrap();
    let removed = ask(pool, 1, &format!("VM.remove_from_{map}"), &json!([session, reference, key]));
    let added = ask(pool, 1, &format!("VM.add_to_{map}"), &json!([session, reference, key, value]));
    assert_eq!((&removed["result"], &added["result"]), (&json!(""), &json!("")), "{removed} {added}");
}

#[test]
fn a_vm_admin_cannot_raise_the_priority_of_a_vm_by_what_it_writes_into_the_vm() {
    let (pool, vm) = pool_with_known_vm();
    let urgent = known_vm(&pool);
    pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    let right = args(&pool, &vm).unwrap();
    let settled = entry(&pool, &vm).unwrap();
    let number = settled.vm_id.unwrap();
    let (its_own, urgents) = (right.replace("priority=low", "priority=high"), args(&pool, &urgent).unwrap());
    let session = pool.on(1).open_session(Role::VmAdmin);
    for (host, written) in [
        its_own.clone(),
        urgents.clone(),
        format!("{right},priority=high"),
        format!("{right} {its_own}"),
        format!("{its_own} {right}"),
        format!("-device vgpu-stub,priority=high,vm_id={number},pool_id=B"),
        "-vga std".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        set_key(&pool, &session, &vm, "platform", "device-model-args", &written);
        let got = started(&pool, host % HOSTS, &vm).unwrap();
        assert_eq!(got.trim_start_matches("-vga std "), right, "after {written}");
        assert_eq!(args(&pool, &vm), Some(got), "after {written}");
    }
    for (name, written) in [
        (key(&vm), format!("1 A 2 {number} 99 4000000000")),
        ("vgpu".to_owned(), its_own),
        ("priority".to_owned(), "high".to_owned()),
    ] {
        set_key(&pool, &session, &vm, "other_config", &name, &written);
        // A VM with a platform key of any other letters does not start at all.
        if !name.contains(':') {
            set_key(&pool, &session, &vm, "platform", &name, &written);
        }
        let got = started(&pool, 2, &vm).unwrap();
        assert!(got.ends_with(&right), "after {name}={written}: {got}");
    }
    assert_eq!(entry(&pool, &vm), Some(settled), "what all hosts go by");
}

#[test]
fn a_vm_admin_cannot_write_what_decides() {
    let (pool, vm) = pool_with_known_vm();
    let session = pool.on(2).open_session(Role::VmAdmin);
    let (reference, before) = (pool.host(0).pool_ref().to_owned(), state(&pool, &[&vm]));
    for (method, params) in [
        ("pool.remove_from_other_config", json!([session, reference, key(&vm)])),
        ("pool.add_to_other_config", json!([session, reference, key(&vm), "1 A 2 7 99 4000000000"])),
        ("pool.set_other_config", json!([session, reference, {}])),
    ] {
        for host in 0..HOSTS {
            let refused = ask(&pool, host, method, &params);
            assert!(refused["error"].to_string().contains("RBAC_PERMISSION_DENIED"), "{method}: {refused}");
        }
    }
    assert_eq!(state(&pool, &[&vm]), before);
}

#[test]
fn a_clone_that_a_vm_admin_makes_of_an_urgent_vm_is_not_urgent_on_any_host() {
    let (pool, vm) = pool_with_known_vm();
    for host in 0..HOSTS {
        let clone = pool.host(0).clone_vm(&vm, "copy").unwrap();
        let session = pool.on(host).open_session(Role::VmAdmin);
        set_key(&pool, &session, &clone, "platform", "device-model-args", &args(&pool, &vm).unwrap());
        assert_eq!(started(&pool, host, &clone), None, "host {host}");
    }
}

#[test]
fn nobody_leaves_a_session_open_and_nobody_ends_the_callers() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let session = dom0.open_session(Role::PoolAdmin);
    let before = dom0.open_sessions();
    dom0.call_plugin_in(&session, "vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap();
    dom0.call_plugin_in(&session, "vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "C")]).unwrap_err();
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=A"]);
    let _ = dom0.root.admin(&["check"]);
    dom0.sql("UPDATE vms SET priority = 1");
    dom0.start(&vm);
    assert_eq!(dom0.open_sessions(), before);
}
