//! Brings this host, the shared copy and the VMs' records in XAPI to one state.

use std::collections::BTreeSet;

use super::Host;
use super::gpu_sync::{known_hosts, prune_gpus, sync_gpu_pools};
use crate::device_args;
use crate::entry::Entry;
use crate::error::Error;
use crate::model::{Gpu, Gpus, VmUuid, VmUuids};
use crate::plan::{Goal, Known, Plan, goal, plan};
use crate::reply::{GpuPoolsSync, LeftAlone, PruneReply, SyncReply, XapiOutcome};
use crate::shared_copy::SharedCopy;
use crate::store::{Store, StoreError};
use crate::transaction::{HeldSignals, Scope, Transaction, Vms};
use crate::xenapi::{MapChange, MapField, XapiVm};

/// Takes over what other hosts have written, writes what they lack, and corrects the records of the VMs. A dry run says
/// what would be done and changes nothing.
///
/// # Errors
/// XAPI or the database cannot be used. An error with a single VM is in the reply; the others are done.
pub fn sync(host: &Host, dry_run: bool) -> Result<SyncReply, Error> {
    let mut transaction = Transaction::begin_with_xapi(host, dry_run)?;
    let vms = transaction.look_all_up()?;
    transaction.read_shared()?;
    let copy = dry_run.then(|| host.store.copy_in_memory()).transpose()?;
    let store = copy.as_ref().unwrap_or(&host.store);
    let news = transaction.take_over_into(store, dry_run)?;
    let hosts = known_hosts(&mut transaction)?;
    let mut reply = SyncReply { dry_run, has_other_hosts: hosts.len() > 1, ..SyncReply::default() };
    reply.gpu_pools = match sync_gpu_pools(host, &mut transaction, store, &hosts, dry_run) {
        // The VMs need not wait for them.
        Err(error) if !matches!(&error, Error::Xapi(error) if error.is_away()) => {
            GpuPoolsSync { left_alone: vec![format!("GPU pools: {error}")], ..GpuPoolsSync::default() }
        }
        done => done?,
    };
    reply.gpu_pools.taken = news.gpu_pools.into_iter().map(|(subject, _)| subject).collect();
    reply.left_alone = transaction.shared().map(written_by_newer).unwrap_or_default();
    reply.taken = news.entries.into_iter().map(|(uuid, _)| uuid).collect();
    let entries = store.read().entries()?;
    host.progress.begin(entries.len());
    for (uuid, entry) in entries {
        host.progress.step();
        let planned = match plan_of(host, store, transaction.shared(), &vms, &uuid, &entry) {
            // The reply has it already.
            Err(Error::NewerFormat { .. }) => continue,
            Err(error) => {
                reply.left_alone.push(LeftAlone { vm_uuid: uuid, why: error.to_string() });
                continue;
            }
            Ok(planned) => planned,
        };
        if dry_run {
            note_changes(&mut reply, &uuid, &planned.changes);
        } else if !sync_one(host, &mut transaction, &uuid, &planned, &mut reply) {
            break;
        }
    }
    if !dry_run {
        note_names(host, &vms)?;
    }
    Ok(reply)
}

/// Carries out what was planned for a VM, and returns whether to go on.
fn sync_one(
    host: &Host,
    transaction: &mut Transaction<'_>,
    uuid: &VmUuid,
    planned: &Plan,
    reply: &mut SyncReply,
) -> bool {
    let left_alone = |why: String| LeftAlone { vm_uuid: *uuid, why };
    match carry_out(host, transaction, uuid, planned) {
        Ok(Told { changes, noted }) => {
            note_changes(reply, uuid, &changes);
            let Err(error) = noted else { return true };
            let why = format!("XAPI was told, but this could not be stored, and the sync ends here: {error}");
            reply.left_alone.push(left_alone(why));
            false
        }
        Err(error) => {
            reply.left_alone.push(left_alone(error.to_string()));
            !matches!(&error, Error::Xapi(error) if error.is_away())
        }
    }
}

fn note_changes(reply: &mut SyncReply, uuid: &VmUuid, changes: &[MapChange]) {
    for change in changes {
        let list = if change.map == MapField::PoolOtherConfig { &mut reply.pushed } else { &mut reply.repaired };
        if list.last() != Some(uuid) {
            list.push(*uuid);
        }
    }
}

/// The VMs whose entry in the shared copy was written by a newer program.
fn written_by_newer(shared: &SharedCopy) -> Vec<LeftAlone> {
    let newer = |vm_uuid| Some(LeftAlone { vm_uuid, why: shared.written_by_newer(&vm_uuid)?.to_string() });
    shared.vms().filter_map(newer).collect()
}

/// What XAPI must be told of a VM without a requested change.
fn plan_of(
    host: &Host,
    store: &Store,
    shared: Option<&SharedCopy>,
    vms: &Vms,
    uuid: &VmUuid,
    entry: &Entry,
) -> Result<Plan, Error> {
    let vm = vms.get(uuid).unwrap_or(&XapiVm::Unknown);
    let device = &host.settings.device;
    let args = vm.record().and_then(|record| record.args()).unwrap_or_default();
    let goal = match entry.settings {
        Some(settings) => Goal::Have(settings),
        None => goal(&host.settings, &store.read().registration(uuid)?, &device_args::find_all(device, args), None),
    };
    let was_told = store.read().was_ever_pushed(uuid)?;
    let known = Known { uuid, here: Some(entry), shared, vm, is_asked_for: false, was_told };
    plan(device, &known, &only_removal(goal))
}

/// A sync does not register a removed VM, whatever the settings say: the VM is not starting.
fn only_removal(goal: Goal) -> Goal {
    if matches!(goal, Goal::Register { .. }) { Goal::LeaveAlone } else { goal }
}

/// Tells XAPI what it lacks of a VM, and records that it was told. The VM is locked, looked up and planned again, because
/// another host may have changed it since the first look.
fn carry_out(host: &Host, transaction: &mut Transaction<'_>, uuid: &VmUuid, planned: &Plan) -> Result<Told, Error> {
    let is_known = planned.outcome != XapiOutcome::UnknownVm;
    if planned.changes.is_empty() && host.store.read().is_noted(uuid, is_known)? {
        return Ok(Told::nothing());
    }
    let _locked = transaction.lock(Scope::vms(&[*uuid]))?;
    let vms = transaction.look_again(Scope::vms(&[*uuid]))?;
    // It may have been pruned.
    let Some(entry) = host.store.read().entry(uuid)? else { return Ok(Told::nothing()) };
    let Plan { changes, outcome } = plan_of(host, &host.store, transaction.shared(), &vms, uuid, &entry)?;
    let _signals = HeldSignals::hold(host);
    host.store.note_as_told(uuid)?;
    transaction.write_to_xapi(&changes)?;
    let noted = host.store.write().and_then(|writing| {
        writing.mark_pushed(uuid, entry.revision, outcome != XapiOutcome::UnknownVm)?;
        writing.commit()
    });
    Ok(Told { changes, noted })
}

/// What XAPI was told, and whether that was recorded.
struct Told {
    changes: Vec<MapChange>,
    noted: Result<(), StoreError>,
}

impl Told {
    fn nothing() -> Self {
        Self { changes: Vec::new(), noted: Ok(()) }
    }
}

/// Stores the VMs' names. The shared copy has none: they are for people, and XAPI has them.
pub(super) fn note_names(host: &Host, vms: &Vms) -> Result<(), Error> {
    let writing = host.store.write()?;
    for (uuid, vm) in vms {
        if let Some(name) = vm.name() {
            writing.set_name(uuid, name)?;
        }
    }
    Ok(writing.commit()?)
}

/// Forgets the settings and removals of VMs that XAPI does not know, here and in the shared copy: of all such VMs, or of
/// those in `only`; and the GPUs of hosts that XAPI does not know, or those in `only_gpus`. If one list is given, the other kind
/// stays. A dry run says what would be done and changes nothing.
///
/// # Errors
/// XAPI or the database cannot be used; what was forgotten until then stays forgotten.
pub fn prune(
    host: &Host,
    only: Option<&VmUuids>,
    only_gpus: Option<&Gpus>,
    dry_run: bool,
) -> Result<PruneReply, Error> {
    let mut transaction = Transaction::begin_with_xapi(host, dry_run)?;
    // In this order: a VM that is created and registered meanwhile is among the records, or is in neither of the other two.
    let here: Vec<_> = host.store.read().entries()?.into_iter().map(|(uuid, _)| uuid).collect();
    transaction.read_shared()?;
    let vms = transaction.look_all_up()?;
    let Some(shared) = transaction.shared() else { return Ok(PruneReply { dry_run, ..PruneReply::default() }) };
    let is_left_alone = |uuid: &VmUuid| {
        let newer = shared.written_by_newer(uuid);
        newer.inspect(|error| log::warn!("VM {uuid}: the shared copy's entry {error}")).is_some()
    };
    let is_dead = |uuid: &VmUuid| !vms.contains_key(uuid) && !is_left_alone(uuid);
    let all = only.is_none() && only_gpus.is_none();
    let is_meant = |uuid: &VmUuid| all || only.is_some_and(|only| only.contains(uuid));
    let known: BTreeSet<_> = shared.vms().chain(here).collect();
    let dead = known.into_iter().filter(|uuid| is_meant(uuid) && is_dead(uuid));
    // With the entry that makes it one to forget: for each VM the shared copy is read again.
    let dead: Vec<_> = dead.map(|uuid| (uuid, shared.removal(&uuid))).collect();
    let mut pruned = Vec::new();
    host.progress.begin(dead.len());
    for (uuid, seen) in dead {
        host.progress.step();
        if dry_run || forget(host, &mut transaction, &uuid, seen.as_ref())? {
            pruned.push(uuid);
        }
    }
    let is_meant = |gpu: &Gpu| all || only_gpus.is_some_and(|only| only.contains(gpu));
    let pruned_gpus = prune_gpus(host, &mut transaction, &is_meant, dry_run)?;
    Ok(PruneReply { dry_run, pruned, pruned_gpus })
}

/// Forgets a VM, unless it was created meanwhile or another host has changed its settings.
fn forget(
    host: &Host,
    transaction: &mut Transaction<'_>,
    uuid: &VmUuid,
    seen: Option<&MapChange>,
) -> Result<bool, Error> {
    let _locked = transaction.lock(Scope::vms(&[*uuid]))?;
    let vms = transaction.look_again(Scope::vms(&[*uuid]))?;
    let removal = transaction.shared().and_then(|shared| shared.removal(uuid));
    if !matches!(vms.get(uuid), Some(XapiVm::Unknown)) || removal.as_ref() != seen {
        return Ok(false);
    }
    let _signals = HeldSignals::hold(host);
    transaction.write_to_xapi(removal.as_slice())?;
    let writing = host.store.write()?;
    writing.forget(uuid)?;
    writing.commit()?;
    Ok(true)
}
