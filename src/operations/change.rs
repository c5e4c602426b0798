//! Operations that change a VM's settings, written through to XAPI at once.
//!
//! The order is: local transaction open, XAPI written, commit. Where XAPI refuses, nothing has changed; where the commit
//! fails, XAPI's record is put back.

use super::write_through::{WriteThrough, XapiVm};
use super::{Host, VmSelector};
use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid, fits_xapi};
use crate::reply::{ChangeReply, TakesEffect, VmReply, XapiOutcome};
use crate::settings::Unregistered;
use crate::store::{StoredVm, Writing};
use crate::xenapi::VmRecord;

/// A VM to register.
#[derive(Debug, Clone)]
pub struct RegisterVm {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name; XAPI's where it is left out.
    pub vm_name: Option<String>,
    /// Its GPU pool.
    pub pool: PoolId,
    /// Its priority.
    pub priority: Priority,
    /// The device's number for it; derived from the UUID where it is left out.
    pub vm_id: Option<DeviceVmId>,
    /// Register it although XAPI does not know it.
    pub force: bool,
}

/// What to change; what is left out stays.
#[derive(Debug, Clone, Copy, Default)]
pub struct UpdateVm {
    /// The GPU pool.
    pub pool: Option<PoolId>,
    /// The priority.
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
    let mut xapi = WriteThrough::begin(host, false)?;
    let writing = xapi.write_to_database()?;
    let vm = xapi.look_up(&uuid)?;
    match &vm {
        XapiVm::Unknown if !request.force => return Err(Error::UnknownToXapi(uuid)),
        XapiVm::Known { record, .. } => refuse_what_never_starts(uuid, record)?,
        XapiVm::Unknown | XapiVm::Away => {}
    }
    xapi.take_over(&writing)?;
    if writing.read().vm(&uuid)?.is_some() {
        return Err(Error::AlreadyRegistered(uuid));
    }
    refuse_number_of_another(&writing, &uuid, request.vm_id)?;
    let name = request.vm_name.as_deref().or(vm.name());
    writing.insert(&uuid, name, request.pool, request.priority, request.vm_id)?;
    finish(host, writing, xapi, &vm, None, &uuid)
}

/// Changes a VM's GPU pool, priority or number.
///
/// # Errors
/// It is not registered, nothing to change was named, the number is another VM's, or the database or XAPI fails.
pub fn update_vm(host: &Host, selector: &VmSelector, change: &UpdateVm) -> Result<ChangeReply, Error> {
    if change.pool.is_none() && change.priority.is_none() && change.vm_id.is_none() {
        return Err(Error::NothingToChange);
    }
    let uuid = host.resolve(selector)?;
    let mut xapi = WriteThrough::begin(host, false)?;
    let writing = xapi.write_to_database()?;
    let vm = xapi.look_up(&uuid)?;
    xapi.take_over(&writing)?;
    let before = registered(writing.read().vm(&uuid)?, uuid)?;
    refuse_number_of_another(&writing, &uuid, change.vm_id)?;
    writing.set_pool_and_priority(
        &uuid,
        change.pool.unwrap_or(before.settings.pool),
        change.priority.unwrap_or(before.settings.priority),
    )?;
    if let Some(vm_id) = change.vm_id {
        writing.set_number(&uuid, vm_id)?;
    }
    if let Some(name) = vm.name() {
        writing.name_if_nameless(&uuid, name)?;
    }
    finish(host, writing, xapi, &vm, Some(before), &uuid)
}

/// Moves a VM to another GPU pool.
///
/// # Errors
/// As [`update_vm`].
pub fn set_pool(host: &Host, vm: &VmSelector, pool: PoolId) -> Result<ChangeReply, Error> {
    update_vm(host, vm, &UpdateVm { pool: Some(pool), ..UpdateVm::default() })
}

/// Gives a VM another priority.
///
/// # Errors
/// As [`update_vm`].
pub fn set_priority(host: &Host, vm: &VmSelector, priority: Priority) -> Result<ChangeReply, Error> {
    update_vm(host, vm, &UpdateVm { priority: Some(priority), ..UpdateVm::default() })
}

/// Removes a VM's settings, and our argument from its record in XAPI.
///
/// # Errors
/// It is not registered, or the database or XAPI fails.
pub fn remove_vm(host: &Host, selector: &VmSelector) -> Result<ChangeReply, Error> {
    let uuid = host.resolve(selector)?;
    let mut xapi = WriteThrough::begin(host, false)?;
    let writing = xapi.write_to_database()?;
    let vm = xapi.look_up(&uuid)?;
    xapi.take_over(&writing)?;
    let before = registered(writing.read().vm(&uuid)?, uuid)?;
    writing.remove(&uuid)?;
    finish(host, writing, xapi, &vm, Some(before), &uuid)
}

fn registered(vm: Option<StoredVm>, uuid: VmUuid) -> Result<StoredVm, Error> {
    vm.ok_or(Error::NotRegistered(uuid))
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

/// Writes a change through to XAPI, commits it, and says what was done.
fn finish(
    host: &Host,
    writing: Writing<'_>,
    mut xapi: WriteThrough<'_>,
    xapi_vm: &XapiVm,
    before: Option<StoredVm>,
    uuid: &VmUuid,
) -> Result<ChangeReply, Error> {
    let plan = xapi.plan(uuid, writing.read().entry(uuid)?.as_ref(), xapi_vm)?;
    // The database is held until what was written is taken back, so that nothing on this host believes it meanwhile.
    let outcome = xapi.write(plan).inspect_err(|_| xapi.undo())?;
    let after = commit(writing, outcome, uuid).inspect_err(|_| xapi.undo())?;
    let changed = match (&before, &after) {
        (Some(before), Some(after)) => before.settings != after.settings,
        _ => true,
    };
    let mut notes = notes(&xapi, xapi_vm, uuid);
    if after.is_some() && xapi_vm.is_template() {
        notes.push(note_on_template(host.settings.unregistered).to_owned());
    }
    let vm = after.or(before).ok_or_else(|| Error::Internal(format!("VM {uuid} vanished")))?;
    let takes_effect = (changed && !xapi_vm.is_template()).then_some(match xapi_vm.power_state() {
        Some("Halted") | None => TakesEffect::AtNextStart,
        Some(_) => TakesEffect::AtNextStartOrReboot,
    });
    let vm = VmReply::new(vm, &host.settings.device);
    log::info!("{}", log_line(&vm, changed, outcome));
    let power_state = xapi_vm.power_state().map(str::to_owned);
    Ok(ChangeReply { changed, vm, xapi: outcome, power_state, takes_effect, notes })
}

/// Notes that XAPI was told, where it was, and commits; answers the VM as it is then.
fn commit(writing: Writing<'_>, outcome: XapiOutcome, uuid: &VmUuid) -> Result<Option<StoredVm>, Error> {
    if outcome != XapiOutcome::Away {
        writing.mark_pushed(uuid, outcome != XapiOutcome::UnknownVm)?;
    }
    let after = writing.read().vm(uuid)?;
    writing.commit()?;
    Ok(after)
}

fn notes(xapi: &WriteThrough<'_>, vm: &XapiVm, uuid: &VmUuid) -> Vec<String> {
    match (vm, xapi.away()) {
        (XapiVm::Unknown, _) => vec![format!("XAPI knows no VM {uuid}: see 'xe vm-list'.")],
        (_, Some(why)) => vec![format!("{why}. Only the database was changed; the VM's next start tells XAPI.")],
        (_, None) => Vec::new(),
    }
}

fn note_on_template(unregistered: Unregistered) -> &'static str {
    match unregistered {
        Unregistered::Ignore => {
            "This is a template, which never starts. VMs made from it get no vGPU: register each of them, or set \
             unregistered = \"inherit\" in vgpu.toml."
        }
        Unregistered::Default => {
            "This is a template, which never starts. VMs made from it are registered at their first start with the defaults of \
             vgpu.toml, not with its settings."
        }
        Unregistered::Inherit => {
            "This is a template, which never starts. VMs made from it are registered at their first start with its settings."
        }
    }
}

fn log_line(vm: &VmReply, changed: bool, outcome: XapiOutcome) -> String {
    let VmReply { vm_uuid, pool, priority, vm_id, .. } = vm;
    format!("VM {vm_uuid}: pool={pool} priority={priority} vm_id={vm_id} changed={changed} xapi={outcome:?}")
}
