//! Whether the registered VMs that run on this host run with their settings.

use super::{DATABASE_TIMEOUT, InXapi};
use crate::device_args;
use crate::error::Error;
use crate::model::VmSettings;
use crate::operations::boot;
use crate::operations::guests::kind_without_qemu;
use crate::operations::running::read_vm;
use crate::paths::Root;
use crate::qemu::Qemus;
use crate::reply::{RunningState, RunningVm};
use crate::settings::DeviceName;
use crate::store::Store;
use crate::xenapi::VmRecord;

/// A VM whose settings were changed since it was started is fine: it gets them at its next start. One whose QEMU does not have
/// what this boot was given is not.
pub(super) fn have_their_settings(root: &Root, device: &DeviceName, in_xapi: &InXapi) -> Result<String, String> {
    let running = registered(root, device, in_xapi).map_err(|error| error.to_string())?;
    let total = running.len();
    let is_as_configured = |(running, wanted): &(RunningVm, VmSettings)| running.is_as_configured(Some(*wanted));
    if let Some((running, _)) = running.iter().find(|running| is_as_configured(running).is_none()) {
        let RunningVm { vm_uuid, vm_name, domid, .. } = running;
        let why = running.why.clone().unwrap_or_else(|| format!("there is no process qemu-dm-{domid}"));
        return Err(format!("it is not known what VM {vm_uuid} ({vm_name}) runs with: {why}"));
    }
    let lacking: Vec<_> = running.iter().filter(|running| is_as_configured(running) == Some(false)).collect();
    match (lost(root, device, &lacking)?.as_slice(), lacking.len(), total) {
        ([], 0, 0) => Ok("no registered VM runs on this host".to_owned()),
        ([], 0, 1) => Ok("the one registered VM that runs on this host has its settings".to_owned()),
        ([], 0, total) => Ok(format!("all {total} registered VMs that run on this host have their settings")),
        ([], pending, total) => Ok(format!(
            "{pending} of {total} registered VMs that run on this host do not have their settings yet: 'vgpu-admin apply --pending' \
             reboots them"
        )),
        ([first, rest @ ..], ..) => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            Err(format!("{first}{more}"))
        }
    }
}

/// The registered VMs on this host, and the newest settings of each.
fn registered(root: &Root, device: &DeviceName, in_xapi: &InXapi) -> Result<Vec<(RunningVm, VmSettings)>, Error> {
    let is_here = |record: &&VmRecord| {
        let has_qemu = kind_without_qemu(&record.domain_type).is_none();
        record.is_a_vm() && has_qemu && record.has_domain() && in_xapi.here.as_ref() == Some(&record.resident_on)
    };
    let store = Store::open_existing(&root.database(), DATABASE_TIMEOUT)?;
    let qemus = Qemus::read(root);
    let mut registered = Vec::new();
    for record in in_xapi.records.iter().filter(is_here) {
        let Some(running) = read_vm(&qemus, device, record) else { continue };
        let entry = store.read().entry(&running.vm_uuid)?;
        let settings = in_xapi.shared.newest(&running.vm_uuid, entry.as_ref()).and_then(|entry| entry.settings);
        registered.extend(settings.map(|settings| (running, settings)));
    }
    Ok(registered)
}

/// The VMs whose QEMUs do not have what their boots were given, a sentence each. If xenstore cannot be read, nobody knows.
fn lost(root: &Root, device: &DeviceName, lacking: &[&(RunningVm, VmSettings)]) -> Result<Vec<String>, String> {
    let mut lost = Vec::new();
    for (running, _) in lacking {
        let Some(given) = boot::arguments(root, running.domid) else { break };
        let Some(given) = given? else { continue };
        let Some(given) = device_args::find(device, &given) else { continue };
        if given.settings().is_some() && running.is_as_configured(given.settings()) == Some(true) {
            continue;
        }
        let RunningVm { vm_uuid, vm_name, .. } = running;
        let has = match running.state {
            RunningState::NoVgpu => "no vGPU",
            _ => running.device_argument.as_deref().unwrap_or_default(),
        };
        lost.push(format!(
            "VM {vm_uuid} ({vm_name}) runs with {has}, although its start was given {}: reboot it before it is suspended or moved to \
             another host ('vgpu-admin check --vm-uuid={vm_uuid}' shows why)",
            given.text
        ));
    }
    Ok(lost)
}
