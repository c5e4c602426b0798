//! What a change has done, or would do.

use std::fmt::Write;

use vgpu_config::reply::{ChangeReply, OneOrMore, ShowReply, TakesEffect, XapiOutcome};
use vgpu_config::text::one_line;

use super::{add_notes, each, name};

pub const REGISTERED: &str = "registered";
pub const CHANGED: &str = "changed";

/// `verb` is what was done with each VM.
pub fn changes(verb: &str, replies: &OneOrMore<ChangeReply>) -> String {
    each(replies, "\n", |reply| change(verb, reply))
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
    let mut text = format!("VM {} ({}) {done}: {}.", vm.vm_uuid, one_line(name(vm)), settings(reply));
    let this = if *dry_run { "This would take effect" } else { "This takes effect" };
    // Writing to a string does not fail.
    let _ = match (reply.takes_effect, reply.power_state.as_deref()) {
        (Some(TakesEffect::AtNextStartOrReboot), Some(state)) => {
            let (state, this) = (state.to_lowercase(), this.replacen('T', "t", 1));
            write!(text, "\nThe VM is {state}: {this} at its next start or reboot.")
        }
        (Some(_), _) => write!(text, "\n{this} at its next start."),
        (None, _) => Ok(()),
    };
    if reply.xapi == XapiOutcome::Written && !changed {
        let was = if *dry_run { "would be" } else { "was" };
        let _ = write!(text, "\nXAPI's record of the VM was different and {was} corrected.");
    }
    add_notes(&mut text, &reply.notes);
    text
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
