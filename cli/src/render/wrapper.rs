//! Which qemu-wrapper xenopsd starts.

use vgpu_config::reply::{QemuWrapperReply, WrapperState};

use super::add_notes;

/// How to have xenopsd read its settings.
const RESTART: &str = "run xe-toolstack-restart, or add --restart-toolstack (running VMs go on)";

/// The state, and what is to be done.
pub fn qemu_wrapper(reply: &QemuWrapperReply) -> String {
    let wrapper = &reply.wrapper;
    let done = if reply.changed { "Changed. " } else { "" };
    let state = match (reply.state, reply.needs_restart) {
        (WrapperState::Off, false) => format!("Off: xenopsd starts {wrapper}, which is XCP-ng's own."),
        (WrapperState::Off, true) => {
            format!("Off, and not yet in force: xenopsd starts {wrapper} once it is restarted: {RESTART}.")
        }
        (WrapperState::NotYetInForce, _) => {
            format!("On, and not yet in force: xenopsd starts {wrapper} once it is restarted: {RESTART}.")
        }
        (WrapperState::InForce, _) => format!("On and in force: xenopsd starts {wrapper}."),
        (WrapperState::Foreign, false) => format!("Another wrapper is configured: xenopsd starts {wrapper}."),
        (WrapperState::Foreign, true) => format!(
            "Another wrapper is configured, and not yet in force: xenopsd starts {wrapper} once it is restarted: {RESTART}."
        ),
    };
    let mut text = format!("{done}{state}");
    if let Some(file) = &reply.configured_in {
        text.extend(["\nConfigured in ", file, "."]);
    }
    add_notes(&mut text, &reply.notes);
    text
}
