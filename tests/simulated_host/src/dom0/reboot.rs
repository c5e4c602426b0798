//! Rebooting a VM: its domain ends, the hooks run again, and a new domain is built from xenopsd's own database.

use std::sync::Arc;

use super::Dom0;
use super::lifecycle::Boot;
use super::operation::{Operation, Turn, text};
use crate::database::Class;
use crate::error::{ApiError, ApiResult};

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
    /// hooks change waits for the next. A hard one that finds the VM halted, as what it has cancelled ended it, starts it
    /// (`hard_reboot` in `ocaml/xapi/xapi_vm.ml`).
    pub fn reboot_vm(self: &Arc<Self>, vm: &str, how: Reboot) -> ApiResult<Boot> {
        let (name, reason) = match how {
            Reboot::Clean => ("clean_reboot", "clean-reboot"),
            Reboot::Hard => ("hard_reboot", "hard-reboot"),
        };
        let operation = Operation::begin(self, vm, name)?;
        match text(self.pool.read().record(Class::Vm, vm)?, "power_state").as_str() {
            "Halted" => return self.start_in(&operation, false),
            "Suspended" => return Err(ApiError::new("VM_BAD_POWER_STATE", &[vm, "running", "suspended"])),
            _ => {}
        }
        self.pass_on_events();
        self.push_pending(vm);
        let boot = self.reboot_domain(vm, &operation.uuid, reason, Some(&operation));
        if boot.is_err() && how == Reboot::Clean && self.xenopsd.domain(&operation.uuid).is_some() {
            // Its guest has shut down by then. After a failure xenopsd looks what a VM asks for (`VM_check_state` in
            // `ocaml/xenopsd/lib/xenops_server.ml`), and reboots it.
            let _ = self.reboot_domain(vm, &operation.uuid, "hard-reboot", None);
        }
        drop(operation);
        self.has_changed(vm);
        boot
    }

    /// The guest reboots itself. xapi has no part in it: nothing is pushed, and it may well be down. XAPI need not even
    /// have a record of the VM. Left out is that xenopsd lets a guest wait for 15 seconds that reboots within two minutes
    /// of its start (`minimum_reboot_delay`).
    pub fn guest_reboot(&self, uuid: &str) -> ApiResult<Boot> {
        let vm = self.running_here(uuid)?;
        let turn = Turn::wait(self, &vm);
        self.running_here(uuid)?;
        let boot = self.reboot_domain(&vm, uuid, "hard-reboot", None);
        drop(turn);
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

    /// A veto once the old domain is gone leaves the VM halted; one before that leaves the old domain. It goes on running,
    /// or where its guest has shut down, stays as it is and counts as running (`get_state` in
    /// `ocaml/xenopsd/xc/xenops_server_xen.ml`).
    fn reboot_domain(&self, vm: &str, uuid: &str, reason: &str, operation: Option<&Operation>) -> ApiResult<Boot> {
        self.xenopsd.set_rebooting(uuid, true);
        let rebooted = self
            .end_domain(uuid, reason, operation)
            .and_then(|()| self.run_hooks("vm-pre-reboot", uuid, "none", None))
            .and_then(|_| self.boot(uuid, operation));
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
