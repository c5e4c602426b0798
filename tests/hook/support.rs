//! A start that needs everything, and how it went.

use std::time::{Duration, Instant};

use simulated_host::Exit;
use vgpu_tests::Dom0;

/// A deadline short enough for a test to wait for.
const DEADLINE: Duration = Duration::from_secs(1);

/// What a busy machine may add to it.
const GRACE: Duration = Duration::from_secs(4);

/// A VM whose row says something else than XAPI, so that its start needs everything: xenopsd and XAPI.
pub fn needing_repair() -> (Dom0, String) {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("deadline = 1");
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    (dom0, vm)
}

/// Starts the VM, which has to work within the deadline with the hook at `exit`; gives what QEMU got and the log's line.
pub fn start(dom0: &Dom0, vm: &str, exit: i32) -> (String, String) {
    let began = Instant::now();
    let boot = dom0.vm_start(vm).unwrap_or_else(|error| panic!("the VM does not start: {error}"));
    assert!(began.elapsed() < DEADLINE + GRACE, "the start took {:?}", began.elapsed());
    let run = boot.hook_runs.last().unwrap();
    assert_eq!(run.exit, Exit::Code(exit), "{run:?}");
    if exit == 1 {
        assert_eq!(run.stdout.lines().count(), 1, "one line for xenopsd's log: {run:?}");
    }
    let log = dom0.hook_log();
    let line = log.last().unwrap_or_else(|| panic!("nothing was logged: {run:?}")).clone();
    assert!(line.contains(vm), "the log does not name the VM: {line}");
    (boot.device_model_args.unwrap_or_default(), line)
}
