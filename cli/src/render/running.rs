//! What VMs run with.

use crate::screen::Shade;
use vgpu_config::reply::{LastStartReply, RunsWithReply, RunsWithState, SettingsReply};

/// For a column of a table.
pub fn in_short(runs_with: &RunsWithReply) -> String {
    match (runs_with.state, runs_with.settings, &runs_with.host_name) {
        (RunsWithState::AsConfigured, ..) => "as configured".to_owned(),
        (RunsWithState::Differs, Some(SettingsReply { pool, priority, vm_id }), _) => {
            format!("{pool} {priority} {vm_id}")
        }
        (RunsWithState::Differs | RunsWithState::Unclear, ..) => "unclear vGPU".to_owned(),
        (RunsWithState::NoVgpu, ..) => "no vGPU".to_owned(),
        (RunsWithState::NoQemu, ..) => "no QEMU".to_owned(),
        (RunsWithState::Halted, ..) => "halted".to_owned(),
        (RunsWithState::Suspended, ..) => "suspended".to_owned(),
        (RunsWithState::Elsewhere, _, Some(host)) => format!("on {host}"),
        (RunsWithState::UnknownVm, ..) => "not in XAPI".to_owned(),
        (RunsWithState::Elsewhere | RunsWithState::NotKnown, ..) => "not known".to_owned(),
    }
}

/// A VM that runs and has not what it should is worth a look.
pub fn shade(runs_with: &RunsWithReply) -> Shade {
    match runs_with.state {
        RunsWithState::AsConfigured => Shade::Good,
        RunsWithState::Differs | RunsWithState::NoVgpu | RunsWithState::Unclear => Shade::Doubtful,
        _ => Shade::Plain,
    }
}

/// For a line of its own.
pub fn in_full(runs_with: &RunsWithReply) -> String {
    let argument = runs_with.device_argument.as_deref().unwrap_or_default();
    let what = match runs_with.state {
        RunsWithState::AsConfigured => format!("{argument} (as configured)"),
        RunsWithState::Differs | RunsWithState::Unclear => format!("{argument} (NOT as configured)"),
        RunsWithState::NoVgpu => "no vGPU (NOT as configured)".to_owned(),
        RunsWithState::NoQemu => "nothing: there is no QEMU".to_owned(),
        RunsWithState::Halted => "nothing: it is halted".to_owned(),
        RunsWithState::Suspended => "nothing: it is suspended".to_owned(),
        RunsWithState::UnknownVm => "nothing: XAPI does not know the VM".to_owned(),
        RunsWithState::Elsewhere | RunsWithState::NotKnown => "not known".to_owned(),
    };
    let on = runs_with.host_name.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let why = runs_with.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{what}{on}{why}")
}

/// Where and when a VM was started last, and with what.
pub fn last_start(start: Option<&LastStartReply>) -> String {
    let Some(LastStartReply { started_at, host_uuid, device_argument, .. }) = start else {
        return "never on this host".to_owned();
    };
    let given = if device_argument.is_empty() { "no vGPU" } else { device_argument };
    format!("{started_at} UTC on host {host_uuid}, with {given}")
}
