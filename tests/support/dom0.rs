//! A whole dom0: a scratch root with our programs, and the simulated host in it.

use std::ops::Deref;

use simulated_host::{Boot, Exit, Identity, Release, SimulatedHost};
use vgpu_config::entry::Entry;

use crate::programs;
use crate::root::ScratchRoot;
use crate::shared_key;
use crate::tools::sql_ok;
use crate::wait::wait_until;

/// A simulated host with our programs installed. Reached through it: the host, and by `root` the programs.
pub struct Dom0 {
    // Dropped first: it stops what runs in the root.
    host: SimulatedHost,
    /// The root with the programs.
    pub root: ScratchRoot,
}

impl Default for Dom0 {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Dom0 {
    type Target = SimulatedHost;

    fn deref(&self) -> &SimulatedHost {
        &self.host
    }
}

impl Dom0 {
    /// A host that runs, with a database and no VMs.
    #[must_use]
    pub fn new() -> Self {
        Self::with_identity(Identity::default())
    }

    /// A host that is somebody in particular.
    #[must_use]
    pub fn with_identity(identity: Identity) -> Self {
        let root = ScratchRoot::new();
        let host = SimulatedHost::start_as(root.folder(), identity).expect("a simulated host starts");
        root.admin_ok(&["list-vms"]);
        host.clear_calls();
        Self { host, root }
    }

    /// A stock host, with our qemu-wrapper installed but not enabled. What a VM's QEMU gets is read from its command line.
    #[must_use]
    pub fn stock(release: Release) -> Self {
        let dom0 = Self::new();
        dom0.install_stock(&programs::folder().join("dom0-program"), release).expect("a stock host can be installed");
        dom0
    }

    /// The same with our qemu-wrapper in effect.
    #[must_use]
    pub fn with_our_wrapper(release: Release) -> Self {
        let dom0 = Self::stock(release);
        dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
        dom0
    }

    /// A host with one VM, `web01`, registered in GPU pool A at high priority.
    #[must_use]
    pub fn with_registered_vm() -> (Self, String) {
        let dom0 = Self::new();
        let vm = dom0.create_vm("web01");
        dom0.register(&vm, "A", "high");
        (dom0, vm)
    }

    /// Registers a VM through the plugin.
    pub fn register(&self, vm: &str, pool: &str, priority: &str) {
        self.plugin("register_vm", &[("vm_uuid", vm), ("pool", pool), ("priority", priority)]);
    }

    /// Calls the plugin through XAPI, which has to succeed, and gives what it answers.
    pub fn plugin(&self, function: &str, arguments: &[(&str, &str)]) -> serde_json::Value {
        let answer = self.call_plugin("vgpu", function, arguments);
        let answer = answer.unwrap_or_else(|error| panic!("{function} {arguments:?}: {error}"));
        serde_json::from_str(&answer).expect("the plugin answers JSON")
    }

    /// Starts a VM, which has to succeed, and gives the device-model-args that its QEMU got.
    pub fn start(&self, vm: &str) -> Option<String> {
        self.vm_start(vm).unwrap_or_else(|error| panic!("{vm} does not start: {error}")).device_model_args
    }

    /// Reboots a VM from inside, and gives the device-model-args that its QEMU got.
    pub fn reboot_from_inside(&self, vm: &str) -> Option<String> {
        self.guest_reboot(vm).unwrap_or_else(|error| panic!("{vm} does not reboot: {error}")).device_model_args
    }

    /// The device-model-args in XAPI's record.
    #[must_use]
    pub fn args_in_xapi(&self, vm: &str) -> Option<String> {
        self.platform(vm).get("device-model-args").cloned()
    }

    /// Sets the device-model-args in XAPI's record by hand.
    pub fn set_args_in_xapi(&self, vm: &str, args: Option<&str>) {
        self.set_platform_key(vm, "device-model-args", args).expect("XAPI takes it");
    }

    /// Waits until a program that changes a VM's arguments has taken them out of XAPI's record: it is between the two halves of
    /// its change.
    pub fn wait_until_args_are_taken_out(&self, vm: &str) {
        wait_until("its arguments are taken out", || self.args_in_xapi(vm).is_none());
    }

    /// Our argument for a VM, as the database has it.
    #[must_use]
    pub fn argument(&self, vm: &str) -> Option<String> {
        let shown = self.root.admin_json(&["show-vm", "--vm-uuid", vm]);
        shown["device_argument"].as_str().map(str::to_owned)
    }

    /// The same as QEMU gets it on a stock host: a PCI device gets a slot that is free.
    #[must_use]
    pub fn argument_for_qemu(&self, vm: &str) -> Option<String> {
        self.argument(vm).map(|argument| format!("{argument},addr=1e"))
    }

    /// What the shared copy says of a VM.
    #[must_use]
    pub fn shared(&self, vm: &str) -> Option<Entry> {
        let value = self.pool_other_config().get(&shared_key(vm))?.clone();
        Some(Entry::parse(&value).unwrap_or_else(|error| panic!("{value}: {error}")))
    }

    /// Edits the database by hand.
    pub fn sql(&self, text: &str) -> String {
        sql_ok(&self.root.database(), text)
    }

    /// The lines that our qemu-wrapper has logged.
    #[must_use]
    pub fn wrapper_log(&self) -> Vec<String> {
        self.syslog_lines().into_iter().filter(|line| line.contains("vgpu-wrapper")).collect()
    }

    /// The lines that our hook has logged.
    #[must_use]
    pub fn hook_log(&self) -> Vec<String> {
        self.syslog_lines().into_iter().filter(|line| line.contains("vgpu-hook")).collect()
    }
}

/// How our hook ended before a boot.
#[must_use]
pub fn hook_exit(boot: &Boot) -> Exit {
    boot.hook_runs.iter().find(|run| run.script == "50vgpu").expect("our hook runs before every boot").exit
}
