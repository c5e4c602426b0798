//! Replies as people read them.

use std::fmt::Write;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use vgpu_config::model::{PoolId, Priority, VmUuid};
use vgpu_config::reply::{
    AdoptReply, AdoptedVm, ChangeReply, CheckReply, ImportReply, LastStartReply, PlannedChange, PoolsReply, PruneReply,
    ScannedVm, SettingsReply, StatusReply, SyncReply, TakesEffect, VmReply, XapiOutcome,
};

/// A table with a heading, columns two spaces apart, without lines: it can be read, cut and searched.
pub fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if !heading.is_empty() {
        table.set_header(heading.iter().copied());
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A name may hold anything, a terminal's control sequences included.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{FFFD}")
}

fn name(vm: &VmReply) -> &str {
    vm.vm_name.as_deref().unwrap_or("-")
}

/// What a VM's last start was given, in a word or two.
fn last_start_in_short(start: Option<&LastStartReply>) -> String {
    match start {
        None => "not started yet".to_owned(),
        Some(LastStartReply { is_current: true, .. }) => "as configured".to_owned(),
        Some(LastStartReply { pool: Some(pool), priority: Some(priority), .. }) => format!("{pool} {priority}"),
        Some(LastStartReply { device_argument, .. }) if device_argument.is_empty() => "no vGPU".to_owned(),
        Some(_) => "see show-vm".to_owned(),
    }
}

/// One row of list-vms.
pub fn list_row(vm: &VmReply) -> Vec<String> {
    vec![
        vm.pool.to_string(),
        vm.priority.to_string(),
        vm.vm_id.to_string(),
        vm.vm_uuid.to_string(),
        last_start_in_short(vm.last_start.as_ref()),
        name(vm).to_owned(),
    ]
}

/// The heading of list-vms.
pub const LIST_HEADING: [&str; 6] = ["POOL", "PRIORITY", "VM_ID", "VM", "LAST START", "NAME"];

/// A VM, whole.
pub fn vm(vm: &VmReply) -> String {
    let last_start = match &vm.last_start {
        None => "none seen yet".to_owned(),
        Some(start) => {
            let given = if start.device_argument.is_empty() { "no vGPU" } else { &start.device_argument };
            let current = if start.is_current { "as configured" } else { "NOT as configured" };
            format!("{given} ({current}; {} UTC on host {})", start.started_at, start.host_uuid)
        }
    };
    let in_xapi = if vm.in_xapi { "yes" } else { "not yet: the VM's next start or change tells it" };
    let rows = [
        ("VM", vm.vm_uuid.to_string()),
        ("Name", name(vm).to_owned()),
        ("GPU pool", vm.pool.to_string()),
        ("Priority", vm.priority.to_string()),
        ("vm_id", vm.vm_id.to_string()),
        ("Configured", vm.device_argument.clone()),
        ("Last start", last_start),
        ("In XAPI", in_xapi.to_owned()),
        ("Registered", format!("{} UTC", vm.created_at)),
        ("Changed", format!("{} UTC (revision {})", vm.updated_at, vm.revision)),
    ];
    table(&[], rows.map(|(label, value)| vec![label.to_owned(), value]))
}

/// What a change did, and when it is in effect.
pub fn change(verb: &str, reply: &ChangeReply) -> String {
    let ChangeReply { changed, vm, .. } = reply;
    let done = if *changed { verb } else { "unchanged" };
    let mut text = format!(
        "VM {} ({}) {done}: GPU pool {}, priority {}, vm_id {}.",
        vm.vm_uuid,
        printable(name(vm)),
        vm.pool,
        vm.priority,
        vm.vm_id
    );
    // Writing to a string does not fail.
    let _ = match (reply.takes_effect, reply.power_state.as_deref()) {
        (Some(TakesEffect::AtNextStartOrReboot), Some(state)) => {
            write!(text, "\nThe VM is {}: this takes effect at its next start or reboot.", state.to_lowercase())
        }
        (Some(_), _) => write!(text, "\nThis takes effect at its next start."),
        (None, _) => Ok(()),
    };
    if reply.xapi == XapiOutcome::Written && !changed {
        text.push_str("\nXAPI's record of the VM said otherwise and was corrected.");
    }
    for note in &reply.notes {
        let _ = write!(text, "\nNote: {note}");
    }
    text
}

/// Pool A: X VMs (Y high, Z medium, W low)
pub fn pools(reply: &PoolsReply) -> String {
    let line = |pool: &vgpu_config::reply::PoolReply| {
        let vms = if pool.vms == 1 { "VM" } else { "VMs" };
        format!("Pool {}: {} {vms} ({} high, {} medium, {} low)", pool.pool, pool.vms, pool.high, pool.medium, pool.low)
    };
    reply.pools.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The state, in one screen.
pub fn status(reply: &StatusReply) -> String {
    let xapi = match &reply.xapi_problem {
        None => "answers".to_owned(),
        Some(problem) => problem.clone(),
    };
    let changes = match reply.not_in_xapi {
        0 => "all in XAPI".to_owned(),
        count => format!("{count} not in XAPI yet: the VM's next start or change tells it"),
    };
    let rows = [
        ("vgpu-config", reply.version.clone()),
        ("Database", format!("{} (schema {})", reply.database, reply.schema)),
        ("VMs", format!("{} registered", reply.vms)),
        ("By GPU pool", format!("{} in {}, {} in {}", reply.by_pool.a, PoolId::A, reply.by_pool.b, PoolId::B)),
        (
            "By priority",
            format!(
                "{} {}, {} {}, {} {}",
                reply.by_priority.high,
                Priority::High,
                reply.by_priority.medium,
                Priority::Medium,
                reply.by_priority.low,
                Priority::Low
            ),
        ),
        ("Changes", changes),
        ("XAPI", xapi),
        ("Device", reply.device.clone()),
        ("on_error", reply.on_error.to_string()),
        ("unregistered", reply.unregistered.to_string()),
        ("deadline", format!("{} s", reply.deadline_seconds)),
    ];
    table(&[], rows.map(|(label, value)| vec![label.to_owned(), value]))
}

/// The VMs of the resource pool.
pub fn scanned(vms: &[ScannedVm]) -> String {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let rows = vms.iter().map(|vm| {
        vec![
            or_dash(vm.pool.map(|pool| pool.to_string())),
            or_dash(vm.priority.map(|priority| priority.to_string())),
            vm.power_state.to_lowercase(),
            or_dash(vm.host_name.clone()),
            vm.vm_uuid.to_string(),
            vm.vm_name.clone(),
        ]
    });
    table(&["POOL", "PRIORITY", "STATE", "HOST", "VM", "NAME"], rows)
}

/// What was registered, VM by VM.
pub fn adopted(reply: &AdoptReply) -> String {
    let verb = if reply.dry_run { "would be registered" } else { "registered" };
    let adopted = reply.adopted.iter().map(|vm| {
        let AdoptedVm { vm_uuid, pool, priority, vm_id, .. } = vm;
        let shared = vm.shared_with.map(|other| format!("; its argument has the vm_id of {other}, which keeps it"));
        let (name, shared) = (printable(&vm.vm_name), shared.unwrap_or_default());
        format!("{vm_uuid} ({name})  {verb}: GPU pool {pool}, priority {priority}, vm_id {vm_id}{shared}")
    });
    let left = reply.left_alone.iter().map(|left| format!("{}  left alone: {}", left.vm_uuid, printable(&left.why)));
    let lines: Vec<_> = adopted.chain(left).collect();
    if lines.is_empty() { "No VM has an argument that was written by hand.".to_owned() } else { lines.join("\n") }
}

/// What was forgotten.
pub fn pruned(reply: &PruneReply) -> String {
    let verb = if reply.dry_run { "would be forgotten" } else { "forgotten" };
    let lines: Vec<_> = reply.pruned.iter().map(|vm| format!("{vm}  {verb}: XAPI does not know it any more")).collect();
    if lines.is_empty() { "XAPI knows every VM that there are settings for.".to_owned() } else { lines.join("\n") }
}

/// What an import changes, like a diff.
pub fn imported(reply: &ImportReply) -> String {
    let settings = |SettingsReply { pool, priority, vm_id }: SettingsReply| format!("{pool} {priority} vm_id {vm_id}");
    let line = |change: &PlannedChange| {
        let vm = format!("{} ({})", change.vm_uuid, printable(change.vm_name.as_deref().unwrap_or("-")));
        match (change.from, change.to) {
            (None, Some(to)) => format!("+ {vm}  {}", settings(to)),
            (Some(from), None) => format!("- {vm}  {}", settings(from)),
            (Some(from), Some(to)) => format!("~ {vm}  {} -> {}", settings(from), settings(to)),
            (None, None) => format!("  {vm}"),
        }
    };
    let mut lines: Vec<_> = reply.changes.iter().map(line).collect();
    let would = if reply.dry_run { "would be changed" } else { "changed" };
    lines.push(format!("{} {would}, {} as the file says already.", reply.changes.len(), reply.unchanged));
    lines.extend(reply.notes.iter().map(|note| format!("Note: {}", printable(note))));
    lines.join("\n")
}

/// What was brought to one state, VM by VM.
pub fn sync(reply: &SyncReply) -> String {
    let done = |vms: &[VmUuid], what: &str| vms.iter().map(|vm| format!("{vm}  {what}")).collect::<Vec<_>>();
    let (taken, pushed, repaired) = if reply.dry_run {
        (
            "would be taken over from another host",
            "would be told to the other hosts",
            "XAPI's record would be corrected",
        )
    } else {
        ("taken over from another host", "told to the other hosts", "XAPI's record was corrected")
    };
    let mut lines = done(&reply.taken, taken);
    lines.extend(done(&reply.pushed, pushed));
    lines.extend(done(&reply.repaired, repaired));
    lines.extend(reply.left_alone.iter().map(|left| format!("{}  left alone: {}", left.vm_uuid, printable(&left.why))));
    if lines.is_empty() {
        "Nothing to do: this host, the other hosts and XAPI agree.".to_owned()
    } else {
        lines.join("\n")
    }
}

/// Every check with its answer.
pub fn check(reply: &CheckReply) -> String {
    let verdict = |ok: bool| if ok { "ok" } else { "WRONG" };
    let rows =
        reply.checks.iter().map(|item| vec![verdict(item.ok).to_owned(), item.name.clone(), item.message.clone()]);
    let wrong = reply.checks.iter().filter(|item| !item.ok).count();
    let summary = match wrong {
        0 => "Everything is as it should be.".to_owned(),
        1 => "1 check failed.".to_owned(),
        _ => format!("{wrong} checks failed."),
    };
    format!("{}\n{summary}", table(&[], rows))
}
