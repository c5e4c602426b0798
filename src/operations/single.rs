//! Reads the settings of one VM at a time. What the VM runs with is not asked for, because that takes longer.

use std::ops::ControlFlow;

use super::Host;
use super::catch_up::Current;
use crate::error::Error;
use crate::model::{DeviceVmId, VmUuid};
use crate::reply::VmReply;
use crate::store::Filter;

/// A registered VM.
///
/// # Errors
/// It is not registered, or the database cannot be read.
pub fn show_settings(host: &Host, uuid: VmUuid) -> Result<VmReply, Error> {
    let current = Current::of(host)?;
    let vm = current.read().vm(&uuid)?.ok_or(Error::NotRegistered(uuid))?;
    Ok(VmReply { as_of: current.as_of, ..VmReply::new(vm, &host.settings.device) })
}

/// The registered VM whose device has a number.
///
/// # Errors
/// There is none, or the database cannot be read.
pub fn show_device(host: &Host, vm_id: DeviceVmId) -> Result<VmReply, Error> {
    let current = Current::of(host)?;
    let vm = current.read().vm_of_device(vm_id)?.ok_or(Error::NoSuchDevice(vm_id))?;
    Ok(VmReply { as_of: current.as_of, ..VmReply::new(vm, &host.settings.device) })
}

/// Calls `visit` for the registered VMs that match the filter, by UUID, until it breaks: however many there are, only a few are
/// in memory at a time.
///
/// # Errors
/// The database cannot be read, or `visit` fails.
pub fn visit_vms(
    host: &Host,
    filter: Filter,
    visit: &mut dyn FnMut(VmReply) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let current = Current::of(host)?;
    current.read().visit_vms(filter, &mut |vm| {
        visit(VmReply { as_of: current.as_of.clone(), ..VmReply::new(vm, &host.settings.device) })
    })
}
