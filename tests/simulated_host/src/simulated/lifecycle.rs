//! What a test starts and ends, and what it sees of that.

use indexmap::IndexMap;

use super::SimulatedHost;
use crate::dom0::{Boot, HookRun, Reboot};
use crate::error::ApiError;
use crate::wire::json;

/// Starting and ending.
impl SimulatedHost {
    /// `VM.start`.
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
        self.dom0.reboot_vm(&self.vm_ref(uuid)?, Reboot::Clean)
    }

    /// The guest reboots itself, which works with xapi down.
    ///
    /// # Errors
    /// A hook's veto, which leaves the VM halted.
    pub fn guest_reboot(&self, uuid: &str) -> Result<Boot, ApiError> {
        self.dom0.guest_reboot(&self.vm_ref(uuid)?)
    }

    /// The guest powers itself off; no hook runs.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn guest_power_off(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.guest_power_off(&self.vm_ref(uuid)?)
    }

    /// `VM.clean_shutdown`.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn shutdown(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.shut_down(&self.vm_ref(uuid)?, true)
    }

    /// `VM.suspend`.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn suspend(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.suspend_vm(&self.vm_ref(uuid)?)
    }

    /// `VM.resume`: no vm-pre-start runs, and the platform data is what it was before.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn resume(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.resume_vm(&self.vm_ref(uuid)?)
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
