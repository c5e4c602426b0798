//! Finds running VMs that do not have their settings: compares the newest settings with what their QEMUs have.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::Host;
use super::catch_up::Current;
use super::guests::kind_without_qemu;
use super::hosts::Answered;
use super::running::running_everywhere;
use crate::device_args;
use crate::entry::Entry;
use crate::error::Error;
use crate::model::{DeviceVmId, VmSettings, VmUuid};
use crate::reply::{AppliedVm, ApplyReply, CountOfRunning, LeftAlone, RunningReply, RunningState, RunningVm};
use crate::shared_copy::{Comparison, SharedCopy};
use crate::xenapi::{HostRecord, Reference, Session, VmRecord, XapiError, XapiGpu};

/// A running VM that gets its settings by a reboot.
pub(super) struct Pending {
    pub vm: AppliedVm,
    pub reference: Reference,
    pub wanted: Option<VmSettings>,
}

/// Whether a registered VM runs with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum VmState {
    AsConfigured,
    /// It gets its settings at its next start or reboot.
    Pending,
    NotRunning,
    NotKnown,
}

impl VmState {
    pub const ALL: [Self; 4] = [Self::AsConfigured, Self::Pending, Self::NotRunning, Self::NotKnown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AsConfigured => "as_configured",
            Self::Pending => "pending",
            Self::NotRunning => "not_running",
            Self::NotKnown => "not_known",
        }
    }
}

/// What a running VM's QEMU has.
enum Verdict<'a> {
    AsConfigured,
    /// Something else, which a reboot changes.
    Pending(&'a RunningVm),
    /// It is not registered any more, and what it has is not left from then.
    NotOurs,
}

pub(super) struct AllHosts<'a> {
    host: &'a Host,
    shared: SharedCopy,
    records: Vec<(Reference, VmRecord)>,
    hosts: IndexMap<String, HostRecord>,
    here: HashMap<VmUuid, Entry>,
    /// The numbers of the registered VMs.
    numbers: HashMap<DeviceVmId, VmUuid>,
    /// What each host said of its VMs, or why it did not, by the host's UUID.
    answers: HashMap<String, Result<RunningReply, String>>,
}

impl<'a> AllHosts<'a> {
    /// Asks XAPI and every host.
    pub fn look(host: &'a Host, session: &mut Session) -> Result<Self, Error> {
        let answers = running_everywhere(host, session)?;
        let answer =
            |Answered { host, answer }: Answered<RunningReply>| (host.uuid, answer.map_err(|error| error.to_string()));
        let answers = answers.into_iter().map(answer).collect();
        let (hosts, records, shared) = (session.hosts()?, session.vm_records()?, SharedCopy::load(session)?);
        let here: HashMap<_, _> = Current::with(host, &shared)?.read().entries()?.into_iter().collect();
        let vms: HashSet<_> = shared.vms().chain(here.keys().copied()).collect();
        let number = |uuid: VmUuid| Some((shared.newest(&uuid, here.get(&uuid))?.settings?.vm_id, uuid));
        let numbers = vms.into_iter().filter_map(number).collect();
        Ok(Self { host, shared, records, hosts, here, numbers, answers })
    }

    /// The running VMs that do not have their settings, sorted by name: all, or `only` one.
    pub fn pending(&self, only: Option<VmUuid>, reply: &mut ApplyReply) -> Result<Vec<Pending>, Error> {
        let mut pending = Vec::new();
        let mut is_known = false;
        for (reference, vm_uuid, record, entry) in
            self.known().filter(|(_, uuid, ..)| only.is_none_or(|only| only == *uuid))
        {
            is_known = true;
            if !record.has_domain() {
                if only.is_some() {
                    let state = record.power_state.to_lowercase();
                    reply.notes.push(format!("VM {vm_uuid} is {state}: it gets its settings at its next start."));
                }
                continue;
            }
            let verdict = self.is_settled(vm_uuid).and_then(|()| self.compare(vm_uuid, record, &entry));
            match verdict {
                Ok(Verdict::Pending(running)) => match self.would_help(record, &entry, only.is_some()) {
                    Ok(()) => {
                        let vm = self.described(vm_uuid, record, &entry, running);
                        pending.push(Pending { vm, reference: reference.clone(), wanted: entry.settings });
                    }
                    Err(why) => reply.left_alone.push(LeftAlone { vm_uuid, why }),
                },
                Ok(Verdict::AsConfigured) if only.is_some() => {
                    reply.notes.push(format!("VM {vm_uuid} already has its settings."));
                }
                Ok(Verdict::AsConfigured | Verdict::NotOurs) => {}
                Err(why) => reply.left_alone.push(LeftAlone { vm_uuid, why }),
            }
        }
        pending.sort_by(|one, other| (&one.vm.vm_name, one.vm.vm_uuid).cmp(&(&other.vm.vm_name, other.vm.vm_uuid)));
        reply.left_alone.sort_by_key(|left| left.vm_uuid);
        match only {
            Some(vm_uuid) if !is_known => Err(Error::NotRegistered(vm_uuid)),
            _ => Ok(pending),
        }
    }

    /// How many VMs run with and without their settings.
    pub fn count(&self) -> CountOfRunning {
        let mut count = CountOfRunning::default();
        for (_, vm_uuid, record, entry) in self.known().filter(|(_, _, record, _)| record.has_domain()) {
            match self.compare(vm_uuid, record, &entry) {
                Ok(Verdict::AsConfigured) => count.as_configured += 1,
                Ok(Verdict::Pending(_)) => count.pending += 1,
                Ok(Verdict::NotOurs) => {}
                Err(_) => count.not_known += 1,
            }
        }
        count
    }

    /// The physical GPUs of all hosts.
    pub fn gpus(&self, session: &mut Session) -> Result<Vec<XapiGpu>, XapiError> {
        session.gpus_of(&self.hosts, &self.records.iter().map(|(_, record)| record).collect::<Vec<_>>())
    }

    pub fn hosts(&self) -> &IndexMap<String, HostRecord> {
        &self.hosts
    }

    /// The settings of every registered VM, and whether it runs with them.
    pub fn states(&self) -> Vec<(VmSettings, VmState)> {
        let records: HashMap<_, _> = self.records.iter().map(|(_, record)| (record.uuid.as_str(), record)).collect();
        let vms: HashSet<_> = self.shared.vms().chain(self.here.keys().copied()).collect();
        let state = |vm_uuid: VmUuid| {
            let entry = self.shared.newest(&vm_uuid, self.here.get(&vm_uuid))?;
            let record = records.get(vm_uuid.to_string().as_str()).filter(|record| record.has_domain());
            let state = match record.map(|record| self.compare(vm_uuid, record, &entry)) {
                None => VmState::NotRunning,
                Some(Ok(Verdict::AsConfigured)) => VmState::AsConfigured,
                Some(Ok(_)) => VmState::Pending,
                Some(Err(_)) => VmState::NotKnown,
            };
            Some((entry.settings?, state))
        };
        vms.into_iter().filter_map(state).collect()
    }

    /// The VMs that are or were registered.
    fn known(&self) -> impl Iterator<Item = (&Reference, VmUuid, &VmRecord, Entry)> {
        self.records.iter().filter(|(_, record)| record.is_a_vm()).filter_map(|(reference, record)| {
            let vm_uuid = record.uuid.parse().ok()?;
            let entry = self.shared.newest(&vm_uuid, self.here.get(&vm_uuid))?;
            Some((reference, vm_uuid, record, entry))
        })
    }

    pub fn runs(&self, vm_uuid: VmUuid) -> bool {
        self.record(vm_uuid).is_some_and(VmRecord::has_domain)
    }

    /// What a VM that was just rebooted runs with: the settings wanted at that time, or newer ones.
    pub fn rebooted_with(&self, vm_uuid: VmUuid, wanted: Option<VmSettings>) -> Result<String, String> {
        let record = self.record(vm_uuid).filter(|record| record.has_domain());
        let record = record.ok_or("it did not come back: it is not running")?;
        let running = self.running(vm_uuid, record);
        let running =
            running.map_err(|why| format!("it was rebooted, but it is not known what it runs with: {why}"))?;
        let has = running.device_argument.clone().unwrap_or_default();
        let entry = self.shared.newest(&vm_uuid, self.here.get(&vm_uuid));
        let is_unchanged = entry.as_ref().is_some_and(|entry| entry.settings == wanted);
        if is_unchanged && entry.is_some_and(|entry| self.lacks_settings(vm_uuid, &entry, running)) {
            let has = if has.is_empty() { "no vGPU" } else { &has };
            let on = self.name_of_host(record).unwrap_or_default();
            return Err(format!(
                "it came back with {has}: run 'vgpu-admin check --vm-uuid={vm_uuid}', and see the log of host {on}"
            ));
        }
        Ok(has)
    }

    fn record(&self, vm_uuid: VmUuid) -> Option<&VmRecord> {
        let uuid = vm_uuid.to_string();
        self.records.iter().map(|(_, record)| record).find(|record| record.uuid == uuid)
    }

    fn name_of_host(&self, record: &VmRecord) -> Option<&str> {
        self.hosts.get(record.resident_on.as_str()).map(|on| on.name_label.as_str())
    }

    /// Why it is not certain which settings a VM should have, if it is not.
    fn is_settled(&self, vm_uuid: VmUuid) -> Result<(), String> {
        match self.shared.compare(&vm_uuid, self.here.get(&vm_uuid)) {
            Comparison::NotForUs(error) => Err(format!("the shared copy's entry {error}")),
            Comparison::HostIsNewer => {
                Err("this host has changes that no other host has: run 'vgpu-admin sync' first".to_owned())
            }
            Comparison::Same | Comparison::CopyIsNewer(_) => Ok(()),
        }
    }

    /// Whether a running VM has its settings, or why that is not known.
    fn compare(&self, vm_uuid: VmUuid, record: &VmRecord, entry: &Entry) -> Result<Verdict<'_>, String> {
        let running = match self.running(vm_uuid, record) {
            Ok(running) => running,
            // Whatever it runs with.
            Err(_) if entry.settings.is_none() => return Ok(Verdict::NotOurs),
            Err(why) => return Err(why),
        };
        Ok(match entry.settings {
            _ if self.lacks_settings(vm_uuid, entry, running) => Verdict::Pending(running),
            Some(_) => Verdict::AsConfigured,
            None => Verdict::NotOurs,
        })
    }

    /// What its QEMU has, by the host on which it runs.
    fn running(&self, vm_uuid: VmUuid, record: &VmRecord) -> Result<&RunningVm, String> {
        let on = self.hosts.get(record.resident_on.as_str()).ok_or("XAPI does not say on which host it runs")?;
        let answer = self.answers.get(&on.uuid).ok_or_else(|| format!("host {} was not asked", on.name_label))?;
        let running = answer.as_ref().map_err(Clone::clone)?.vm(vm_uuid, record.domid);
        let running =
            running.ok_or_else(|| format!("it was moved to host {} or started there just now", on.name_label))?;
        match (running.state, kind_without_qemu(&record.domain_type), &running.why) {
            (RunningState::NoQemu, Some(kind), _) => Err(format!("a {kind} guest has no QEMU, and so no vGPU")),
            (RunningState::NoQemu, None, _) => {
                Err("it has no QEMU: it starts or ends right now, or see daemon.log of its host".to_owned())
            }
            (RunningState::NotReadable, _, why) => Err(why.clone().unwrap_or_default()),
            _ => Ok(running),
        }
    }

    /// Where the qemu-wrapper passes nothing, a VM would lose its vGPU by a reboot, or still have none. `check` may not recognise a
    /// qemu-wrapper that passes it after all: a VM that is named is rebooted if some VM of the host runs with a vGPU.
    fn would_help(&self, record: &VmRecord, entry: &Entry, is_named: bool) -> Result<(), String> {
        let on = self.hosts.get(record.resident_on.as_str());
        let answer = on.and_then(|on| Some((on, self.answers.get(&on.uuid)?.as_ref().ok()?)));
        let Some((on, RunningReply { qemu_wrapper, vms })) = answer else { return Ok(()) };
        let has_vgpu = |vm: &RunningVm| matches!(vm.state, RunningState::Vgpu | RunningState::Unclear);
        // A removed VM loses its vGPU whatever the qemu-wrapper does.
        if qemu_wrapper.ok || entry.settings.is_none() || (is_named && vms.iter().any(has_vgpu)) {
            return Ok(());
        }
        Err(format!("a reboot would not help: on host {}, {}", on.name_label, qemu_wrapper.message))
    }

    fn lacks_settings(&self, vm_uuid: VmUuid, entry: &Entry, running: &RunningVm) -> bool {
        match entry.settings {
            Some(wanted) => running.is_as_configured(Some(wanted)) == Some(false),
            // A removed VM keeps its vGPU until it is rebooted.
            None => running.settings.is_some_and(|had| self.is_no_longer_its(vm_uuid, entry, had.vm_id)),
        }
    }

    /// Whether a removed VM runs with its old argument, or with one that belongs to another VM now, as opposed to one that was
    /// written by hand since.
    fn is_no_longer_its(&self, vm_uuid: VmUuid, entry: &Entry, number: DeviceVmId) -> bool {
        let is_anothers = self.numbers.get(&number).is_some_and(|owner| *owner != vm_uuid);
        entry.vm_id == Some(number) || is_anothers
    }

    fn described(&self, vm_uuid: VmUuid, record: &VmRecord, entry: &Entry, running: &RunningVm) -> AppliedVm {
        let device = &self.host.settings.device;
        AppliedVm {
            vm_uuid,
            vm_name: record.name_label.clone(),
            host_name: self.name_of_host(record).map(str::to_owned),
            from: running.device_argument.clone(),
            to: entry.settings.map(|settings| device_args::argument(device, &settings)).unwrap_or_default(),
        }
    }
}
