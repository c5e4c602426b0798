//! Makes changed settings true now: a clean reboot of the running VMs that were started with others, one after the other.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use indexmap::IndexMap;

use super::hosts::{Answered, on_every_host};
use super::{Host, VmSelector};
use crate::deadline::Deadline;
use crate::device_args;
use crate::error::Error;
use crate::mirror::{Entry, Mirror};
use crate::model::{DeviceVmId, VmSettings, VmUuid};
use crate::reply::{AppliedVm, ApplyReply, LeftAlone, StartReply};
use crate::xenapi::{self, HostRecord, Reference, Session, VmRecord};

/// How long a VM may take to reboot. XAPI itself waits 20 minutes for a guest to shut down
/// (xapi-project/xen-api, `ocaml/xapi/xapi_globs.ml`, `domain_shutdown_total_timeout`).
const REBOOT_PATIENCE: Duration = Duration::from_mins(25);
/// How long between two looks at a reboot.
const PAUSE: Duration = Duration::from_millis(250);

/// Which VMs are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyTo {
    /// This one.
    Vm(VmSelector),
    /// Every running VM that was started with other settings than it has now.
    Pending,
}

/// How far it is, for whoever waits.
#[derive(Debug, Clone, Copy)]
pub struct ApplyStep<'a> {
    /// The VM that is about to be rebooted, counted from 1.
    pub number: usize,
    /// How many there are.
    pub total: usize,
    /// The VM.
    pub vm: &'a AppliedVm,
}

/// What the last start of every VM on this host was given.
///
/// # Errors
/// The database cannot be read.
pub fn last_starts(host: &Host) -> Result<Vec<StartReply>, Error> {
    let starts = host.store.read().last_starts()?;
    Ok(starts
        .into_iter()
        .map(|(vm_uuid, start)| StartReply {
            vm_uuid,
            started_at: start.started_at,
            host_uuid: start.host_uuid,
            device_argument: start.device_argument,
        })
        .collect())
}

/// Reboots the running VMs that do not have their settings, one after the other, and looks whether each has come back with
/// them. Where one has not, the rest is left as it is. `begins` is told before each. A dry run says what would be done.
///
/// # Errors
/// XAPI or the database cannot be used, or the VM that is named is not registered.
pub fn apply(
    host: &Host,
    what: &ApplyTo,
    dry_run: bool,
    begins: &mut dyn FnMut(ApplyStep<'_>),
) -> Result<ApplyReply, Error> {
    let only = match what {
        ApplyTo::Vm(vm) => Some(host.resolve(vm)?),
        ApplyTo::Pending => None,
    };
    let mut session = host.connect()?;
    let mut reply = ApplyReply { dry_run, ..ApplyReply::default() };
    let mut planned = Pool::look(host, &mut session)?.plan(only, &mut reply)?;
    planned.sort_by(|one, other| (&one.vm.vm_name, one.vm.vm_uuid).cmp(&(&other.vm.vm_name, other.vm.vm_uuid)));
    if dry_run {
        reply.applied = planned.into_iter().map(|planned| planned.vm).collect();
        return Ok(reply);
    }
    let total = planned.len();
    let mut rest = planned.into_iter();
    for (number, Planned { vm, reference, wanted }) in (1..).zip(&mut rest) {
        begins(ApplyStep { number, total, vm: &vm });
        if let Err(why) = reboot(&mut session, &reference).and_then(|()| has_come_back(host, &mut session, &vm, wanted))
        {
            log::warn!("VM {}: {why}", vm.vm_uuid);
            reply.failed = Some(LeftAlone { vm_uuid: vm.vm_uuid, why });
            break;
        }
        log::info!("VM {}: rebooted, has '{}'", vm.vm_uuid, vm.to);
        reply.applied.push(vm);
    }
    reply.not_tried = rest.map(|planned| planned.vm.vm_uuid).collect();
    Ok(reply)
}

/// A VM that gets its settings by a reboot.
struct Planned {
    vm: AppliedVm,
    reference: Reference,
    wanted: Option<VmSettings>,
}

/// What has to be known of the resource pool.
struct Pool<'a> {
    host: &'a Host,
    mirror: Mirror,
    records: Vec<(Reference, VmRecord)>,
    hosts: IndexMap<String, HostRecord>,
    here: HashMap<VmUuid, Entry>,
    /// The last start of each VM, on each host that has started it.
    starts: HashMap<String, Vec<StartReply>>,
    /// Hosts that could not say what they have started, and why.
    silent: HashMap<String, String>,
}

impl<'a> Pool<'a> {
    fn look(host: &'a Host, session: &mut Session) -> Result<Self, Error> {
        let mirror = Mirror::load(session)?;
        let hosts = session.hosts()?;
        let (mut starts, mut silent) = (HashMap::<_, Vec<_>>::new(), HashMap::new());
        for Answered { host, answer } in on_every_host::<Vec<StartReply>>(&host.root, session, "last_starts")? {
            match answer {
                Ok(answer) => {
                    for start in answer {
                        starts.entry(start.vm_uuid.clone()).or_default().push(start);
                    }
                }
                Err(error) => drop(silent.insert(host.uuid, error.to_string())),
            }
        }
        let here = host.store.read().entries()?.into_iter().collect();
        Ok(Self { host, mirror, records: session.vm_records()?, hosts, here, starts, silent })
    }

    /// The running VMs that do not have their settings; all of them, or one that is named.
    fn plan(&self, only: Option<VmUuid>, reply: &mut ApplyReply) -> Result<Vec<Planned>, Error> {
        let mut planned = Vec::new();
        let mut is_known = false;
        for (reference, record) in self.records.iter().filter(|(_, record)| record.is_a_vm()) {
            let Ok(vm_uuid) = record.uuid.parse::<VmUuid>() else { continue };
            if only.is_some_and(|only| only != vm_uuid) {
                continue;
            }
            let Some(entry) = self.mirror.newest(&vm_uuid, self.here.get(&vm_uuid)) else { continue };
            is_known = true;
            if record.power_state != "Running" {
                if only.is_some() {
                    let state = record.power_state.to_lowercase();
                    reply.notes.push(format!("VM {vm_uuid} is {state}: its next start has its settings."));
                }
                continue;
            }
            let on = self.hosts.get(record.resident_on.as_str());
            if let Some(why) = on.and_then(|on| self.silent.get(&on.uuid)) {
                reply.left_alone.push(LeftAlone { vm_uuid, why: why.clone() });
                continue;
            }
            match self.pending(vm_uuid, record, &entry, self.last_start(&record.uuid)) {
                Some(vm) => planned.push(Planned { vm, reference: reference.clone(), wanted: entry.settings }),
                None if only.is_some() => reply.notes.push(format!("VM {vm_uuid} has its settings already.")),
                None => {}
            }
        }
        match only {
            Some(vm_uuid) if !is_known => Err(Error::NotRegistered(vm_uuid)),
            _ => Ok(planned),
        }
    }

    /// A VM that has moved between hosts has a last start on several: the newest counts.
    fn last_start(&self, vm_uuid: &str) -> Option<&StartReply> {
        self.starts.get(vm_uuid)?.iter().max_by(|one, other| one.started_at.cmp(&other.started_at))
    }

    /// The VM, if that start gave it something else than it is to have, or nobody knows what.
    fn pending(
        &self,
        vm_uuid: VmUuid,
        record: &VmRecord,
        entry: &Entry,
        start: Option<&StartReply>,
    ) -> Option<AppliedVm> {
        let on = self.hosts.get(record.resident_on.as_str());
        let device = &self.host.settings.device;
        let had = start.and_then(|start| device_args::find(device, &start.device_argument));
        let is_right = match (entry.settings, start) {
            (Some(wanted), Some(_)) => had.and_then(|had| had.settings()) == Some(wanted),
            (Some(_), None) => false,
            // A VM that was removed keeps what it had until it is rebooted.
            (None, _) => !had.is_some_and(|had| is_number_of(entry, had.vm_id)),
        };
        (!is_right).then(|| AppliedVm {
            vm_uuid,
            vm_name: record.name_label.clone(),
            host_name: on.map(|on| on.name_label.clone()),
            from: start.map(|start| start.device_argument.clone()),
            to: entry.settings.map(|settings| device_args::argument(device, &settings)).unwrap_or_default(),
        })
    }
}

fn is_number_of(entry: &Entry, vm_id: Option<DeviceVmId>) -> bool {
    vm_id.is_some() && vm_id == entry.vm_id
}

/// Reboots a VM and waits for the end of that.
fn reboot(session: &mut Session, vm: &Reference) -> Result<(), String> {
    let until = Deadline::after(REBOOT_PATIENCE);
    session.set_deadline(Deadline::after(xenapi::TIMEOUT));
    let task = session.begin_clean_reboot(vm).map_err(|error| error.to_string())?;
    loop {
        session.set_deadline(Deadline::after(xenapi::TIMEOUT));
        let record = session.task(&task).map_err(|error| format!("it was told to reboot, then {error}"))?;
        match record.status.as_str() {
            "success" => {
                session.forget_task(&task);
                return Ok(());
            }
            "pending" | "cancelling" if until.remaining().is_none() => {
                return Err(format!("it did not come back within {} minutes", REBOOT_PATIENCE.as_secs() / 60));
            }
            "pending" | "cancelling" => thread::sleep(PAUSE),
            _ => {
                session.forget_task(&task);
                return Err(format!("it could not be rebooted: {}", record.error_info.join(", ")));
            }
        }
    }
}

/// Looks whether a VM that was rebooted runs with its settings.
fn has_come_back(host: &Host, session: &mut Session, vm: &AppliedVm, wanted: Option<VmSettings>) -> Result<(), String> {
    let unknown = |why: String| format!("it was rebooted, but what it has now cannot be told: {why}");
    session.set_deadline(Deadline::after(xenapi::TIMEOUT));
    let pool = Pool::look(host, session).map_err(|error| unknown(error.to_string()))?;
    let uuid = vm.vm_uuid.to_string();
    let record = pool.records.iter().map(|(_, record)| record).find(|record| record.uuid == uuid);
    let Some(record) = record.filter(|record| record.power_state == "Running") else {
        return Err("it did not come back: it does not run any more".to_owned());
    };
    let Some(on) = pool.hosts.get(record.resident_on.as_str()) else { return Err(unknown("where it runs".to_owned())) };
    if let Some(why) = pool.silent.get(&on.uuid) {
        return Err(unknown(why.clone()));
    }
    let Some(entry) = pool.mirror.newest(&vm.vm_uuid, pool.here.get(&vm.vm_uuid)) else { return Ok(()) };
    // Its last start was on this host, whatever the clocks of others say.
    let start = pool.starts.get(&uuid).and_then(|starts| starts.iter().find(|start| start.host_uuid == on.uuid));
    match pool.pending(vm.vm_uuid, record, &entry, start) {
        // Where somebody has changed the settings again meanwhile, it came back with those of a moment ago.
        Some(still) if entry.settings == wanted => {
            let has = still.from.filter(|args| !args.is_empty()).unwrap_or_else(|| "no vGPU".to_owned());
            Err(format!("it came back with {has}: the log of host {} says why", on.name_label))
        }
        _ => Ok(()),
    }
}
