//! What a change has done, or would do.

use std::collections::HashSet;
use std::fmt::Write;

use vgpu_config::reply::{ChangeReply, OneOrMore, ShowReply, TakesEffect, XapiOutcome};
use vgpu_config::text::one_line;

use super::{add_notes, name};

pub const REGISTERED: &str = "registered";
pub const CHANGED: &str = "changed";

/// `verb` is what was done with each VM.
pub fn changes(verb: &str, replies: &OneOrMore<ChangeReply>) -> String {
    match replies {
        OneOrMore::One(reply) => {
            let mut text = format!("{}{}{}", change(verb, reply), takes_effect(reply), corrected(reply));
            add_notes(&mut text, &reply.notes);
            text
        }
        OneOrMore::More(replies) => several(verb, replies),
    }
}

/// A line for each VM, and what is true of many of them once.
fn several(verb: &str, replies: &[ChangeReply]) -> String {
    let lines: Vec<_> = replies.iter().map(|reply| change(verb, reply) + &corrected(reply)).collect();
    let mut text = lines.join("\n");
    let is_dry_run = replies.iter().any(|reply| reply.dry_run);
    let changed = replies.iter().filter(|reply| reply.changed).count();
    let vms = if replies.len() == 1 { "VM" } else { "VMs" };
    let would_be = if is_dry_run { "would be " } else { "" };
    let verb = match verb {
        REGISTERED if replies.iter().any(|reply| reply.from.is_some()) => "registered or changed",
        verb => verb,
    };
    // Writing to a string does not fail.
    let _ = write!(text, "\n{changed} of {} {vms} {would_be}{verb}.", replies.len());
    if replies.iter().any(|reply| reply.takes_effect.is_some()) {
        let this = if is_dry_run { "This would take effect" } else { "This takes effect" };
        let _ = write!(text, " {this} when each is next started or rebooted.");
    }
    let mut notes: Vec<_> = replies.iter().flat_map(|reply| &reply.notes).cloned().collect();
    let mut seen = HashSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    add_notes(&mut text, &notes);
    text
}

fn change(verb: &str, reply: &ChangeReply) -> String {
    let ChangeReply { changed, vm, dry_run, from, .. } = reply;
    // --if-needed.
    let verb = if verb == REGISTERED && from.is_some() { CHANGED } else { verb };
    let done = match (changed, dry_run) {
        (true, true) => format!("would be {verb}"),
        (true, false) => verb.to_owned(),
        (false, true) => "would be unchanged".to_owned(),
        (false, false) => "unchanged".to_owned(),
    };
    format!("VM {} ({}) {done}: {}.", vm.vm_uuid, one_line(name(vm)), settings(reply))
}

fn takes_effect(reply: &ChangeReply) -> String {
    let this = if reply.dry_run { "This would take effect" } else { "This takes effect" };
    match (reply.takes_effect, reply.power_state.as_deref()) {
        (Some(TakesEffect::AtNextStartOrReboot), Some(state)) => {
            let (state, this) = (state.to_lowercase(), this.replacen('T', "t", 1));
            format!("\nThe VM is {state}: {this} at its next start or reboot.")
        }
        (Some(_), _) => format!("\n{this} at its next start."),
        (None, _) => String::new(),
    }
}

fn corrected(reply: &ChangeReply) -> String {
    if reply.xapi != XapiOutcome::Written || reply.changed {
        return String::new();
    }
    let was = if reply.dry_run { "would be" } else { "was" };
    format!("\nXAPI's record of the VM was different and {was} corrected.")
}

/// A dry run also shows the values that would be replaced.
fn settings(ChangeReply { dry_run, from, vm, .. }: &ChangeReply) -> String {
    let value = |before: Option<String>, after: String| match before {
        Some(before) if *dry_run && before != after => format!("{before} -> {after}"),
        _ => after,
    };
    format!(
        "GPU pool {}, priority {}, vm_id {}",
        value(from.map(|from| from.pool.to_string()), vm.pool.to_string()),
        value(from.map(|from| from.priority.to_string()), vm.priority.to_string()),
        value(from.map(|from| from.vm_id.to_string()), vm.vm_id.to_string()),
    )
}

pub fn question_before_removal(shown: &[ShowReply]) -> String {
    let vm = |ShowReply { vm, .. }: &ShowReply| {
        let name = vm.vm_name.as_deref().unwrap_or("no name");
        format!("{} ({})", vm.vm_uuid, one_line(name))
    };
    let mut question = match shown {
        [one] => format!("Remove the vGPU settings of VM {}?", vm(one)),
        several => {
            let vms: Vec<_> = several.iter().map(vm).collect();
            format!("{}\nRemove the vGPU settings of these {} VMs?", vms.join("\n"), vms.len())
        }
    };
    for reply in shown {
        add_notes(&mut question, &reply.notes);
    }
    question
}
