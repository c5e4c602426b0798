//! Exports the whole configuration to a file, and imports it from one.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Host;
use super::catch_up::Current;
use super::changed::only_the_database;
use super::gpu_file::{self, GpuChanges};
use crate::config_file::{ConfigFile, ConfigVm};
use crate::error::Error;
use crate::limits::Room;
use crate::model::{VmSettings, VmUuid, fits_xapi_character};
use crate::reply::{ImportReply, PlannedChange, XapiOutcome};
use crate::store::{Filter, Reading, StoredVm, Writing};
use crate::transaction::{Changed, Scope, Told, Transaction};

/// How a file is imported.
#[derive(Debug, Clone, Copy, Default)]
pub struct Importing {
    /// Remove the VMs that are not in the file.
    pub prune: bool,
    /// For root: beyond the limits of the GPU pools.
    pub force: bool,
    /// Change nothing.
    pub dry_run: bool,
}

/// The registered VMs, GPU pools and GPUs as one file.
///
/// # Errors
/// The database cannot be read.
pub fn export(host: &Host) -> Result<ConfigFile, Error> {
    let current = Current::of(host)?;
    let mut vms = Vec::new();
    current.read().for_each_vm(Filter::default(), &mut |vm| {
        vms.push(ConfigVm {
            vm_uuid: vm.uuid,
            // A name that was typed into the database may have characters that a file must not have.
            vm_name: vm.name.map(|name| name.replace(|character| !fits_xapi_character(character), " ")),
            pool: vm.settings.pool,
            priority: vm.settings.priority,
            vm_id: Some(vm.settings.vm_id),
        });
        Ok::<(), Error>(())
    })?;
    let mut file = ConfigFile::new(vms);
    gpu_file::add_gpu_pools(&mut file, current.read())?;
    file.as_of = current.as_of;
    Ok(file)
}

/// Changes the registered VMs, GPU pools and GPUs to those of a file: all of it, or nothing. What the file does not name stays as
/// it is, unless `prune` asks for the removal of VMs. A dry run says what would be done and changes nothing.
///
/// # Errors
/// A `vm_id` is another VM's, a GPU pool is full, or the database or XAPI fails; nothing has changed then.
pub fn import(host: &Host, file: &ConfigFile, importing: Importing) -> Result<ImportReply, Error> {
    let Importing { prune, dry_run, .. } = importing;
    if prune {
        refuse_file_that_may_lack_vms(file)?;
    }
    let mut transaction = Transaction::begin(host, dry_run)?;
    let ((changes, (gpu_pools, gpus)), told) = carry_out(host, &mut transaction, file, importing)?;
    let unchanged = file.vm.len() - changes.iter().filter(|change| change.to.is_some()).count();
    let unknown = told.iter().filter(|(_, outcome)| *outcome == XapiOutcome::UnknownVm);
    let mut notes: Vec<_> = unknown.map(|(vm_uuid, _)| format!("XAPI does not know VM {vm_uuid} (yet).")).collect();
    notes.extend(transaction.away().map(|why| {
        let only = only_the_database(why, dry_run);
        format!("{only}; XAPI is updated at each VM's next start, and by 'vgpu-admin sync', GPU pools included.")
    }));
    notes.extend(gpu_file::notes(&mut transaction, file));
    Ok(ImportReply { dry_run, changes, unchanged, gpu_pools, gpus, notes })
}

/// What an import changes.
type Imported = (Vec<PlannedChange>, GpuChanges);

fn carry_out(
    host: &Host,
    transaction: &mut Transaction<'_>,
    file: &ConfigFile,
    Importing { prune, force, dry_run }: Importing,
) -> Result<(Imported, Told), Error> {
    let may_overfill = force && transaction.is_roots()?;
    if dry_run {
        transaction.read_shared()?;
        let copy = host.store.copy_in_memory()?;
        transaction.take_over_into(&copy, dry_run)?;
        return Ok((put_everything(&copy.write()?, file, may_overfill, &|_| prune)?, Vec::new()));
    }
    if prune {
        // A VM that only another host has heard of is removed too.
        transaction.read_shared()?;
        transaction.take_over_into(&host.store, dry_run)?;
    }
    let vms = concerned(host, file, prune)?;
    // A VM that is registered after this is left alone: it is not locked.
    let locked: HashSet<_> = vms.iter().copied().collect();
    let scope = Scope { vms: &vms, gpu_pools: !file.gpu_pool.is_empty() || !file.gpu.is_empty() };
    let Changed { value, told, .. } = transaction.change(scope, false, &|writing, vms| {
        let changes = put_everything(writing, file, may_overfill, &|uuid| prune && locked.contains(uuid))?;
        for (uuid, vm) in vms {
            if let Some(name) = vm.name() {
                writing.set_name(uuid, name)?;
            }
        }
        Ok(changes)
    })?;
    Ok((value, told))
}

/// The GPU pools first: a limit of the file counts for its VMs.
fn put_everything(
    writing: &Writing<'_>,
    file: &ConfigFile,
    may_overfill: bool,
    may_be_removed: &dyn Fn(&VmUuid) -> bool,
) -> Result<Imported, Error> {
    let gpu_changes = gpu_file::put(writing, file)?;
    let room = Room::before(writing)?;
    let changes = put_all(writing, file, may_be_removed)?;
    if !may_overfill {
        room.refuse_overflow(writing)?;
    }
    Ok((changes, gpu_changes))
}

fn refuse_file_that_may_lack_vms(file: &ConfigFile) -> Result<(), Error> {
    let Some(as_of) = &file.as_of else { return Ok(()) };
    Err(Error::InvalidParam {
        name: "prune".to_owned(),
        value: "true".to_owned(),
        expected: format!(
            "a file that was written while XAPI answered: this one lacks what was registered on other hosts (as_of = \
             \"{as_of}\"); export again, or remove as_of from the file"
        ),
    })
}

/// The VMs that an import may change: those of the file and, if others are removed, all registered ones.
fn concerned(host: &Host, file: &ConfigFile, prune: bool) -> Result<Vec<VmUuid>, Error> {
    let mut vms: BTreeSet<_> = file.vm.iter().map(|vm| vm.vm_uuid).collect();
    if prune {
        vms.extend(all(host.store.read())?.into_iter().map(|vm| vm.uuid));
    }
    Ok(vms.into_iter().collect())
}

/// Changes the registered VMs to those of the file, and returns what that changes. A VM that the file does not name is
/// removed if `may_be_removed` says so.
fn put_all(
    writing: &Writing<'_>,
    file: &ConfigFile,
    may_be_removed: &dyn Fn(&VmUuid) -> bool,
) -> Result<Vec<PlannedChange>, Error> {
    let before = all(writing.read())?;
    let named: HashSet<_> = file.vm.iter().map(|vm| vm.vm_uuid).collect();
    for vm in before.iter().filter(|vm| !named.contains(&vm.uuid) && may_be_removed(&vm.uuid)) {
        writing.remove(&vm.uuid)?;
    }
    free_numbers(writing, file)?;
    // VMs with a number first: another VM might be given that number.
    let (numbered, others): (Vec<_>, Vec<_>) = file.vm.iter().partition(|vm| vm.vm_id.is_some());
    for vm in numbered.into_iter().chain(others) {
        put(writing, vm)?;
    }
    Ok(plan(&before, &all(writing.read())?))
}

fn all(read: Reading<'_>) -> Result<Vec<StoredVm>, Error> {
    let mut vms = Vec::new();
    read.for_each_vm(Filter::default(), &mut |vm| {
        vms.push(vm);
        Ok::<(), Error>(())
    })?;
    Ok(vms)
}

/// Frees the numbers that change, because two VMs of the file may swap theirs.
fn free_numbers(writing: &Writing<'_>, file: &ConfigFile) -> Result<(), Error> {
    let named: HashSet<_> = file.vm.iter().map(|vm| vm.vm_uuid).collect();
    for vm in &file.vm {
        let Some(vm_id) = vm.vm_id else { continue };
        match writing.read().owner_of(vm_id)? {
            Some(owner) if owner == vm.vm_uuid => {}
            Some(owner) if named.contains(&owner) => writing.park_number(&owner)?,
            Some(owner) => return Err(Error::DeviceVmIdTaken { vm_id, owner }),
            None => {}
        }
    }
    Ok(())
}

fn put(writing: &Writing<'_>, vm: &ConfigVm) -> Result<(), Error> {
    let uuid = &vm.vm_uuid;
    if writing.read().vm(uuid)?.is_none() {
        writing.insert(uuid, vm.vm_name.as_deref(), vm.pool, vm.priority, vm.vm_id)?;
        return Ok(());
    }
    writing.set_pool_and_priority(uuid, vm.pool, vm.priority)?;
    match vm.vm_id {
        Some(vm_id) => writing.set_number(uuid, vm_id)?,
        None => writing.complete(uuid)?,
    }
    if let Some(name) = &vm.vm_name {
        writing.set_name(uuid, name)?;
    }
    Ok(())
}

fn plan(before: &[StoredVm], after: &[StoredVm]) -> Vec<PlannedChange> {
    let by_uuid =
        |vms: &[StoredVm]| -> HashMap<VmUuid, VmSettings> { vms.iter().map(|vm| (vm.uuid, vm.settings)).collect() };
    let (old, new) = (by_uuid(before), by_uuid(after));
    let removed = before.iter().filter(|vm| !new.contains_key(&vm.uuid));
    let change = |vm: &StoredVm| PlannedChange {
        vm_uuid: vm.uuid,
        vm_name: vm.name.clone(),
        from: old.get(&vm.uuid).copied().map(Into::into),
        to: new.get(&vm.uuid).copied().map(Into::into),
    };
    after.iter().chain(removed).map(change).filter(|change| change.from != change.to).collect()
}
