//! Finds running VMs that do not have their settings: compares the newest settings with the arguments of the last start.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::Host;
use super::catch_up::Current;
use super::hosts::{Answered, on_every_host};
use crate::device_args::{self, FoundDevice};
use crate::entry::{CLOCKS_MAY_DIFFER, Entry};
use crate::error::Error;
use crate::model::{DeviceVmId, VmSettings, VmUuid};
use crate::reply::{AppliedVm, ApplyReply, LeftAlone, StartReply};
use crate::request::Request;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::xenapi::{HostRecord, Reference, Session, VmRecord};

/// A running VM that gets its settings by a reboot.
pub(super) struct Pending {
    pub vm: AppliedVm,
    pub reference: Reference,
    pub wanted: Option<VmSettings>,
}

pub(super) struct AllHosts<'a> {
    host: &'a Host,
    shared: SharedCopy,
    records: Vec<(Reference, VmRecord)>,
    hosts: IndexMap<String, HostRecord>,
    here: HashMap<VmUuid, Entry>,
    /// The numbers of the registered VMs.
    numbers: HashMap<DeviceVmId, VmUuid>,
    /// The last start of each VM, on each host that has started it.
    starts: HashMap<String, Vec<StartReply>>,
    /// Hosts that did not report their starts, and why.
    silent: HashMap<String, String>,
}

impl<'a> AllHosts<'a> {
    /// Asks XAPI and every host.
    pub fn look(host: &'a Host, session: &mut Session) -> Result<Self, Error> {
        let (mut starts, mut silent) = (HashMap::<_, Vec<_>>::new(), HashMap::new());
        for Answered { host, answer } in on_every_host::<Vec<StartReply>>(&host.root, session, &Request::LastStarts {})?
        {
            match answer {
                Ok(answer) => {
                    for start in answer {
                        starts.entry(start.vm_uuid.clone()).or_default().push(start);
                    }
                }
                Err(error) => drop(silent.insert(host.uuid, error.to_string())),
            }
        }
        let (hosts, records, shared) = (session.hosts()?, session.vm_records()?, SharedCopy::load(session)?);
        let here: HashMap<_, _> = Current::with(host, &shared)?.read().entries()?.into_iter().collect();
        let vms: HashSet<_> = shared.vms().chain(here.keys().copied()).collect();
        let number = |uuid: VmUuid| Some((shared.newest(&uuid, here.get(&uuid))?.settings?.vm_id, uuid));
        let numbers = vms.into_iter().filter_map(number).collect();
        Ok(Self { host, shared, records, hosts, here, numbers, starts, silent })
    }

    /// The running VMs that do not have their settings, sorted by name: all, or `only` one.
    pub fn pending(&self, only: Option<VmUuid>, reply: &mut ApplyReply) -> Result<Vec<Pending>, Error> {
        let mut pending = Vec::new();
        let mut is_known = false;
        for (reference, record) in self.records.iter().filter(|(_, record)| record.is_a_vm()) {
            let Ok(vm_uuid) = record.uuid.parse::<VmUuid>() else { continue };
            if only.is_some_and(|only| only != vm_uuid) {
                continue;
            }
            let Some(entry) = self.shared.newest(&vm_uuid, self.here.get(&vm_uuid)) else { continue };
            is_known = true;
            if record.power_state != "Running" {
                if only.is_some() {
                    let state = record.power_state.to_lowercase();
                    reply.notes.push(format!("VM {vm_uuid} is {state}: it gets its settings at its next start."));
                }
                continue;
            }
            let start = match self.last_start(vm_uuid, record, only.is_some()) {
                Ok(start) => start,
                Err(why) => {
                    reply.left_alone.push(LeftAlone { vm_uuid, why });
                    continue;
                }
            };
            if !self.lacks_settings(vm_uuid, &entry, start) {
                if only.is_some() {
                    reply.notes.push(format!("VM {vm_uuid} already has its settings."));
                }
                continue;
            }
            let vm = self.described(vm_uuid, record, &entry, start);
            pending.push(Pending { vm, reference: reference.clone(), wanted: entry.settings });
        }
        pending.sort_by(|one, other| (&one.vm.vm_name, one.vm.vm_uuid).cmp(&(&other.vm.vm_name, other.vm.vm_uuid)));
        reply.left_alone.sort_by_key(|left| left.vm_uuid);
        match only {
            Some(vm_uuid) if !is_known => Err(Error::NotRegistered(vm_uuid)),
            _ => Ok(pending),
        }
    }

    pub fn runs(&self, vm_uuid: VmUuid) -> bool {
        self.record(vm_uuid).is_some_and(|record| record.power_state == "Running")
    }

    /// The arguments of a VM that was just rebooted: those wanted at that time, or newer ones.
    pub fn started_with(&self, vm_uuid: VmUuid, wanted: Option<VmSettings>) -> Result<String, String> {
        let unknown = |why: &str| format!("it was rebooted, but its arguments are not known: {why}");
        let record = self.record(vm_uuid).filter(|record| record.power_state == "Running");
        let record = record.ok_or("it did not come back: it is not running")?;
        let on = self
            .hosts
            .get(record.resident_on.as_str())
            .ok_or_else(|| unknown("XAPI does not say on which host it runs"))?;
        if let Some(why) = self.silent.get(&on.uuid) {
            return Err(unknown(why));
        }
        let starts = self.starts.get(&record.uuid).map(Vec::as_slice).unwrap_or_default();
        // It was started on the host where it runs, regardless of other hosts' clocks.
        let start = starts.iter().find(|start| start.host_uuid == on.uuid);
        let has = start.map(|start| start.device_argument.clone()).unwrap_or_default();
        let entry = self.shared.newest(&vm_uuid, self.here.get(&vm_uuid));
        let is_unchanged = entry.as_ref().is_some_and(|entry| entry.settings == wanted);
        if is_unchanged && entry.is_some_and(|entry| self.lacks_settings(vm_uuid, &entry, start)) {
            let has = if has.is_empty() { "no vGPU" } else { &has };
            return Err(format!("it came back with {has}: see the log of host {}", on.name_label));
        }
        Ok(has)
    }

    fn record(&self, vm_uuid: VmUuid) -> Option<&VmRecord> {
        let uuid = vm_uuid.to_string();
        self.records.iter().map(|(_, record)| record).find(|record| record.uuid == uuid)
    }

    /// The VM's last start on any host, or why it is not known. A VM that is given explicitly is rebooted even if it is unclear
    /// which start was the last.
    fn last_start(&self, vm_uuid: VmUuid, record: &VmRecord, is_named: bool) -> Result<Option<&StartReply>, String> {
        match self.shared.compare(&vm_uuid, self.here.get(&vm_uuid)) {
            Comparison::NotForUs(error) => return Err(format!("the shared copy's entry {error}")),
            Comparison::HostIsNewer => {
                return Err("this host has changes that no other host has: run 'vgpu-admin sync' first".to_owned());
            }
            Comparison::Same | Comparison::CopyIsNewer(_) => {}
        }
        let on = self.hosts.get(record.resident_on.as_str());
        if let Some(why) = on.and_then(|on| self.silent.get(&on.uuid)) {
            return Err(why.clone());
        }
        let starts = self.starts.get(&record.uuid).map(Vec::as_slice).unwrap_or_default();
        let Some(newest) = starts.iter().max_by_key(|start| start.started) else { return Ok(None) };
        // A start on the host where it runs counts, unless another is clearly newer.
        let is_where_it_runs = |start: &&StartReply| on.is_some_and(|on| on.uuid == start.host_uuid);
        if let Some(start) = starts.iter().find(is_where_it_runs)
            && newest.started - start.started < CLOCKS_MAY_DIFFER
        {
            return Ok(Some(start));
        }
        let is_rival = |start: &&StartReply| {
            start.host_uuid != newest.host_uuid
                && start.device_argument != newest.device_argument
                && newest.started - start.started < CLOCKS_MAY_DIFFER
        };
        match starts.iter().find(is_rival) {
            Some(rival) if !is_named => Err(format!(
                "it was started on two hosts within minutes ({} and {}), and their clocks may differ: to reboot it, use --vm-uuid",
                newest.host_uuid, rival.host_uuid
            )),
            _ => Ok(Some(newest)),
        }
    }

    /// Whether that start had other settings than the VM has now, or its arguments are not known.
    fn lacks_settings(&self, vm_uuid: VmUuid, entry: &Entry, start: Option<&StartReply>) -> bool {
        let device = &self.host.settings.device;
        let had = start.and_then(|start| device_args::find(device, &start.device_argument));
        match (entry.settings, start) {
            (Some(wanted), Some(_)) => had.and_then(|had| had.settings()) != Some(wanted),
            (Some(_), None) => true,
            // A removed VM keeps its vGPU until it is rebooted.
            (None, _) => had.is_some_and(|had| self.is_no_longer_its(vm_uuid, entry, &had)),
        }
    }

    /// Whether a removed VM runs with its old argument, or with one that belongs to another VM now, as opposed to one that was
    /// written by hand since.
    fn is_no_longer_its(&self, vm_uuid: VmUuid, entry: &Entry, had: &FoundDevice) -> bool {
        let Some(number) = had.vm_id else { return false };
        let is_anothers = self.numbers.get(&number).is_some_and(|owner| *owner != vm_uuid);
        entry.vm_id == Some(number) || is_anothers
    }

    fn described(&self, vm_uuid: VmUuid, record: &VmRecord, entry: &Entry, start: Option<&StartReply>) -> AppliedVm {
        let device = &self.host.settings.device;
        AppliedVm {
            vm_uuid,
            vm_name: record.name_label.clone(),
            host_name: self.hosts.get(record.resident_on.as_str()).map(|on| on.name_label.clone()),
            from: start.map(|start| start.device_argument.clone()),
            to: entry.settings.map(|settings| device_args::argument(device, &settings)).unwrap_or_default(),
        }
    }
}
