//! Operations that change a VM's settings, written through to XAPI at once.
//!
//! The order is: local transaction open, XAPI written, commit. Where XAPI refuses, nothing has changed; where the commit
//! fails, XAPI's record is put back.

use super::{Caller, Host, VmSelector};
use crate::device_args::{self, PLATFORM_KEY};
use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};
use crate::reply::{ChangeReply, TakesEffect, VmReply, XapiOutcome};
use crate::store::{Registration, StoredVm, Writing};
use crate::xenapi::{Reference, Session, VmRecord, XapiError};

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
    let xapi = XapiVm::look_up(host, &uuid)?;
    match &xapi {
        XapiVm::Unknown if !request.force => return Err(Error::UnknownToXapi(uuid)),
        XapiVm::Known { record, .. } => refuse_what_never_starts(uuid, record)?,
        XapiVm::Unknown | XapiVm::Away(_) => {}
    }
    let writing = host.store.write()?;
    if writing.read().vm(&uuid)?.is_some() {
        return Err(Error::AlreadyRegistered(uuid));
    }
    refuse_number_of_another(&writing, &uuid, request.vm_id)?;
    let name = request.vm_name.as_deref().or(xapi.name());
    writing.insert(&uuid, name, request.pool, request.priority, request.vm_id)?;
    finish(host, writing, xapi, None, &uuid)
}

/// Changes a VM's GPU pool, priority or number.
///
/// # Errors
/// It is not registered, nothing to change was named, the number is another VM's, or the database or XAPI fails.
pub fn update_vm(host: &Host, vm: &VmSelector, change: &UpdateVm) -> Result<ChangeReply, Error> {
    if change.pool.is_none() && change.priority.is_none() && change.vm_id.is_none() {
        return Err(Error::NothingToChange);
    }
    let uuid = host.resolve(vm)?;
    registered(host.store.read().vm(&uuid)?, uuid)?;
    let xapi = XapiVm::look_up(host, &uuid)?;
    let writing = host.store.write()?;
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
    if let Some(name) = xapi.name() {
        writing.name_if_nameless(&uuid, name)?;
    }
    finish(host, writing, xapi, Some(before), &uuid)
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
pub fn remove_vm(host: &Host, vm: &VmSelector) -> Result<ChangeReply, Error> {
    let uuid = host.resolve(vm)?;
    registered(host.store.read().vm(&uuid)?, uuid)?;
    let xapi = XapiVm::look_up(host, &uuid)?;
    let writing = host.store.write()?;
    let before = registered(writing.read().vm(&uuid)?, uuid)?;
    writing.remove(&uuid)?;
    finish(host, writing, xapi, Some(before), &uuid)
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

/// A VM as XAPI has it, and the session to change it with.
enum XapiVm {
    Known { session: Session, vm: Reference, record: Box<VmRecord> },
    Unknown,
    Away(XapiError),
}

impl XapiVm {
    fn look_up(host: &Host, uuid: &VmUuid) -> Result<Self, Error> {
        let mut session = match host.connect_if_there()? {
            Ok(session) => session,
            Err(away) => return Ok(Self::Away(away)),
        };
        if let Caller::Session(_) = host.caller {
            session.prove_pool_operator()?;
        }
        match Self::ask(&mut session, uuid) {
            Ok(Some((vm, record))) => Ok(Self::Known { session, vm, record: Box::new(record) }),
            Ok(None) => Ok(Self::Unknown),
            Err(error) if error.is_away() && matches!(host.caller, Caller::Root) => Ok(Self::Away(error)),
            Err(error) => Err(error.into()),
        }
    }

    fn ask(session: &mut Session, uuid: &VmUuid) -> Result<Option<(Reference, VmRecord)>, XapiError> {
        let Some(vm) = session.vm_by_uuid(uuid)? else { return Ok(None) };
        let record = session.vm_record(&vm)?;
        Ok(Some((vm, record)))
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Known { record, .. } => Some(&record.name_label),
            Self::Unknown | Self::Away(_) => None,
        }
    }

    fn power_state(&self) -> Option<String> {
        match self {
            Self::Known { record, .. } => Some(record.power_state.clone()),
            Self::Unknown | Self::Away(_) => None,
        }
    }

    /// Writes what the settings want; says what was there before, to put it back.
    fn write(&mut self, host: &Host, vm: Option<&StoredVm>) -> Result<(XapiOutcome, Option<Undo>), Error> {
        let Self::Known { session, vm: reference, record } = self else {
            let outcome = if matches!(self, Self::Unknown) { XapiOutcome::UnknownVm } else { XapiOutcome::Away };
            return Ok((outcome, None));
        };
        let old = record.platform.get(PLATFORM_KEY).map(String::as_str);
        let new = device_args::desired(&host.settings.device, old, vm.map(|vm| &vm.settings))?;
        if old == new.as_deref() {
            return Ok((XapiOutcome::AlreadyRight, None));
        }
        session.set_platform_key(reference, PLATFORM_KEY, old, new.as_deref())?;
        Ok((XapiOutcome::Written, Some(Undo { old: old.map(str::to_owned), new })))
    }

    fn undo(&mut self, undo: &Undo) {
        let Self::Known { session, vm, .. } = self else { return };
        if let Err(error) = session.set_platform_key(vm, PLATFORM_KEY, undo.new.as_deref(), undo.old.as_deref()) {
            log::error!("platform:{PLATFORM_KEY} could not be put back to {:?}: {error}", undo.old);
        }
    }
}

/// What XAPI had, and what it has now.
struct Undo {
    old: Option<String>,
    new: Option<String>,
}

/// Writes a change through to XAPI, commits it, and says what was done.
fn finish(
    host: &Host,
    writing: Writing<'_>,
    mut xapi: XapiVm,
    before: Option<StoredVm>,
    uuid: &VmUuid,
) -> Result<ChangeReply, Error> {
    let after = writing.read().vm(uuid)?;
    let (outcome, undo) = xapi.write(host, after.as_ref())?;
    let committed = commit(writing, uuid, outcome);
    if let (Err(_), Some(undo)) = (&committed, &undo) {
        xapi.undo(undo);
    }
    let after = committed?;
    let changed = match (&before, &after) {
        (Some(before), Some(after)) => before.settings != after.settings,
        _ => true,
    };
    let vm = after.or(before).ok_or_else(|| Error::Internal(format!("VM {uuid} vanished")))?;
    let power_state = xapi.power_state();
    let takes_effect = changed.then_some(match power_state.as_deref() {
        Some("Halted") | None => TakesEffect::AtNextStart,
        Some(_) => TakesEffect::AtNextStartOrReboot,
    });
    let notes = notes(&xapi, &vm);
    let vm = VmReply::new(vm, &host.settings.device);
    log::info!("{}", log_line(&vm, changed, outcome));
    Ok(ChangeReply { changed, vm, xapi: outcome, power_state, takes_effect, notes })
}

fn commit(writing: Writing<'_>, uuid: &VmUuid, outcome: XapiOutcome) -> Result<Option<StoredVm>, Error> {
    if matches!(outcome, XapiOutcome::Written | XapiOutcome::AlreadyRight) {
        writing.mark_pushed(uuid)?;
    }
    let after = match writing.read().registration(uuid)? {
        Registration::Registered(vm) => Some(vm),
        Registration::Removed { .. } | Registration::Unknown => None,
    };
    writing.commit()?;
    Ok(after)
}

fn notes(xapi: &XapiVm, vm: &StoredVm) -> Vec<String> {
    match xapi {
        XapiVm::Known { .. } => Vec::new(),
        XapiVm::Unknown => vec![format!("XAPI knows no VM {}: see 'xe vm-list'.", vm.uuid)],
        XapiVm::Away(why) => vec![format!("{why}. Only the database was changed; the VM's next start tells XAPI.")],
    }
}

fn log_line(vm: &VmReply, changed: bool, outcome: XapiOutcome) -> String {
    let VmReply { vm_uuid, pool, priority, vm_id, .. } = vm;
    format!("VM {vm_uuid}: pool={pool} priority={priority} vm_id={vm_id} changed={changed} xapi={outcome:?}")
}
