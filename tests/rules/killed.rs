//! Rule 2, where the program ends between XAPI's two halves of a change or before its commit: the next operation, hook or
//! sync on any host brings all to one state.

use std::process::Stdio;
use std::thread;

use simulated_host::{Fault, Service};
use vgpu_tests::ResourcePool;

use crate::support::{
    HOSTS, assert_one_state, entry, known_vm, pool_with_vm, row, set_pool, started, sync_all, wait_until,
};

/// More calls than any change makes.
const MANY: usize = 40;

/// What comes next, on whatever host.
#[derive(Debug, Clone, Copy)]
enum Next {
    Start,
    Operation,
    Sync,
}

impl Next {
    fn happen(self, pool: &ResourcePool, host: usize, vm: &str) {
        match self {
            Self::Start => drop(started(pool, host, vm)),
            // What it asks for is what is there: nothing but what was left undone has to be done.
            Self::Operation => drop(pool.on(host).plugin("set_priority", &[("vm_uuid", vm), ("priority", "high")])),
            Self::Sync => drop(pool.on(host).plugin("sync", &[])),
        }
    }
}

/// Calls a function on a host whose XAPI is gone after so many calls, and says whether it succeeded all the same.
fn call_cut_after(pool: &ResourcePool, host: usize, calls: usize, function: &str, arguments: &[(&str, &str)]) -> bool {
    pool.on(host).set_fault_after_any(Service::Xapi, calls, Fault::Absent);
    let outcome = pool.on(host).call_plugin("vgpu", function, arguments);
    pool.on(host).clear_faults().unwrap();
    outcome.is_ok()
}

/// Cuts a move to GPU pool B after every one of its calls; then this comes next, in turn on each host. What XAPI was told
/// counts, and where it was told nothing, what was there before.
fn cut_everywhere(next: Next) {
    let (pool, _) = pool_with_vm();
    let (mut told, mut untold, mut gaps) = (0, 0, 0);
    for calls in 0..MANY {
        let vm = known_vm(&pool);
        let (broken, mended) = (calls % HOSTS, (calls / 2) % HOSTS);
        let succeeded = call_cut_after(&pool, broken, calls, "set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
        let why = format!("{next:?} on host {mended} after {calls} calls on host {broken}");
        let left = entry(&pool, &vm);
        let expected = match left.as_ref().and_then(|entry| entry.settings) {
            Some(settings) => settings.pool.to_string(),
            None => "A".to_owned(),
        };
        match (&left, expected.as_str()) {
            (None, _) => gaps += 1,
            (_, "A") => untold += 1,
            _ => told += 1,
        }
        assert!(!succeeded || expected == "B", "{why}: what succeeded lasts");
        next.happen(&pool, mended, &vm);
        assert_one_state(&pool, &vm, &why);
        assert!(row(&pool, mended, &vm).contains(&format!("|{expected}|")), "{why}: {}", row(&pool, mended, &vm));
        if succeeded {
            assert!(untold > 3 && gaps > 0 && told > 1, "not cut everywhere: {untold}, {gaps}, {told}");
            return;
        }
    }
    panic!("it never succeeded");
}

#[test]
fn a_change_cut_at_any_point_is_brought_to_one_state_by_the_next_start_on_any_host() {
    cut_everywhere(Next::Start);
}

#[test]
fn a_change_cut_at_any_point_is_brought_to_one_state_by_the_next_operation_on_any_host() {
    cut_everywhere(Next::Operation);
}

#[test]
fn a_change_cut_at_any_point_is_brought_to_one_state_by_the_next_sync_on_any_host() {
    cut_everywhere(Next::Sync);
}

#[test]
fn a_registration_cut_at_any_point_happened_everywhere_or_nowhere() {
    let (pool, _) = pool_with_vm();
    for calls in 0..MANY {
        let vm = pool.host(0).create_vm("new");
        let (broken, mended) = (calls % HOSTS, (calls + 1) % HOSTS);
        let arguments = [("vm_uuid", vm.as_str()), ("pool", "A"), ("priority", "high")];
        let succeeded = call_cut_after(&pool, broken, calls, "register_vm", &arguments);
        let why = format!("after {calls} calls on host {broken}");
        if entry(&pool, &vm).is_some() {
            let got = started(&pool, mended, &vm);
            assert!(got.as_ref().is_some_and(|got| got.contains("pool_id=A,priority=high")), "{why}: {got:?}");
            assert_one_state(&pool, &vm, &why);
        } else {
            assert_eq!(started(&pool, mended, &vm), None, "{why}");
            sync_all(&pool);
            assert!((0..HOSTS).all(|host| row(&pool, host, &vm).is_empty()), "{why}");
        }
        if succeeded {
            return;
        }
    }
    panic!("it never succeeded");
}

#[test]
fn a_removal_cut_at_any_point_is_brought_to_one_state_by_the_next_start_on_any_host() {
    let (pool, _) = pool_with_vm();
    for calls in 0..MANY {
        let vm = known_vm(&pool);
        let (broken, mended) = (calls % HOSTS, (calls / 2) % HOSTS);
        let succeeded = call_cut_after(&pool, broken, calls, "remove_vm", &[("vm_uuid", &vm)]);
        let was_told = entry(&pool, &vm).is_some_and(|entry| entry.settings.is_none());
        let got = started(&pool, mended, &vm);
        let why = format!("on host {mended} after {calls} calls on host {broken}");
        assert_eq!(got.is_none(), was_told, "{why}: {got:?}");
        assert_one_state(&pool, &vm, &why);
        if succeeded {
            assert!(was_told, "{why}");
            return;
        }
    }
    panic!("it never succeeded");
}

/// The calls of a change in which a program is killed, each with the one before it.
const KILLED_IN: [(&str, &str); 4] = [
    ("pool.remove_from_other_config", "pool.get_other_config"),
    ("pool.add_to_other_config", "pool.remove_from_other_config"),
    ("VM.remove_from_platform", "pool.add_to_other_config"),
    ("VM.add_to_platform", "VM.remove_from_platform"),
];

/// Waits until the last call that XAPI has carried out is this one: the next one hangs, or is about to.
fn wait_for(pool: &ResourcePool, call: &str) {
    wait_until(call, || pool.calls().last().map(String::as_str) == Some(call));
}

#[test]
fn a_program_that_is_killed_in_a_call_leaves_what_the_next_one_on_any_host_brings_to_one_state() {
    let (pool, _) = pool_with_vm();
    for (number, (method, before)) in KILLED_IN.into_iter().enumerate() {
        for (next, mended) in [(Next::Start, number % HOSTS), (Next::Operation, 0), (Next::Sync, 2)] {
            let vm = known_vm(&pool);
            let host = pool.on(1);
            host.set_fault_in(Service::Xapi, method, Fault::Hangs).unwrap();
            pool.clear_calls();
            let mut command = host.root.command("usr/bin/vgpu-admin");
            command.args(["set-pool", "--vm-uuid", &vm, "--pool", "B"]).stdout(Stdio::null()).stderr(Stdio::null());
            let mut program = command.spawn().unwrap();
            wait_for(&pool, before);
            program.kill().unwrap();
            assert_eq!(program.wait().unwrap().code(), None, "a signal has ended it");
            host.clear_faults().unwrap();
            next.happen(&pool, mended, &vm);
            assert_one_state(&pool, &vm, &format!("killed in {method}, then {next:?} on host {mended}"));
        }
    }
}

#[test]
fn a_host_that_crashes_in_a_call_leaves_what_every_other_brings_to_one_state() {
    let (pool, _) = pool_with_vm();
    for (method, before) in &KILLED_IN[1..] {
        let vm = known_vm(&pool);
        pool.on(2).set_fault_in(Service::Xapi, method, Fault::Hangs).unwrap();
        pool.clear_calls();
        thread::scope(|scope| {
            let change = scope.spawn(|| pool.on(2).call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]));
            // The question whether the caller may is a removal too.
            wait_until("the question", || pool.calls().iter().any(|call| call == "pool.get_other_config"));
            wait_for(&pool, before);
            pool.crash(2);
            change.join().unwrap().unwrap_err();
        });
        let got = started(&pool, 1, &vm).unwrap();
        pool.restart(2).unwrap();
        assert_one_state(&pool, &vm, &format!("crashed in {method}"));
        assert_eq!(started(&pool, 2, &vm), Some(got), "crashed in {method}");
    }
}

#[test]
fn a_host_that_crashes_in_a_start_leaves_what_the_next_start_elsewhere_brings_to_one_state() {
    for method in ["VM.remove_from_platform", "VM.add_to_platform"] {
        let (pool, _) = pool_with_vm();
        let vm = known_vm(&pool);
        set_pool(&pool, 0, &vm, "B");
        let number = entry(&pool, &vm).unwrap().vm_id.unwrap();
        let wrong = format!("-vga std -device vgpu-stub,pool_id=A,priority=low,vm_id={number}");
        pool.host(0).set_platform_key(&vm, "device-model-args", Some(&wrong)).unwrap();
        pool.on(1).set_fault_in(Service::Xapi, method, Fault::Hangs).unwrap();
        pool.clear_calls();
        let before = if method == "VM.add_to_platform" { "VM.remove_from_platform" } else { "pool.get_other_config" };
        thread::scope(|scope| {
            let start = scope.spawn(|| pool.on(1).vm_start(&vm));
            wait_until(before, || pool.calls().iter().any(|call| call == before));
            pool.crash(1);
            start.join().unwrap().unwrap_err();
        });
        pool.declare_dead(1).unwrap();
        let got = started(&pool, 2, &vm).unwrap();
        assert!(got.contains("pool_id=B,priority=high"), "{method}: {got}");
        pool.restart(1).unwrap();
        assert_eq!(started(&pool, 1, &vm), Some(got), "{method}");
    }
}
