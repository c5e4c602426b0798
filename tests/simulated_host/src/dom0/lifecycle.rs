//! Starting and ending a VM, in the order in which xapi and xenopsd go about it.

use std::sync::Arc;

use indexmap::IndexMap;

use super::hooks::HookRun;
use super::operation::{Operation, text};
use super::{Dom0, metadata};
use crate::database::{Class, NULL};
use crate::error::{ApiError, ApiResult};
use crate::wire::{Value, json};
use crate::xenopsd::Domain;
use crate::{lock, random};

/// A boot: what the domain was built from, and the hooks that ran before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The VM.
    pub vm_uuid: String,
    /// Everything under `/local/domain/N/platform` in xenstore.
    pub platformdata: IndexMap<String, String>,
    /// What QEMU got from that: on a stock host what its command line has, or else what a changed qemu-wrapper passes.
    pub device_model_args: Option<String>,
    /// The vm-pre-start scripts of this boot.
    pub hook_runs: Vec<HookRun>,
}

/// The BIOS strings that a VM gets at its first start if it has none.
const BIOS_STRINGS: &[u8] = include_bytes!("../../records/bios_strings.json");

impl Dom0 {
    /// `VM.start`.
    pub fn start_vm(self: &Arc<Self>, vm: &str, paused: bool) -> ApiResult<Boot> {
        let operation = Operation::begin(self, vm, "start")?;
        self.start_in(&operation, paused)
    }

    /// The part of a start that a hard reboot has too.
    pub(super) fn start_in(self: &Arc<Self>, operation: &Operation, paused: bool) -> ApiResult<Boot> {
        let (vm, uuid) = (operation.vm.as_str(), operation.uuid.as_str());
        self.pool.write(|database| {
            let record = database.change(Class::Vm, vm)?;
            if record.get("bios_strings").is_none_or(|strings| strings.members().is_empty()) {
                record.insert("bios_strings".to_owned(), json::parse(BIOS_STRINGS).unwrap_or(Value::Null));
            }
            record.insert("scheduled_to_be_resident_on".to_owned(), self.reference.as_str().into());
            if let Some(platform) = metadata::platform_at_start(record) {
                record.insert("platform".to_owned(), platform);
            }
            Ok(())
        })?;
        let outcome =
            self.push(vm).and_then(|()| self.is_halted(vm, uuid)).and_then(|()| self.boot(uuid, Some(operation)));
        let cleared = self.pool.write(|database| database.set(Class::Vm, vm, "scheduled_to_be_resident_on", NULL));
        let (boot, domain) = outcome.inspect_err(|_| self.look_at(vm, uuid))?;
        cleared?;
        self.xenopsd.set_paused(uuid, paused);
        self.now_runs_here(vm, if paused { "Paused" } else { "Running" }, domain.domid);
        Ok(boot)
    }

    /// Refuses to start what has a domain (`verify_power_state` in `ocaml/xenopsd/lib/xenops_server.ml`, in the words of
    /// `start` in `ocaml/xapi/xapi_xenops.ml`), as a VM whose resume was vetoed last has.
    fn is_halted(&self, vm: &str, uuid: &str) -> ApiResult<()> {
        match self.xenopsd.domain(uuid) {
            Some(domain) => Err(ApiError::new("VM_BAD_POWER_STATE", &[vm, domain.power_state(), "Halted"])),
            None => Ok(()),
        }
    }

    /// Lets xapi see what has become of a VM, and take it out of xenopsd where it has no domain. `start` in
    /// `xapi_xenops.ml` ends so after a failure too, and so does every operation of xenopsd's that xapi waits for.
    pub(super) fn look_at(&self, vm: &str, uuid: &str) {
        match self.xenopsd.domain(uuid) {
            Some(domain) => self.set_power_state(vm, domain.power_state(), Some(domain.domid)),
            None => self.halted(vm, uuid),
        }
    }

    /// What ends a start, a resume and a migration (`set_resident_on` in `ocaml/xapi/xapi_xenops.ml`): the VM is said to
    /// be here, and what changed meanwhile is pushed, which for a start is one boot late.
    pub(super) fn now_runs_here(&self, vm: &str, state: &str, domid: i64) {
        self.set_power_state(vm, state, Some(domid));
        self.push_pending(vm);
    }

    /// xenopsd's part of a start: the hooks, then a domain from what its database says after them.
    pub(super) fn boot(&self, uuid: &str, operation: Option<&Operation>) -> ApiResult<(Boot, Domain)> {
        let hook_runs = self.run_hooks("vm-pre-start", uuid, "none", None)?;
        if !self.is_up() {
            return Err(ApiError::new("HOST_OFFLINE", &[&self.reference]));
        }
        operation.map_or(Ok(()), Operation::go_on)?;
        let domain = self.xenopsd.create_domain(uuid)?;
        let additions = self.start_device_model(uuid, &domain, false)?;
        let patched = || domain.platformdata.get("device-model-args").cloned();
        let boot = Boot {
            vm_uuid: uuid.to_owned(),
            device_model_args: if self.is_stock() { additions } else { patched() },
            platformdata: domain.platformdata.clone(),
            hook_runs,
        };
        lock(&self.boots).push(boot.clone());
        Ok((boot, domain))
    }

    /// Pushes a VM's metadata as its record now has it. A VM that is to have a generation ID gets one then (`of_vm` in
    /// `ocaml/xapi/xapi_xenops.ml`).
    pub(super) fn push(&self, vm: &str) -> ApiResult<()> {
        self.pool.write(|database| {
            metadata::check(database.record(Class::Vm, vm)?)?;
            match text(database.record(Class::Vm, vm)?, "generation_id").as_str() {
                "0:0" => database.set(Class::Vm, vm, "generation_id", random::generation_id()),
                _ => Ok(()),
            }
        })?;
        let (uuid, metadata) = self.metadata_of(vm)?;
        self.xenopsd.push(&uuid, metadata);
        Ok(())
    }

    fn metadata_of(&self, vm: &str) -> ApiResult<(String, Value)> {
        let database = self.pool.read();
        let record = database.record(Class::Vm, vm)?;
        Ok((text(record, "uuid"), metadata::of_record(record, self.pool.filters_platform())))
    }

    /// Pushes the metadata of a VM that runs here, should it differ from what was pushed last.
    pub(super) fn push_pending(&self, vm: &str) {
        let runs_here = self.pool.read().record(Class::Vm, vm).is_ok_and(|record| {
            text(record, "resident_on") == self.reference
                && record.get("is_control_domain") == Some(&Value::Bool(false))
        });
        if let Some((uuid, metadata)) = runs_here.then(|| self.metadata_of(vm).ok()).flatten() {
            self.xenopsd.push_if_changed(&uuid, metadata);
        }
    }

    /// Lets xapi look at every VM that runs here, as it does when it starts or finds its coordinator again.
    pub(super) fn all_have_changed(&self) {
        let vms: Vec<String> = {
            let database = self.pool.read();
            database.table(Class::Vm).having("resident_on", &self.reference).cloned().collect()
        };
        for vm in &vms {
            self.has_changed(vm);
        }
    }

    /// `VM.clean_shutdown` and `VM.hard_shutdown`.
    pub fn shut_down(self: &Arc<Self>, vm: &str, clean: bool) -> ApiResult<()> {
        let operation = Operation::begin(self, vm, if clean { "clean_shutdown" } else { "hard_shutdown" })?;
        self.shut_down_in(&operation, clean)
    }

    /// `VM.shutdown`: cleanly, or else hard (`shutdown` in `ocaml/xapi/xapi_vm.ml`). A guest without an agent is asked in
    /// vain for a minute, which is left out with the hook that runs before.
    pub fn shut_down_somehow(self: &Arc<Self>, vm: &str) -> ApiResult<()> {
        let operation = Operation::begin(self, vm, "shutdown")?;
        let has_agent = !self.pool.read().without_agent.contains(vm);
        if has_agent && self.shut_down_in(&operation, true).is_ok() {
            return Ok(());
        }
        self.shut_down_in(&operation, false)
    }

    /// `hard_shutdown` in `ocaml/xapi/xapi_vm.ml`, which finds a VM halted where what it has cancelled ended it. Of a
    /// suspended VM only XAPI knows.
    fn shut_down_in(&self, operation: &Operation, clean: bool) -> ApiResult<()> {
        let (vm, uuid) = (operation.vm.as_str(), operation.uuid.as_str());
        let state = text(self.pool.read().record(Class::Vm, vm)?, "power_state");
        match state.as_str() {
            "Halted" => Ok(()),
            "Suspended" => {
                self.pool.take_suspend_image(uuid);
                self.set_power_state(vm, "Halted", None);
                Ok(())
            }
            _ => {
                let reason = if clean { "clean-shutdown" } else { "hard-shutdown" };
                let ended = self.end_domain(uuid, reason, Some(operation));
                self.look_at(vm, uuid);
                ended
            }
        }
    }

    /// Runs the hooks around a domain's end.
    pub(super) fn end_domain(&self, uuid: &str, reason: &str, operation: Option<&Operation>) -> ApiResult<()> {
        let go_on = || operation.map_or(Ok(()), Operation::go_on);
        let domid = self.xenopsd.domain(uuid).map(|domain| domain.domid);
        self.run_hooks("vm-pre-shutdown", uuid, reason, domid)?;
        go_on()?;
        self.xenopsd.destroy_domain(uuid);
        self.run_hooks("vm-post-destroy", uuid, reason, None)?;
        go_on()
    }

    pub(super) fn halted(&self, vm: &str, uuid: &str) {
        self.xenopsd.destroy_domain(uuid);
        self.xenopsd.forget(uuid);
        self.set_power_state(vm, "Halted", None);
    }

    /// The guest powers itself off: no hook runs.
    pub fn guest_power_off(&self, uuid: &str) -> ApiResult<()> {
        let vm = self.running_here(uuid)?;
        self.has_ended(&vm, uuid);
        Ok(())
    }

    /// A domain has ended that nobody asked xapi to end. It is xapi that takes the VM out of xenopsd and notes that it is
    /// halted, when it hears of it (`update_vm` in `ocaml/xapi/xapi_xenops.ml`): one that is down does so later.
    pub(super) fn has_ended(&self, vm: &str, uuid: &str) {
        self.xenopsd.destroy_domain(uuid);
        if self.xapi_works() {
            self.halted(vm, uuid);
        }
    }
}
