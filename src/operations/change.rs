//! Operations that change a VM's settings, and write them to XAPI at once.

use std::cell::Cell;

use super::Host;
use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid, fits_xapi};
use crate::reply::{ChangeReply, TakesEffect, VmReply, XapiOutcome};
use crate::settings::Unregistered;
use crate::store::{StoredVm, Writing};
use crate::transaction::{Changed, Transaction};
use crate::xenapi::{VmRecord, XapiVm};

#[derive(Debug, Clone)]
pub struct RegisterVm {
    pub vm_uuid: VmUuid,
    /// For a VM that XAPI does not know yet, or if XAPI is away.
    pub vm_name: Option<String>,
    pub pool: PoolId,
    pub priority: Priority,
    /// The device's number for it; derived from the UUID if it is left out.
    pub vm_id: Option<DeviceVmId>,
    /// Register it even if XAPI does not know it.
    pub force: bool,
}

/// What to change; what is left out stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpdateVm {
    pub pool: Option<PoolId>,
    pub priority: Option<Priority>,
    /// The device's number for the VM.
    pub vm_id: Option<DeviceVmId>,
}

/// Registers a VM: from its next start on, its QEMU gets our device.
///
/// # Errors
/// It is registered already, XAPI does not know it, the number is another VM's, or the database or XAPI fails.
pub fn register_vm(host: &Host, request: &RegisterVm) -> Result<ChangeReply, Error> {
    let uuid = request.vm_uuid;
    if let Some(name) = request.vm_name.as_ref().filter(|name| !fits_xapi(name)) {
        let (name, value) = ("vm_name".to_owned(), name.escape_debug().to_string());
        return Err(Error::InvalidParam { name, value, expected: "a name without control characters".to_owned() });
    }
    let in_xapi = Cell::new(None);
    let mut reply = change(host, uuid, &|writing, vm| {
        match vm {
            XapiVm::Unknown if !request.force => return Err(Error::UnknownToXapi(uuid)),
            XapiVm::Known { record, .. } => refuse_what_never_starts(uuid, record)?,
            XapiVm::Unknown | XapiVm::Away => {}
        }
        if writing.read().vm(&uuid)?.is_some() {
            return Err(Error::AlreadyRegistered(uuid));
        }
        refuse_number_of_another(writing, &uuid, request.vm_id)?;
        let name = vm.name().or(request.vm_name.as_deref());
        writing.insert(&uuid, name, request.pool, request.priority, request.vm_id)?;
        in_xapi.set(vm.name().map(str::to_owned));
        Ok(None)
    })?;
    reply.notes.extend(note_on_name(request.vm_name.as_deref(), in_xapi.take().as_deref()));
    Ok(reply)
}

/// Changes a VM's GPU pool, priority or number.
///
/// # Errors
/// It is not registered, no change was given, the number is another VM's, or the database or XAPI fails.
pub fn update_vm(host: &Host, uuid: VmUuid, update: &UpdateVm) -> Result<ChangeReply, Error> {
    if update.pool.is_none() && update.priority.is_none() && update.vm_id.is_none() {
        return Err(Error::NothingToChange);
    }
    change(host, uuid, &|writing, vm| {
        let before = registered(writing.read().vm(&uuid)?, uuid)?;
        refresh_name(writing, &uuid, vm)?;
        refuse_number_of_another(writing, &uuid, update.vm_id)?;
        writing.set_pool_and_priority(
            &uuid,
            update.pool.unwrap_or(before.settings.pool),
            update.priority.unwrap_or(before.settings.priority),
        )?;
        if let Some(vm_id) = update.vm_id {
            writing.set_number(&uuid, vm_id)?;
        }
        Ok(Some(before))
    })
}

/// Moves a VM to another GPU pool.
///
/// # Errors
/// As [`update_vm`].
pub fn set_pool(host: &Host, uuid: VmUuid, pool: PoolId) -> Result<ChangeReply, Error> {
    update_vm(host, uuid, &UpdateVm { pool: Some(pool), ..UpdateVm::default() })
}

/// Gives a VM another priority.
///
/// # Errors
/// As [`update_vm`].
pub fn set_priority(host: &Host, uuid: VmUuid, priority: Priority) -> Result<ChangeReply, Error> {
    update_vm(host, uuid, &UpdateVm { priority: Some(priority), ..UpdateVm::default() })
}

/// Removes a VM's settings, and our argument from its record in XAPI.
///
/// # Errors
/// It is not registered, or the database or XAPI fails.
pub fn remove_vm(host: &Host, uuid: VmUuid) -> Result<ChangeReply, Error> {
    change(host, uuid, &|writing, vm| {
        refresh_name(writing, &uuid, vm)?;
        let before = registered(writing.read().vm(&uuid)?, uuid)?;
        writing.remove(&uuid)?;
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
type ChangeOfVm<'c> = dyn Fn(&Writing<'_>, &XapiVm) -> Result<Option<StoredVm>, Error> + 'c;

/// Changes one VM, and reports what was done.
fn change(host: &Host, uuid: VmUuid, change: &ChangeOfVm<'_>) -> Result<ChangeReply, Error> {
    let mut transaction = Transaction::begin(host, false)?;
    let Changed { value: (before, after), told, vms } = transaction.change(&[uuid], true, &|writing, vms| {
        let before = change(writing, vms.get(&uuid).unwrap_or(&XapiVm::Away))?;
        Ok((before, writing.read().vm(&uuid)?))
    })?;
    let outcome = told.first().map_or(XapiOutcome::Away, |(_, outcome)| *outcome);
    let vm = vms.get(&uuid).unwrap_or(&XapiVm::Away);
    let changed = match (&before, &after) {
        (Some(before), Some(after)) => before.settings != after.settings,
        _ => true,
    };
    let mut notes = notes(&transaction, vm, &uuid);
    if after.is_some() && vm.is_template() {
        notes.push(note_on_template(host.settings.unregistered).to_owned());
    }
    let takes_effect = (changed && !vm.is_template()).then_some(match vm.power_state() {
        Some("Halted") | None => TakesEffect::AtNextStart,
        Some(_) => TakesEffect::AtNextStartOrReboot,
    });
    let stored = match after {
        // Read again: it now says that XAPI was told.
        Some(_) => host.store.read().vm(&uuid).ok().flatten().or(after),
        None => before,
    };
    let stored = stored.ok_or_else(|| Error::Internal(format!("VM {uuid} has disappeared")))?;
    let vm_reply = VmReply::new(stored, &host.settings.device);
    log::info!("{}", log_line(&vm_reply, changed, outcome));
    let power_state = vm.power_state().map(str::to_owned);
    Ok(ChangeReply { changed, vm: vm_reply, xapi: outcome, power_state, takes_effect, notes })
}

fn notes(transaction: &Transaction<'_>, vm: &XapiVm, uuid: &VmUuid) -> Vec<String> {
    match (vm, transaction.away()) {
        (XapiVm::Unknown, _) => vec![format!("XAPI does not know VM {uuid}: see 'xe vm-list'.")],
        (_, Some(why)) => {
            vec![format!("{why}. Only the database was changed; XAPI is updated at the VM's next start.")]
        }
        (_, None) => Vec::new(),
    }
}

fn note_on_name(given: Option<&str>, in_xapi: Option<&str>) -> Option<String> {
    let (given, in_xapi) = (given?, in_xapi?);
    (given != in_xapi).then(|| format!("The name in XAPI is '{in_xapi}', so '{given}' was not used."))
}

fn note_on_template(unregistered: Unregistered) -> &'static str {
    match unregistered {
        Unregistered::Ignore => {
            "This is a template, which never starts. VMs created from it get no vGPU: register each of them, or set \
             unregistered = \"inherit\" in vgpu.toml."
        }
        Unregistered::Default => {
            "This is a template, which never starts. VMs created from it are registered with the defaults of vgpu.toml at their \
             first start, not with its settings."
        }
        Unregistered::Inherit => {
            "This is a template, which never starts. VMs created from it are registered with its settings at their first start."
        }
    }
}

fn log_line(vm: &VmReply, changed: bool, outcome: XapiOutcome) -> String {
    let VmReply { vm_uuid, pool, priority, vm_id, .. } = vm;
    format!("VM {vm_uuid}: pool={pool} priority={priority} vm_id={vm_id} changed={changed} xapi={outcome:?}")
}
