//! What the VMs of this host run with, and how that compares with their settings.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;

use super::device_model::wrapper_passes_arguments;
use super::hosts::{Answered, ask_host, on_every_host};
use super::{Caller, Host};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::model::VmUuid;
use crate::paths::Root;
use crate::qemu::{Qemus, RunsWith};
use crate::reply::{RunningReply, RunningVm, RunsWithReply, RunsWithState};
use crate::request::Request;
use crate::settings::{DeviceName, Settings};
use crate::store::{CheckItem, StoredVm};
use crate::xenapi::{self, HostRecord, Reference, Session, VmRecord, XapiError, XapiVm};
use crate::xenopsd::Xenopsd;

/// How long a read waits for another host.
const OTHER_HOST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long xenopsd may take for all VMs together.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a list waits for XAPI's records of the VMs that are not halted.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(5);

/// The VMs with a domain on this host, and what each runs with. Reads no database.
///
/// # Errors
/// XAPI is away, or this is not an XCP-ng host.
pub fn running(root: &Root, caller: &Caller) -> Result<RunningReply, Error> {
    let device = Settings::load(&root.settings()).unwrap_or_default().device;
    let mut session = caller.connect(root, xenapi::XAPI_TIMEOUT)?;
    let here = root.host_uuid().ok_or_else(|| Error::NotAHost(root.inventory()))?;
    let here = session.host_by_uuid(&here)?;
    let records = session.vms_on_host(&here)?;
    // Not before: the QEMU of a domain that XAPI knows is there.
    let qemus = Qemus::read(root);
    let vms = records.into_iter().filter_map(|record| read_vm(&qemus, &device, &record));
    let vms = confirmed(root, vms.collect());
    Ok(RunningReply { qemu_wrapper: CheckItem::new("qemu-wrapper", wrapper_passes_arguments(root)), vms })
}

/// A VM that XAPI says runs on this host.
pub(super) fn read_vm(qemus: &Qemus, device: &DeviceName, record: &VmRecord) -> Option<RunningVm> {
    let vm_uuid = record.uuid.parse().ok()?;
    let runs_with = qemus.runs_with(record.domid, device);
    Some(RunningVm::new(vm_uuid, record.name_label.clone(), record.domid, runs_with))
}

/// The same of every host of the resource pool. This host is read directly if the caller's role may not call plugins.
pub(super) fn running_everywhere(host: &Host, session: &mut Session) -> Result<Vec<Answered<RunningReply>>, XapiError> {
    let mut answers = on_every_host::<RunningReply>(&host.root, session, &Request::Running {}, &host.progress)?;
    let here = host.root.host_uuid();
    for Answered { host: on, answer } in &mut answers {
        if answer.is_err() && here.as_ref() == Some(&on.uuid) {
            *answer = running(&host.root, &host.caller);
        }
    }
    Ok(answers)
}

/// XAPI's record of a VM that is moved or rebooted right now may have the number of a domain that is another VM's. xenopsd knows
/// its own domains; if it does not answer, XAPI's record has to do.
fn confirmed(root: &Root, mut vms: Vec<RunningVm>) -> Vec<RunningVm> {
    let until = Deadline::after(CONFIRM_TIMEOUT);
    let Ok(mut xenopsd) = Xenopsd::connect(&root.message_switch_socket(), until) else { return vms };
    for vm in &mut vms {
        let Ok(metadata) = xenopsd.stat(&vm.vm_uuid) else { break };
        if metadata.is_none_or(|metadata| !metadata.domids.contains(&vm.domid)) {
            let why = format!("it is being moved or rebooted: xenopsd does not have it as domain {}", vm.domid);
            *vm = RunningVm::new(vm.vm_uuid, vm.vm_name.clone(), vm.domid, RunsWith::NotReadable { why });
        }
    }
    vms
}

/// The VMs of the resource pool that are not halted, and the QEMUs of this host.
pub(super) struct NotHalted {
    vms: HashMap<String, VmRecord>,
    hosts: IndexMap<String, HostRecord>,
    here: Option<String>,
    qemus: Qemus,
    device: DeviceName,
}

impl NotHalted {
    /// # Errors
    /// XAPI is away or refuses.
    pub fn look(host: &Host, session: &mut Session) -> Result<Self, XapiError> {
        session.set_deadline(Deadline::after(RECORDS_TIMEOUT));
        let vms = session.vms_not_halted()?.into_iter().map(|vm| (vm.uuid.clone(), vm)).collect();
        let (here, device) = (host.root.host_uuid(), host.settings.device.clone());
        Ok(Self { vms, hosts: session.hosts()?, here, qemus: Qemus::read(&host.root), device })
    }

    /// What a registered VM runs with, if that is on this host.
    pub fn compare(&self, vm: &StoredVm) -> RunsWithReply {
        let Some(record) = self.vms.get(&vm.uuid.to_string()) else {
            let state = if vm.is_known_to_xapi { RunsWithState::Halted } else { RunsWithState::UnknownVm };
            return RunsWithReply::only(state);
        };
        if !record.has_domain() {
            return RunsWithReply::only(RunsWithState::Suspended);
        }
        let on = self.hosts.get(record.resident_on.as_str());
        let host_name = on.map(|on| on.name_label.clone());
        if on.map(|on| &on.uuid) != self.here.as_ref() {
            return RunsWithReply { host_name, ..RunsWithReply::only(RunsWithState::Elsewhere) };
        }
        match read_vm(&self.qemus, &self.device, record) {
            Some(running) => RunsWithReply::on(host_name, running, Some(vm.settings)),
            None => RunsWithReply::only(RunsWithState::NotKnown),
        }
    }
}

/// What VMs run with, on whichever hosts. Each other host is asked once.
pub(super) struct OnHosts<'a> {
    host: &'a Host,
    others: HashMap<Reference, Result<RunningReply, String>>,
}

impl<'a> OnHosts<'a> {
    pub fn new(host: &'a Host) -> Self {
        Self { host, others: HashMap::new() }
    }

    /// What a registered VM runs with.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn compare(&mut self, session: &mut Session, vm: &StoredVm) -> Result<RunsWithReply, XapiError> {
        let record = match session.look_up(&vm.uuid)? {
            XapiVm::Known { record, .. } => record,
            XapiVm::Unknown | XapiVm::Away => return Ok(RunsWithReply::only(RunsWithState::UnknownVm)),
        };
        if !record.has_domain() {
            let is_suspended = record.power_state == "Suspended";
            let state = if is_suspended { RunsWithState::Suspended } else { RunsWithState::Halted };
            return Ok(RunsWithReply::only(state));
        }
        let on = session.host_record(&record.resident_on)?;
        let host_name = Some(on.name_label.clone());
        Ok(match self.running(session, &on, &record, vm.uuid) {
            Ok(Some(running)) => RunsWithReply::on(host_name, running, Some(vm.settings)),
            // It has just been moved or shut down.
            Ok(None) => RunsWithReply { host_name, ..RunsWithReply::only(RunsWithState::NoQemu) },
            Err(why) => RunsWithReply { host_name, why: Some(why), ..RunsWithReply::only(RunsWithState::Elsewhere) },
        })
    }

    /// # Errors
    /// Why the host does not say it.
    fn running(
        &mut self,
        session: &Session,
        on: &HostRecord,
        record: &VmRecord,
        vm_uuid: VmUuid,
    ) -> Result<Option<RunningVm>, String> {
        let Host { root, settings, .. } = self.host;
        if root.host_uuid().as_ref() == Some(&on.uuid) {
            return Ok(read_vm(&Qemus::read(root), &settings.device, record));
        }
        let ask = || {
            let (token, request) = (session.token(), Request::Running {});
            ask_host(root, token, &record.resident_on, &on.name_label, &request, OTHER_HOST_TIMEOUT)
                .map_err(|error| error.to_string())
        };
        let answer = self.others.entry(record.resident_on.clone()).or_insert_with(ask);
        let vms = &answer.as_ref().map_err(Clone::clone)?.vms;
        Ok(vms.iter().find(|running| running.vm_uuid == vm_uuid).cloned())
    }
}
