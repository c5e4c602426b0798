//! What a test starts and ends, and what it sees of that.

use std::sync::Arc;

use indexmap::IndexMap;

use super::SimulatedHost;
use crate::dom0::{Boot, Dom0, HookRun, Reboot};
use crate::error::ApiError;
use crate::wire::json;

/// Starting and ending. What XAPI is asked for is done on the host that the VM runs on, whichever of the pool this is.
impl SimulatedHost {
    /// The host that a VM runs on, or else this one.
    fn host_of(&self, vm: &str) -> Result<Arc<Dom0>, ApiError> {
        Ok(self.dom0.pool.host_of_vm(vm)?.unwrap_or_else(|| Arc::clone(&self.dom0)))
    }

    /// `VM.start`, on this host.
    ///
    /// # Errors
    /// As XAPI has them: a hook's veto is `XAPI_HOOK_FAILED`.
    pub fn vm_start(&self, uuid: &str) -> Result<Boot, ApiError> {
        self.dom0.start_vm(&self.vm_ref(uuid)?, false)
    }

    /// `VM.clean_reboot`.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn clean_reboot(&self, uuid: &str) -> Result<Boot, ApiError> {
        let vm = self.vm_ref(uuid)?;
        self.host_of(&vm)?.reboot_vm(&vm, Reboot::Clean)
    }

    /// The guest, which runs on this host, reboots itself; that works with xapi down or the coordinator out of reach.
    ///
    /// # Errors
    /// A hook's veto, which leaves the VM halted.
    pub fn guest_reboot(&self, uuid: &str) -> Result<Boot, ApiError> {
        self.dom0.guest_reboot(uuid)
    }

    /// The guest, which runs on this host, powers itself off; no hook runs.
    ///
    /// # Errors
    /// There is no such VM, or it does not run here.
    pub fn guest_power_off(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.guest_power_off(uuid)
    }

    /// `VM.clean_shutdown`.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn shutdown(&self, uuid: &str) -> Result<(), ApiError> {
        let vm = self.vm_ref(uuid)?;
        self.host_of(&vm)?.shut_down(&vm, true)
    }

    /// `VM.suspend`.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn suspend(&self, uuid: &str) -> Result<(), ApiError> {
        let vm = self.vm_ref(uuid)?;
        self.host_of(&vm)?.suspend_vm(&vm)
    }

    /// `VM.resume`, on this host, wherever it was suspended: no vm-pre-start runs, and the platform data is what it was before.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn resume(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.resume_vm(&self.vm_ref(uuid)?, false)
    }

    /// Every boot of a VM so far, the oldest first.
    #[must_use]
    pub fn boots(&self, uuid: &str) -> Vec<Boot> {
        self.dom0.boots(uuid)
    }

    /// Every hook script that ran for a VM, whether or not a boot came of it.
    #[must_use]
    pub fn hook_runs(&self, uuid: &str) -> Vec<HookRun> {
        self.dom0.hook_runs(uuid)
    }

    /// The platform data of a running VM's domain.
    #[must_use]
    pub fn running_platformdata(&self, uuid: &str) -> Option<IndexMap<String, String>> {
        self.dom0.xenopsd.domain(uuid).map(|domain| domain.platformdata)
    }

    /// What xenopsd would build the VM's next domain from (`Vm.t`), or null.
    #[must_use]
    pub fn xenopsd_metadata(&self, uuid: &str) -> serde_json::Value {
        self.dom0.xenopsd.metadata(uuid).map_or(serde_json::Value::Null, |metadata| metadata.to_serde())
    }

    /// The same as the JSON text in which xenopsd writes it.
    #[must_use]
    pub fn xenopsd_metadata_text(&self, uuid: &str) -> Option<String> {
        self.dom0.xenopsd.metadata(uuid).map(|metadata| String::from_utf8_lossy(&json::print(&metadata)).into_owned())
    }

    /// The `vm` of the last VM.add that came by message, byte for byte as it was sent.
    #[must_use]
    pub fn last_vm_add(&self, uuid: &str) -> Option<String> {
        self.dom0.xenopsd.last_add(uuid).map(|sent| String::from_utf8_lossy(&sent).into_owned())
    }

    /// Lets the next message of a message-switch queue have that number.
    pub fn set_next_message_id(&self, queue: &str, id: i64) {
        self.dom0.switch.set_next_id(queue, id);
    }
}
