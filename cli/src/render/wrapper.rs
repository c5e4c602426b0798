//! Prints which qemu-wrapper xenopsd starts.

use vgpu_config::reply::{QemuWrapperReply, WrapperState};

use super::add_notes;

/// When a change takes effect.
const RESTART: &str = "after its next restart. Run xe-toolstack-restart (running VMs are not affected)";

/// The state, and what to do next.
pub fn qemu_wrapper(reply: &QemuWrapperReply) -> String {
    let wrapper = &reply.wrapper;
    let done = match (reply.changed, reply.dry_run) {
        (true, true) => "This would be changed. ",
        (false, true) => "Nothing would be changed. ",
        (true, false) => "Changed. ",
        (false, false) => "",
    };
    let state = match (reply.state, reply.needs_restart) {
        (WrapperState::Off, false) => format!("Disabled: xenopsd starts {wrapper}, the stock qemu-wrapper."),
        (WrapperState::Off, true) => {
            format!("Disabled, but not in effect yet: xenopsd starts {wrapper} {RESTART}.")
        }
        (WrapperState::NotInEffectYet, _) => {
            format!("Enabled, but not in effect yet: xenopsd starts {wrapper} {RESTART}.")
        }
        (WrapperState::InEffect, _) => format!("Enabled and in effect: xenopsd starts {wrapper}."),
        (WrapperState::Foreign, false) => format!("Another qemu-wrapper is configured: xenopsd starts {wrapper}."),
        (WrapperState::Foreign, true) => {
            format!("Another qemu-wrapper is configured, but not in effect yet: xenopsd starts {wrapper} {RESTART}.")
        }
    };
    let mut text = format!("{done}{state}");
    if let Some(file) = &reply.configured_in {
        text.extend(["\nConfigured in ", file, "."]);
    }
    add_notes(&mut text, &reply.notes);
    text
}
