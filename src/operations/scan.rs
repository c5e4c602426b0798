//! The resource pool as a whole: every VM with its settings, and those whose argument was written by hand.

use std::collections::HashMap;

use super::Host;
use super::catch_up::Current;
use super::hosts::Answered;
use super::running::running_everywhere;
use super::serving::Serving;
use super::sync::note_names;
use crate::device_args::{self, FoundDevice};
use crate::error::Error;
use crate::limits::Room;
use crate::model::{VmSettings, VmUuid};
use crate::reply::{
    AdoptReply, AdoptedVm, LeftAlone, RunningReply, RunsWithReply, RunsWithState, ScannedGpu, ScannedVm,
};
use crate::shared_copy::SharedCopy;
use crate::store::{Registration, Writing};
use crate::transaction::{Scope, Transaction};
use crate::xenapi::{HostRecord, VmRecord, XapiVm};

/// Every VM of the resource pool, and what it runs with: by GPU pool, those without one last, then by name. Templates,
/// snapshots and dom0 are left out.
///
/// # Errors
/// XAPI or the database cannot be used.
pub fn scan_vms(host: &Host) -> Result<Vec<ScannedVm>, Error> {
    let mut session = host.connect()?;
    let answers = running_everywhere(host, &mut session)?;
    let shared = SharedCopy::load(&mut session)?;
    let hosts = session.hosts()?;
    let here: HashMap<_, _> = Current::with(host, &shared)?.read().entries()?.into_iter().collect();
    let mut vms = Vec::new();
    for (_, record) in session.vm_records()?.iter().filter(|(_, record)| record.is_a_vm()) {
        let Ok(vm_uuid) = record.uuid.parse::<VmUuid>() else { continue };
        let settings = shared.newest(&vm_uuid, here.get(&vm_uuid)).and_then(|entry| entry.settings);
        let on = hosts.get(record.resident_on.as_str());
        vms.push(ScannedVm {
            vm_uuid,
            vm_name: record.name_label.clone(),
            pool: settings.map(|settings| settings.pool),
            priority: settings.map(|settings| settings.priority),
            vm_id: settings.map(|settings| settings.vm_id),
            power_state: record.power_state.clone(),
            host_uuid: on.map(|host| host.uuid.clone()),
            host_name: on.map(|host| host.name_label.clone()),
            runs_with: on.map(|host| runs_with(&answers, host, vm_uuid, record.domid, settings)),
        });
    }
    vms.sort_by(|one, other| {
        let rank = |vm: &ScannedVm| (vm.pool.is_none(), vm.pool, std::cmp::Reverse(vm.priority));
        rank(one).cmp(&rank(other)).then_with(|| one.vm_name.cmp(&other.vm_name)).then(one.vm_uuid.cmp(&other.vm_uuid))
    });
    Ok(vms)
}

/// Every physical GPU of every host, and the GPU pool that it serves: by host, then by address.
///
/// # Errors
/// XAPI or the database cannot be used.
pub fn scan_gpus(host: &Host) -> Result<Vec<ScannedGpu>, Error> {
    let mut session = host.connect()?;
    let hosts = session.hosts()?;
    let vms = session.vm_records()?;
    let gpus = session.gpus_of(&hosts, &vms.iter().map(|(_, record)| record).collect::<Vec<_>>())?;
    let shared = SharedCopy::load(&mut session)?;
    let serving = Serving::read(Current::with(host, &shared)?.read())?;
    Ok(serving.scan(gpus, &hosts))
}

/// What a VM runs with, as the host said on which it runs.
fn runs_with(
    answers: &[Answered<RunningReply>],
    on: &HostRecord,
    vm_uuid: VmUuid,
    domid: i64,
    wanted: Option<VmSettings>,
) -> RunsWithReply {
    let host_name = Some(on.name_label.clone());
    let not_known = |why: &str| RunsWithReply {
        host_name: host_name.clone(),
        why: Some(why.to_owned()),
        ..RunsWithReply::only(RunsWithState::NotKnown)
    };
    let Some(Answered { answer, .. }) = answers.iter().find(|answered| answered.host.uuid == on.uuid) else {
        return not_known("the host was not asked");
    };
    match answer.as_ref().map(|reply| reply.vm(vm_uuid, domid)) {
        Ok(Some(running)) => RunsWithReply::on(host_name, running.clone(), wanted),
        Ok(None) => not_known("it was moved or started just now"),
        Err(error) => not_known(&error.to_string()),
    }
}

/// Registers every VM that has an argument of ours written by hand, with its GPU pool, priority and `vm_id`. If two VMs
/// share a number, the one that is registered or comes first keeps it, and the other gets one of its own.
///
/// # Errors
/// XAPI or the database cannot be used. An error with a single VM is in the reply; the others are done.
pub fn adopt(host: &Host, dry_run: bool) -> Result<AdoptReply, Error> {
    let mut transaction = Transaction::begin_with_xapi(host, dry_run)?;
    let vms = transaction.look_all_up()?;
    transaction.read_shared()?;
    let copy = dry_run.then(|| host.store.copy_in_memory()).transpose()?;
    let store = copy.as_ref().unwrap_or(&host.store);
    transaction.take_over_into(store, dry_run)?;
    let mut reply = AdoptReply { dry_run, ..AdoptReply::default() };
    let mut candidates: Vec<_> = vms.iter().filter_map(|(uuid, vm)| Some((*uuid, vm.record()?))).collect();
    candidates.sort_by_key(|(uuid, _)| *uuid);
    for (uuid, record) in candidates.into_iter().filter(|(_, record)| record.is_a_vm()) {
        let Some(found) = device_args::find(&host.settings.device, record.args().unwrap_or_default()) else { continue };
        match store.read().registration(&uuid)? {
            Registration::Registered(_) => continue,
            Registration::Removed { vm_id, .. } if vm_id.is_some() && vm_id == found.vm_id => {
                let why = "it was removed, and its next start removes the argument: register it to keep the argument";
                reply.left_alone.push(LeftAlone { vm_uuid: uuid, why: why.to_owned() });
                continue;
            }
            Registration::Removed { .. } | Registration::Unknown => {}
        }
        let adopted = if dry_run {
            transaction.try_out(store, &vms, &uuid, &|writing| register(writing, &uuid, record, &found).map(Some))
        } else {
            adopt_one(host, &mut transaction, &uuid)
        };
        let is_away = matches!(&adopted, Err(Error::Xapi(error)) if error.is_away());
        note_adopted(&mut reply, uuid, adopted);
        if is_away {
            break;
        }
    }
    if !dry_run {
        note_names(host, &vms)?;
    }
    Ok(reply)
}

fn note_adopted(reply: &mut AdoptReply, vm_uuid: VmUuid, adopted: Result<Option<AdoptedVm>, Error>) {
    let left_alone = |error: &Error| LeftAlone { vm_uuid, why: error.to_string() };
    match adopted {
        // It was registered in the meantime, or has lost its argument.
        Ok(None) => {}
        Ok(Some(adopted)) => reply.adopted.push(adopted),
        Err(error @ (Error::UnclearArgument(_) | Error::NewerFormat { .. } | Error::PoolFull { .. })) => {
            reply.left_alone.push(left_alone(&error));
        }
        Err(error) => reply.failed.push(left_alone(&error)),
    }
}

/// Registers a VM with the argument that it has when it is locked; `None` if there is nothing to register any more.
fn adopt_one(host: &Host, transaction: &mut Transaction<'_>, uuid: &VmUuid) -> Result<Option<AdoptedVm>, Error> {
    let adopted = transaction.change(Scope::vms(&[*uuid]), false, &|writing, vms| {
        let Some(record) = vms.get(uuid).and_then(XapiVm::record) else { return Ok(None) };
        let found = device_args::find(&host.settings.device, record.args().unwrap_or_default());
        match (found, writing.read().registration(uuid)?) {
            (None, _) | (_, Registration::Registered(_)) => Ok(None),
            (Some(found), _) => register(writing, uuid, record, &found).map(Some),
        }
    })?;
    Ok(adopted.value)
}

/// Registers a VM as its argument says, or with another number if that one is taken.
fn register(writing: &Writing<'_>, uuid: &VmUuid, record: &VmRecord, found: &FoundDevice) -> Result<AdoptedVm, Error> {
    let (Some(pool), Some(priority)) = (found.pool, found.priority) else {
        return Err(Error::UnclearArgument(found.text.clone()));
    };
    let owner = match found.vm_id {
        Some(vm_id) => writing.read().owner_of(vm_id)?,
        None => None,
    };
    let vm_id = found.vm_id.filter(|_| owner.is_none());
    let room = Room::before(writing)?;
    writing.insert(uuid, Some(&record.name_label), pool, priority, vm_id)?;
    room.refuse_overflow(writing)?;
    let registered = writing.read().vm(uuid)?.ok_or_else(|| Error::Internal(format!("VM {uuid} has disappeared")))?;
    Ok(AdoptedVm {
        vm_uuid: *uuid,
        vm_name: record.name_label.clone(),
        pool,
        priority,
        vm_id: registered.settings.vm_id,
        shared_with: owner,
    })
}
