//! A whole resource pool: scratch roots with our programs, and the simulated hosts in them.

use std::ops::Deref;
use std::thread;

use simulated_host::{Release, SimulatedHost, SimulatedPool};

use crate::programs;
use crate::root::ScratchRoot;

/// A simulated pool with our programs installed on every host. Reached through it: the pool.
pub struct ResourcePool {
    // Dropped first: it stops what runs in the roots.
    pool: SimulatedPool,
    roots: Vec<ScratchRoot>,
}

impl Deref for ResourcePool {
    type Target = SimulatedPool;

    fn deref(&self) -> &SimulatedPool {
        &self.pool
    }
}

impl ResourcePool {
    /// A pool of so many hosts that run, each with a database and without VMs; the first is the coordinator.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        let roots: Vec<ScratchRoot> = (0..hosts).map(|_| ScratchRoot::new()).collect();
        let folders: Vec<_> = roots.iter().map(ScratchRoot::folder).collect();
        let pool = SimulatedPool::start_in(&folders).expect("a simulated pool starts");
        thread::scope(|scope| {
            for root in &roots {
                scope.spawn(|| root.admin_ok(&["list-vms"]));
            }
        });
        pool.clear_calls();
        Self { pool, roots }
    }

    /// The same with stock hosts, on which our qemu-wrapper is installed but not enabled.
    #[must_use]
    pub fn stock(hosts: usize) -> Self {
        let pool = Self::new(hosts);
        for host in 0..hosts {
            let program = programs::folder().join("dom0-program");
            pool.host(host).install_stock(&program, Release::V8_3).expect("a stock host can be installed");
        }
        pool
    }

    /// A host and its programs.
    #[must_use]
    pub fn on(&self, index: usize) -> Member<'_> {
        Member { host: self.pool.host(index), root: &self.roots[index] }
    }
}

/// A host of a pool. Reached through it: the host, and by `root` the programs on it.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    host: &'a SimulatedHost,
    /// The root with the programs.
    pub root: &'a ScratchRoot,
}

impl Deref for Member<'_> {
    type Target = SimulatedHost;

    fn deref(&self) -> &SimulatedHost {
        self.host
    }
}

impl Member<'_> {
    /// Registers a VM through the plugin.
    pub fn register(&self, vm: &str, pool: &str, priority: &str) {
        self.plugin("register_vm", &[("vm_uuid", vm), ("pool", pool), ("priority", priority)]);
    }

    /// Calls the plugin on this host through XAPI, which has to succeed, and gives what it answers.
    pub fn plugin(&self, function: &str, arguments: &[(&str, &str)]) -> serde_json::Value {
        let answer = self.call_plugin("vgpu", function, arguments);
        let answer = answer.unwrap_or_else(|error| panic!("{function} {arguments:?}: {error}"));
        serde_json::from_str(&answer).expect("the plugin answers JSON")
    }

    /// Starts a VM on this host, which has to succeed, and gives the device-model-args that its QEMU got.
    pub fn start(&self, vm: &str) -> Option<String> {
        self.vm_start(vm).unwrap_or_else(|error| panic!("{vm} does not start: {error}")).device_model_args
    }

    /// Reboots a VM on this host from inside, and gives the device-model-args that its QEMU got.
    pub fn reboot_from_inside(&self, vm: &str) -> Option<String> {
        self.guest_reboot(vm).unwrap_or_else(|error| panic!("{vm} does not reboot: {error}")).device_model_args
    }
}
