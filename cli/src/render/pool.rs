//! Replies about the whole resource pool.

use vgpu_config::entry::Subject;
use vgpu_config::model::VmUuid;
use vgpu_config::reply::{
    AdoptReply, AdoptedVm, AppliedVm, ApplyReply, HistorySettings, ImportReply, PlannedChange, PlannedGpuChange,
    PlannedPoolChange, PruneReply, SettingsReply, SyncReply,
};
use vgpu_config::text::one_line;

use super::gpu_pool;

pub fn adopted(reply: &AdoptReply) -> String {
    let verb = if reply.dry_run { "would be registered" } else { "registered" };
    let adopted = reply.adopted.iter().map(|vm| {
        let AdoptedVm { vm_uuid, pool, priority, vm_id, .. } = vm;
        let shared =
            vm.shared_with.map(|other| format!("; the vm_id of its argument belongs to {other}, which keeps it"));
        let (name, shared) = (one_line(&vm.vm_name), shared.unwrap_or_default());
        format!("{vm_uuid} ({name})  {verb}: GPU pool {pool}, priority {priority}, vm_id {vm_id}{shared}")
    });
    let left = reply.left_alone.iter().map(|left| format!("{}  left alone: {}", left.vm_uuid, one_line(&left.why)));
    let failed = reply.failed.iter().map(|vm| format!("{}  FAILED: {}", vm.vm_uuid, one_line(&vm.why)));
    let lines: Vec<_> = adopted.chain(left).chain(failed).collect();
    if lines.is_empty() { "No VM has an argument that was written by hand.".to_owned() } else { lines.join("\n") }
}

pub fn pruned(reply: &PruneReply) -> String {
    let verb = if reply.dry_run { "would be deleted" } else { "deleted" };
    let mut lines: Vec<_> = reply.pruned.iter().map(|vm| format!("{vm}  {verb}: XAPI does not know it")).collect();
    lines.extend(reply.pruned_gpus.iter().map(|gpu| format!("GPU {gpu}  {verb}: XAPI does not know its host")));
    if lines.is_empty() { "XAPI knows every VM with settings.".to_owned() } else { lines.join("\n") }
}

/// Like a diff.
pub fn imported(reply: &ImportReply) -> String {
    let settings = |SettingsReply { pool, priority, vm_id }: SettingsReply| format!("{pool} {priority} vm_id {vm_id}");
    let line = |change: &PlannedChange| {
        let vm = format!("{} ({})", change.vm_uuid, one_line(change.vm_name.as_deref().unwrap_or("-")));
        match (change.from, change.to) {
            (None, Some(to)) => format!("+ {vm}  {}", settings(to)),
            (Some(from), None) => format!("- {vm}  {}", settings(from)),
            (Some(from), Some(to)) => format!("~ {vm}  {} -> {}", settings(from), settings(to)),
            (None, None) => format!("  {vm}"),
        }
    };
    let gpu_pool = |change: &PlannedPoolChange| {
        let (from, to) = (gpu_pool::settings(&change.from), gpu_pool::settings(&change.to));
        format!("~ GPU pool {}  {from} -> {to}", change.pool)
    };
    let gpu = |change: &PlannedGpuChange| match change.from {
        Some(from) => format!("~ GPU {}  GPU pool {from} -> {}", change.gpu, change.to),
        None => format!("+ GPU {}  GPU pool {}", change.gpu, change.to),
    };
    let mut lines: Vec<_> = reply.gpu_pools.iter().map(gpu_pool).collect();
    lines.extend(reply.gpus.iter().map(gpu));
    lines.extend(reply.changes.iter().map(line));
    let would = if reply.dry_run { "would be changed" } else { "changed" };
    let changed = reply.gpu_pools.len() + reply.gpus.len() + reply.changes.len();
    lines.push(format!("{changed} {would}, {} unchanged.", reply.unchanged));
    lines.extend(reply.notes.iter().map(|note| format!("Note: {}", one_line(note))));
    lines.join("\n")
}

pub fn sync(reply: &SyncReply) -> String {
    let done = |vms: &[VmUuid], what: &str| vms.iter().map(|vm| format!("{vm}  {what}")).collect::<Vec<_>>();
    let would = if reply.dry_run { "would be " } else { "" };
    let (from, to) = if reply.has_other_hosts {
        ("another host", "the other hosts")
    } else {
        ("the shared copy", "the shared copy")
    };
    let (taken, pushed) = (format!("{would}taken over from {from}"), format!("{would}written for {to}"));
    let repaired = if reply.dry_run { "XAPI's record would be corrected" } else { "XAPI's record was corrected" };
    let mut lines = done(&reply.taken, &taken);
    lines.extend(done(&reply.pushed, &pushed));
    lines.extend(done(&reply.repaired, repaired));
    let gpu_pools = &reply.gpu_pools;
    lines.extend(gpu_pools.taken.iter().map(|subject| format!("{}  {taken}", subject.shown())));
    lines.extend(gpu_pools.pushed.iter().map(|subject| format!("{}  {pushed}", subject.shown())));
    lines.extend(gpu_pools.left_alone.iter().map(|why| format!("left alone: {}", one_line(why))));
    lines.extend(reply.left_alone.iter().map(|left| format!("{}  left alone: {}", left.vm_uuid, one_line(&left.why))));
    match lines.as_slice() {
        [] if reply.has_other_hosts => "Nothing to do: this host, the other hosts and XAPI agree.".to_owned(),
        [] => "Nothing to do: this host and XAPI agree.".to_owned(),
        lines => lines.join("\n"),
    }
}

/// Settings in a row of the history.
pub fn held(HistorySettings { pool, priority, vm_id }: &HistorySettings) -> String {
    match vm_id {
        Some(vm_id) => format!("{pool} {priority} {vm_id}"),
        None => format!("{pool} {priority}"),
    }
}

pub fn applied(reply: &ApplyReply) -> String {
    let given = |argument: &str| if argument.is_empty() { "no vGPU".to_owned() } else { argument.to_owned() };
    let verb = if reply.dry_run { "would be rebooted" } else { "rebooted" };
    let line = |vm: &AppliedVm| {
        let from = vm.from.as_deref().map_or_else(|| "unknown".to_owned(), given);
        let host = vm.host_name.as_deref().unwrap_or("-");
        one_line(&format!("{} ({}) on {host}  {verb}: {from} -> {}", vm.vm_uuid, vm.vm_name, given(&vm.to)))
    };
    let mut lines: Vec<_> = reply.applied.iter().map(line).collect();
    lines.extend(reply.failed.iter().map(|vm| format!("{}  FAILED: {}", vm.vm_uuid, one_line(&vm.why))));
    lines.extend(reply.not_tried.iter().map(|vm| format!("{vm}  not rebooted, because the one before failed")));
    lines.extend(reply.left_alone.iter().map(|left| format!("{}  left alone: {}", left.vm_uuid, one_line(&left.why))));
    lines.extend(reply.notes.iter().map(|note| one_line(note)));
    if lines.is_empty() { "Every running VM has its settings.".to_owned() } else { lines.join("\n") }
}
