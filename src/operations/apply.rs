//! Applies changed settings now: reboots running VMs whose QEMUs have other settings, one after the other.

use std::thread;
use std::time::Duration;

use super::Host;
use super::pending::{AllHosts, Pending};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::model::VmUuid;
use crate::reply::{AppliedVm, ApplyReply, LeftAlone};
use crate::xenapi::{self, RebootKind, Reference, Session, XapiError};

/// How long a VM may take to reboot. XAPI itself waits 20 minutes for a guest to shut down
/// (xapi-project/xen-api, `ocaml/xapi/xapi_globs.ml`, `domain_shutdown_total_timeout`).
const REBOOT_TIMEOUT: Duration = Duration::from_mins(25);
/// The time between two checks of a reboot.
const PAUSE: Duration = Duration::from_millis(250);

/// XAPI's refusal of a clean reboot of a VM whose guest has no agent (`check_op_for_feature` in
/// `ocaml/xapi/xapi_vm_lifecycle.ml`).
const NO_AGENT: &str = "VM_LACKS_FEATURE";

/// Reboots the running VMs that do not have their settings (all, or `only` one), one after the other, and checks that each comes
/// back with them. Stops at the first that does not. A VM whose guest cannot be told to reboot is left alone, or reset if
/// `hard`.
///
/// # Errors
/// XAPI or the database cannot be used, or the VM is not registered.
pub fn apply(host: &Host, only: Option<VmUuid>, hard: bool, dry_run: bool) -> Result<ApplyReply, Error> {
    let mut session = host.connect()?;
    let mut reply = ApplyReply { dry_run, ..ApplyReply::default() };
    let planned = AllHosts::look(host, &mut session)?.pending(only, &mut reply)?;
    if dry_run {
        reply.applied = planned.into_iter().map(|pending| pending.vm).collect();
        return Ok(reply);
    }
    let mut rest = planned.into_iter().map(|pending| pending.vm.vm_uuid);
    for vm_uuid in &mut rest {
        if let Err(why) = apply_to(host, &mut session, vm_uuid, hard, &mut reply) {
            log::warn!("VM {vm_uuid}: {why}");
            reply.failed = Some(LeftAlone { vm_uuid, why });
            break;
        }
    }
    reply.not_tried = rest.collect();
    Ok(reply)
}

/// Reboots a VM if it still lacks its settings, because the reboots before it may have taken long. The error is why it did not
/// come back.
fn apply_to(
    host: &Host,
    session: &mut Session,
    vm_uuid: VmUuid,
    hard: bool,
    reply: &mut ApplyReply,
) -> Result<(), String> {
    let look = |session: &mut Session| {
        session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
        AllHosts::look(host, session).map_err(|error| error.to_string())
    };
    let mut found = ApplyReply::default();
    let still = look(session)?.pending(Some(vm_uuid), &mut found).map_err(|error| error.to_string())?;
    reply.left_alone.append(&mut found.left_alone);
    reply.notes.append(&mut found.notes);
    let Some(Pending { vm, reference, wanted }) = still.into_iter().next() else { return Ok(()) };
    let rebooted = match reboot(session, &reference, RebootKind::Clean)? {
        Err(refused) if hard && refused.has_code(NO_AGENT) => reboot(session, &reference, RebootKind::Hard)?,
        rebooted => rebooted,
    };
    if let Err(refused) = rebooted {
        return if look(session)?.runs(vm_uuid) {
            reply.left_alone.push(LeftAlone { vm_uuid, why: why_it_runs_on(&refused) });
            Ok(())
        } else {
            Err(format!("it did not come back: {refused}"))
        };
    }
    let unknown = |why: String| format!("it was rebooted, but it is not known what it runs with: {why}");
    let has = look(session).map_err(unknown)?.rebooted_with(vm_uuid, wanted)?;
    log::info!("VM {vm_uuid}: rebooted, has '{has}'");
    reply.applied.push(AppliedVm { to: has, ..vm });
    Ok(())
}

fn why_it_runs_on(refused: &XapiError) -> String {
    if refused.has_code(NO_AGENT) {
        return "it keeps running: its guest has no agent, so XAPI cannot tell it to reboot. Reboot it from inside, or reset it with \
                --hard (hard=true through the plugin)"
            .to_owned();
    }
    format!("it could not be rebooted and keeps running: {refused}")
}

/// Reboots a VM and waits until it is done. The inner error is XAPI's refusal; the outer one means that the result is unknown.
fn reboot(session: &mut Session, vm: &Reference, kind: RebootKind) -> Result<Result<(), XapiError>, String> {
    let until = Deadline::after(REBOOT_TIMEOUT);
    session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
    let task = match session.begin_reboot(vm, kind) {
        Ok(task) => task,
        Err(error @ XapiError::Refused { .. }) => return Ok(Err(error)),
        Err(error) => return Err(error.to_string()),
    };
    loop {
        session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
        let record = session.task(&task).map_err(|error| format!("it was told to reboot, then {error}"))?;
        match record.status.as_str() {
            "pending" | "cancelling" if until.remaining().is_none() => {
                return Err(format!("it did not come back within {} minutes", REBOOT_TIMEOUT.as_secs() / 60));
            }
            "pending" | "cancelling" => thread::sleep(PAUSE),
            "success" => {
                session.forget_task(&task);
                return Ok(Ok(()));
            }
            _ => {
                session.forget_task(&task);
                return Ok(Err(XapiError::refused(kind.method(), record.error_info)));
            }
        }
    }
}
