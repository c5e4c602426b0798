//! Whether the registered VMs that run on this host run with their settings.

use super::{DATABASE_TIMEOUT, InXapi};
use crate::device_args;
use crate::error::Error;
use crate::model::VmSettings;
use crate::operations::boot;
use crate::operations::running::read_vm;
use crate::paths::Root;
use crate::qemu::Qemus;
use crate::reply::{RunningState, RunningVm};
use crate::settings::{DeviceName, Settings};
use crate::store::Store;
use crate::xenapi::VmRecord;

/// A VM whose settings were changed since it was started is fine: it gets them at its next start. One whose QEMU does not have
/// what this boot was given is not.
pub(super) fn have_their_settings(root: &Root, in_xapi: &InXapi) -> Result<String, String> {
    let device = Settings::load(&root.settings()).unwrap_or_default().device;
    let running = registered(root, &device, in_xapi).map_err(|error| error.to_string())?;
    let total = running.len();
    let lacking = |(running, wanted): &(RunningVm, VmSettings)| running.is_as_configured(Some(*wanted)) == Some(false);
    let lacking: Vec<_> = running.into_iter().filter(lacking).collect();
    let lost: Vec<_> = lacking.iter().filter_map(|(running, _)| lost(root, &device, running)).collect();
    match (lost.as_slice(), lacking.len(), total) {
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
        record.is_a_vm() && record.has_domain() && in_xapi.here.as_ref() == Some(&record.resident_on)
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

/// What a VM's QEMU lacks of what this boot was given.
fn lost(root: &Root, device: &DeviceName, running: &RunningVm) -> Option<String> {
    let given = boot::arguments(root, running.domid).ok()??;
    let given = device_args::find(device, &given)?;
    let has_it = given.settings().is_some() && running.is_as_configured(given.settings()) == Some(true);
    let has = match running.state {
        RunningState::NoVgpu => "no vGPU",
        _ => running.device_argument.as_deref().unwrap_or_default(),
    };
    (!has_it).then(|| {
        let RunningVm { vm_uuid, vm_name, .. } = running;
        format!(
            "VM {vm_uuid} ({vm_name}) runs with {has}, although its start was given {}: see 'vgpu-admin check --vm-uuid={vm_uuid}'",
            given.text
        )
    })
}
