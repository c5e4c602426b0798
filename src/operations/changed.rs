//! What a change has done, for its reply.

use super::Host;
use crate::error::Error;
use crate::model::VmUuid;
use crate::reply::{ChangeReply, TakesEffect, VmReply, XapiOutcome};
use crate::settings::Unregistered;
use crate::store::StoredVm;
use crate::transaction::Changed;
use crate::xenapi::{XapiError, XapiVm};

/// A VM before a change and after it.
pub(super) type BeforeAndAfter = (Option<StoredVm>, Option<StoredVm>);

/// One reply for each VM. `away` is why XAPI could not be told.
pub(super) fn replies(
    host: &Host,
    uuids: &[VmUuid],
    changed: Changed<Vec<BeforeAndAfter>>,
    away: Option<&XapiError>,
    dry_run: bool,
) -> Result<Vec<ChangeReply>, Error> {
    let Changed { value, told, vms, .. } = changed;
    let reply = |(uuid, change): (&VmUuid, BeforeAndAfter)| {
        let outcome = told.iter().find(|(told, _)| told == uuid).map_or(XapiOutcome::Away, |(_, outcome)| *outcome);
        let vm = vms.get(uuid).unwrap_or(&XapiVm::Away);
        let mut reply = reply(host, uuid, change, vm, outcome, dry_run)?;
        reply.notes.splice(0..0, notes(away, vm, uuid, dry_run));
        if !dry_run {
            log::info!("{}", log_line(&reply));
        }
        Ok(reply)
    };
    uuids.iter().zip(value).map(reply).collect()
}

fn reply(
    host: &Host,
    uuid: &VmUuid,
    (before, after): BeforeAndAfter,
    vm: &XapiVm,
    outcome: XapiOutcome,
    dry_run: bool,
) -> Result<ChangeReply, Error> {
    let from = before.as_ref().map(|before| before.settings);
    let changed = from.is_none() || from != after.as_ref().map(|after| after.settings);
    let is_registered = after.is_some();
    let stored = match after {
        // Read again: it now says that XAPI was told.
        Some(_) if !dry_run => host.store.read().vm(uuid).ok().flatten().or(after),
        Some(_) => after,
        None => before,
    };
    let stored = stored.ok_or_else(|| Error::Internal(format!("VM {uuid} has disappeared")))?;
    let mut vm_reply = VmReply::new(stored, &host.settings.device);
    if dry_run {
        vm_reply.in_xapi = matches!(outcome, XapiOutcome::Written | XapiOutcome::AlreadyRight);
    }
    let takes_effect = (changed && !vm.is_template()).then_some(match vm.power_state() {
        Some("Halted") | None => TakesEffect::AtNextStart,
        Some(_) => TakesEffect::AtNextStartOrReboot,
    });
    let is_registered_template = is_registered && vm.is_template();
    let notes = is_registered_template.then(|| note_on_template(host.settings.unregistered).to_owned());
    Ok(ChangeReply {
        dry_run,
        changed,
        from: from.map(Into::into),
        vm: vm_reply,
        xapi: outcome,
        power_state: vm.power_state().map(str::to_owned),
        takes_effect,
        notes: notes.into_iter().collect(),
    })
}

/// The beginning of a note on a change of which XAPI could not be told.
pub(super) fn only_the_database(why: &XapiError, dry_run: bool) -> String {
    let changed = if dry_run { "would be changed" } else { "was changed" };
    format!("{why}. Only the database {changed}")
}

fn notes(away: Option<&XapiError>, vm: &XapiVm, uuid: &VmUuid, dry_run: bool) -> Option<String> {
    match (vm, away) {
        (XapiVm::Unknown, _) => Some(format!("XAPI does not know VM {uuid}: see 'xe vm-list'.")),
        (_, Some(why)) => Some(format!("{}; XAPI is updated at the VM's next start.", only_the_database(why, dry_run))),
        (_, None) => None,
    }
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

fn log_line(ChangeReply { vm, changed, xapi, .. }: &ChangeReply) -> String {
    let VmReply { vm_uuid, pool, priority, vm_id, .. } = vm;
    format!("VM {vm_uuid}: pool={pool} priority={priority} vm_id={vm_id} changed={changed} xapi={xapi:?}")
}
