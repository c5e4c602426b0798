//! Rebooting a VM: its domain ends, the hooks run again, and a new domain is built from xenopsd's own database.

use std::sync::Arc;

use super::Dom0;
use super::lifecycle::Boot;
use super::operation::Operation;
use crate::database::Class;
use crate::error::{ApiError, ApiResult};
use crate::lock;

/// Who asked for a reboot, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reboot {
    /// `VM.clean_reboot`.
    Clean,
    /// `VM.hard_reboot`.
    Hard,
}

impl Dom0 {
    /// A reboot through XAPI, which first waits until what has changed is passed on (`Events_from_xapi.wait`). What the
    /// hooks change waits for the next.
    pub fn reboot_vm(self: &Arc<Self>, vm: &str, how: Reboot) -> ApiResult<Boot> {
        let (name, reason, allowed): (_, _, &[&str]) = match how {
            Reboot::Clean => ("clean_reboot", "clean-reboot", &["Running"]),
            Reboot::Hard => ("hard_reboot", "hard-reboot", &["Paused", "Running"]),
        };
        let operation = Operation::begin(self, vm, name, allowed)?;
        self.pass_on_events();
        self.push_pending(vm);
        let boot = self.reboot_domain(vm, &operation.uuid, reason)?;
        drop(operation);
        self.has_changed(vm);
        Ok(boot)
    }

    /// The guest reboots itself. xapi has no part in it: nothing is pushed, and it may well be down.
    /// XAPI need not even have a record of the VM.
    pub fn guest_reboot(&self, uuid: &str) -> ApiResult<Boot> {
        let vm = self.running_here(uuid)?;
        lock(&self.busy).insert(vm.clone());
        let boot = self.reboot_domain(&vm, uuid, "hard-reboot");
        lock(&self.busy).remove(&vm);
        self.has_changed(&vm);
        boot
    }

    /// The reference of a VM that has a domain here, or nothing where XAPI has forgotten it.
    pub(super) fn running_here(&self, uuid: &str) -> ApiResult<String> {
        let vm = self.pool.read().table(Class::Vm).by_uuid(Class::Vm, uuid);
        match self.xenopsd.domain(uuid) {
            Some(_) => Ok(vm.unwrap_or_default()),
            None => Err(ApiError::new("VM_BAD_POWER_STATE", &[&vm?, "running", "halted"])),
        }
    }

    /// A veto once the old domain is gone leaves the VM halted; one before that, running. What a clean reboot's or the
    /// guest's own old domain, which has shut down by then, is left as by a veto of vm-pre-shutdown, is a guess.
    fn reboot_domain(&self, vm: &str, uuid: &str, reason: &str) -> ApiResult<Boot> {
        self.xenopsd.set_rebooting(uuid, true);
        let rebooted = self
            .end_domain(uuid, reason)
            .and_then(|()| self.run_hooks("vm-pre-reboot", uuid, "none", None))
            .and_then(|_| self.boot(uuid));
        self.xenopsd.set_rebooting(uuid, false);
        match rebooted {
            Ok((boot, domain)) => {
                if self.xapi_works() {
                    self.set_power_state(vm, "Running", Some(domain.domid));
                }
                Ok(boot)
            }
            Err(error) => {
                if self.xenopsd.domain(uuid).is_none() {
                    self.has_ended(vm, uuid);
                }
                Err(error)
            }
        }
    }
}
