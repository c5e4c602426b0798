//! Operations that change VMs' settings, and write them to XAPI at once: those of all VMs of a request, or of none.

use super::Host;
use super::changed::replies;
use crate::error::Error;
use crate::limits::Room;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid, fits_xapi};
use crate::reply::{ChangeReply, XapiOutcome};
use crate::settings::Defaults;
use crate::store::{StoredVm, Writing};
use crate::transaction::{Scope, Transaction, Vms};
use crate::xenapi::{VmRecord, XapiVm};

#[derive(Debug, Clone)]
pub struct RegisterVm {
    pub vm_uuid: VmUuid,
    /// For a VM that XAPI does not know yet, or if XAPI is away.
    pub vm_name: Option<String>,
    /// The settings that are given. The settings file has the defaults of the others, and the number is derived from the UUID.
    pub given: UpdateVm,
    /// If it is registered already, change what is given.
    pub if_needed: bool,
}

/// What to change; what is left out stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpdateVm {
    pub pool: Option<PoolId>,
    pub priority: Option<Priority>,
    /// The device's number for the VM.
    pub vm_id: Option<DeviceVmId>,
    /// For root: beyond the limit of the GPU pool. At a registration also if XAPI does not know the VM.
    pub force: bool,
}

/// Registers VMs: from its next start on, the QEMU of each gets our device. A dry run says what would be done and changes
/// nothing.
///
/// # Errors
/// A VM is registered already and that was not allowed for, XAPI does not know it, its number is another VM's, the GPU pool is full,
/// or the database or XAPI fails.
pub fn register_vms(host: &Host, requests: &[RegisterVm], dry_run: bool) -> Result<Vec<ChangeReply>, Error> {
    let mut names = requests.iter().filter_map(|request| request.vm_name.as_ref());
    if let Some(name) = names.find(|name| !fits_xapi(name)) {
        let (name, value) = ("vm_name".to_owned(), name.escape_debug().to_string());
        return Err(Error::InvalidParam { name, value, expected: "a name without control characters".to_owned() });
    }
    let uuids: Vec<_> = requests.iter().map(|request| request.vm_uuid).collect();
    let forced = requests.iter().any(|request| request.given.force);
    let mut replies = change(host, &uuids, forced, dry_run, &|writing, uuid, vm| {
        let request = requests.iter().find(|request| request.vm_uuid == *uuid);
        let request = request.ok_or_else(|| Error::Internal(format!("VM {uuid} was not asked for")))?;
        match writing.read().vm(uuid)? {
            Some(before) if request.if_needed => update(writing, before, &request.given, vm).map(Some),
            _ => register(writing, request, host.settings.defaults, vm).map(|()| None),
        }
    })?;
    for (request, reply) in requests.iter().zip(&mut replies) {
        reply.notes.extend(note_on_name(request.vm_name.as_deref(), reply));
    }
    Ok(replies)
}

fn register(writing: &Writing<'_>, request: &RegisterVm, defaults: Defaults, vm: &XapiVm) -> Result<(), Error> {
    let (uuid, given) = (request.vm_uuid, request.given);
    match vm {
        XapiVm::Unknown if !request.given.force => return Err(Error::UnknownToXapi(uuid)),
        XapiVm::Known { record, .. } => refuse_what_never_starts(uuid, record)?,
        XapiVm::Unknown | XapiVm::Away => {}
    }
    if writing.read().vm(&uuid)?.is_some() {
        return Err(Error::AlreadyRegistered(uuid));
    }
    refuse_number_of_another(writing, &uuid, given.vm_id)?;
    let name = vm.name().or(request.vm_name.as_deref());
    let (pool, priority) = (given.pool.unwrap_or(defaults.pool), given.priority.unwrap_or(defaults.priority));
    writing.insert(&uuid, name, pool, priority, given.vm_id)?;
    Ok(())
}

/// Changes VMs' GPU pool, priority or number.
///
/// # Errors
/// A VM is not registered, no change was given, the number is another VM's, the GPU pool is full (unless root forces it), or the
/// database or XAPI fails.
pub fn update_vms(host: &Host, uuids: &[VmUuid], given: &UpdateVm, dry_run: bool) -> Result<Vec<ChangeReply>, Error> {
    if given.pool.is_none() && given.priority.is_none() && given.vm_id.is_none() {
        return Err(Error::NothingToChange);
    }
    change(host, uuids, given.force, dry_run, &|writing, uuid, vm| {
        let before = registered(writing.read().vm(uuid)?, *uuid)?;
        update(writing, before, given, vm).map(Some)
    })
}

/// Returns the VM as it was before.
fn update(writing: &Writing<'_>, before: StoredVm, given: &UpdateVm, vm: &XapiVm) -> Result<StoredVm, Error> {
    let uuid = &before.uuid;
    refresh_name(writing, uuid, vm)?;
    refuse_number_of_another(writing, uuid, given.vm_id)?;
    let settings = before.settings;
    let (pool, priority) = (given.pool.unwrap_or(settings.pool), given.priority.unwrap_or(settings.priority));
    writing.set_pool_and_priority(uuid, pool, priority)?;
    if let Some(vm_id) = given.vm_id {
        writing.set_number(uuid, vm_id)?;
    }
    Ok(before)
}

/// Removes VMs' settings, and our argument from their records in XAPI.
///
/// # Errors
/// A VM is not registered, or the database or XAPI fails.
pub fn remove_vms(host: &Host, uuids: &[VmUuid], dry_run: bool) -> Result<Vec<ChangeReply>, Error> {
    change(host, uuids, false, dry_run, &|writing, uuid, vm| {
        refresh_name(writing, uuid, vm)?;
        let before = registered(writing.read().vm(uuid)?, *uuid)?;
        writing.remove(uuid)?;
        Ok(Some(before))
    })
}

fn registered(vm: Option<StoredVm>, uuid: VmUuid) -> Result<StoredVm, Error> {
    vm.ok_or(Error::NotRegistered(uuid))
}

/// Stores the VM's name as XAPI has it.
fn refresh_name(writing: &Writing<'_>, uuid: &VmUuid, vm: &XapiVm) -> Result<(), Error> {
    match vm.name() {
        Some(name) => Ok(writing.set_name(uuid, name)?),
        None => Ok(()),
    }
}

fn refuse_what_never_starts(vm_uuid: VmUuid, record: &VmRecord) -> Result<(), Error> {
    match record {
        VmRecord { is_control_domain: true, .. } => Err(Error::NotAVm { vm_uuid, what: "dom0 itself" }),
        VmRecord { is_a_snapshot: true, .. } => Err(Error::NotAVm { vm_uuid, what: "a snapshot" }),
        _ => Ok(()),
    }
}

fn refuse_number_of_another(writing: &Writing<'_>, uuid: &VmUuid, vm_id: Option<DeviceVmId>) -> Result<(), Error> {
    let Some(vm_id) = vm_id else { return Ok(()) };
    match writing.read().owner_of(vm_id)? {
        Some(owner) if owner != *uuid => Err(Error::DeviceVmIdTaken { vm_id, owner }),
        _ => Ok(()),
    }
}

/// A change of one VM. It is given the VM as XAPI has it, and returns the VM as it was before.
type ChangeOfVm<'c> = dyn Fn(&Writing<'_>, &VmUuid, &XapiVm) -> Result<Option<StoredVm>, Error> + 'c;

/// Changes VMs in one transaction, and reports what was done with each.
fn change(
    host: &Host,
    uuids: &[VmUuid],
    force: bool,
    dry_run: bool,
    change: &ChangeOfVm<'_>,
) -> Result<Vec<ChangeReply>, Error> {
    let mut transaction = Transaction::begin(host, dry_run)?;
    let may_overfill = force && transaction.is_roots()?;
    let change_each = |writing: &Writing<'_>, vms: &Vms| {
        let room = Room::before(writing)?;
        let change = |uuid: &VmUuid| {
            let before = change(writing, uuid, vms.get(uuid).unwrap_or(&XapiVm::Away))?;
            Ok((before, writing.read().vm(uuid)?))
        };
        let changed = uuids.iter().map(change).collect::<Result<Vec<_>, Error>>()?;
        if !may_overfill {
            room.refuse_overflow(writing)?;
        }
        Ok(changed)
    };
    let changed = transaction.change_or_rehearse(Scope::vms(uuids), dry_run, &change_each)?;
    replies(host, uuids, changed, transaction.away(), dry_run)
}

fn note_on_name(given: Option<&str>, reply: &ChangeReply) -> Option<String> {
    let knows_it = matches!(reply.xapi, XapiOutcome::Written | XapiOutcome::AlreadyRight);
    let (given, in_xapi) = (given?, reply.vm.vm_name.as_deref().filter(|_| knows_it)?);
    (given != in_xapi).then(|| format!("The name in XAPI is '{in_xapi}', so '{given}' was not used."))
}
