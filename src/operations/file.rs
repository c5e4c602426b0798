//! The whole configuration, out to a file and in from one.

use std::collections::HashSet;

use super::Host;
use super::write_through::WriteThrough;
use crate::config_file::{ConfigFile, ConfigVm};
use crate::error::Error;
use crate::model::{VmSettings, VmUuid, fits_xapi_character};
use crate::reply::{ImportReply, PlannedChange, XapiOutcome};
use crate::store::{Filter, StoredVm, Writing};

/// The registered VMs as one file.
///
/// # Errors
/// The database cannot be read.
pub fn export(host: &Host) -> Result<ConfigFile, Error> {
    let mut vms = Vec::new();
    host.store.read().for_each_vm(Filter::default(), &mut |vm| {
        vms.push(ConfigVm {
            vm_uuid: vm.uuid,
            // A name that was typed into the database may hold what a file does not.
            vm_name: vm.name.map(|name| name.replace(|character| !fits_xapi_character(character), " ")),
            pool: vm.settings.pool,
            priority: vm.settings.priority,
            vm_id: Some(vm.settings.vm_id),
        });
        Ok::<(), Error>(())
    })?;
    Ok(ConfigFile::new(vms))
}

/// Makes the registered VMs those of a file: all of it, or nothing. VMs that the file does not name stay as they are, unless
/// `prune` asks for their removal. A dry run says what would be done and changes nothing.
///
/// # Errors
/// A `vm_id` is another VM's, or the database or XAPI fails; nothing has changed then.
pub fn import(host: &Host, file: &ConfigFile, prune: bool, dry_run: bool) -> Result<ImportReply, Error> {
    let mut xapi = WriteThrough::begin(host, dry_run)?;
    let writing = xapi.write_to_database()?;
    xapi.take_over(&writing)?;
    let before = all(&writing)?;
    if prune {
        let named: HashSet<_> = file.vm.iter().map(|vm| vm.vm_uuid).collect();
        for vm in before.iter().filter(|vm| !named.contains(&vm.uuid)) {
            writing.remove(&vm.uuid)?;
        }
    }
    free_numbers(&writing, file)?;
    // Those that say their number first: it may be the one that another would be given.
    let (numbered, others): (Vec<_>, Vec<_>) = file.vm.iter().partition(|vm| vm.vm_id.is_some());
    for vm in numbered.into_iter().chain(others) {
        put(&writing, vm)?;
    }
    let mut reply = ImportReply { dry_run, changes: plan(&before, &all(&writing)?), unchanged: 0, notes: Vec::new() };
    reply.unchanged = file.vm.len() - reply.changes.iter().filter(|change| change.to.is_some()).count();
    if !dry_run {
        apply(&mut xapi, &writing, &mut reply).inspect_err(|_| xapi.undo())?;
        writing.commit().inspect_err(|_| xapi.undo())?;
    }
    reply.notes.extend(
        xapi.away().map(|why| format!("{why}. Only the database was changed; each VM's next start tells XAPI.")),
    );
    Ok(reply)
}

fn all(writing: &Writing<'_>) -> Result<Vec<StoredVm>, Error> {
    let mut vms = Vec::new();
    writing.read().for_each_vm(Filter::default(), &mut |vm| {
        vms.push(vm);
        Ok::<(), Error>(())
    })?;
    Ok(vms)
}

/// Two VMs of the file may trade their numbers, so those that change are set free first.
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
    let settings_in = |vms: &[StoredVm], uuid: VmUuid| -> Option<VmSettings> {
        vms.iter().find(|vm| vm.uuid == uuid).map(|vm| vm.settings)
    };
    let removed = before.iter().filter(|vm| settings_in(after, vm.uuid).is_none());
    let change = |vm: &StoredVm| PlannedChange {
        vm_uuid: vm.uuid,
        vm_name: vm.name.clone(),
        from: settings_in(before, vm.uuid).map(Into::into),
        to: settings_in(after, vm.uuid).map(Into::into),
    };
    after.iter().chain(removed).map(change).filter(|change| change.from != change.to).collect()
}

/// Tells XAPI of all changes, once it is clear that none of them is refused for what it says.
fn apply(xapi: &mut WriteThrough<'_>, writing: &Writing<'_>, reply: &mut ImportReply) -> Result<(), Error> {
    let mut plans = Vec::new();
    for PlannedChange { vm_uuid, .. } in &reply.changes {
        let vm = xapi.look_up(vm_uuid)?;
        plans.push((*vm_uuid, xapi.plan(vm_uuid, writing.read().entry(vm_uuid)?.as_ref(), &vm)?));
    }
    for (vm_uuid, plan) in plans {
        match xapi.write(plan)? {
            XapiOutcome::Away => {}
            XapiOutcome::UnknownVm => {
                reply.notes.push(format!("XAPI knows no VM {vm_uuid} (yet)."));
                writing.mark_pushed(&vm_uuid, false)?;
            }
            XapiOutcome::Written | XapiOutcome::AlreadyRight => writing.mark_pushed(&vm_uuid, true)?,
        }
    }
    Ok(())
}
