//! GPU pools and GPUs.

use std::fmt::Write;

use vgpu_config::model::VmLimit;
use vgpu_config::reply::{
    GpuChangeReply, GpuHistorySettings, GpuPoolChangeReply, GpuPoolReply, PoolGpu, ShowPoolReply,
};
use vgpu_config::text::one_line;

use super::{add_notes, labelled};

/// Its name, description and limit in a few words.
pub fn settings(settings: &GpuPoolReply) -> String {
    let GpuPoolReply { name, description, max_vms } = settings;
    let parts = [
        name.as_ref().map(|name| format!("name \"{}\"", one_line(name.as_str()))),
        description.as_ref().map(|description| format!("description \"{}\"", one_line(description.as_str()))),
        max_vms.map(at_most),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "no name, no limit".to_owned() } else { parts.join(", ") }
}

fn at_most(max_vms: VmLimit) -> String {
    let vms = if max_vms.get() == 1 { "VM" } else { "VMs" };
    format!("at most {max_vms} {vms}")
}

/// In a row of the history; `None` for nothing.
pub fn held(GpuHistorySettings { pool, name, description, max_vms }: &GpuHistorySettings) -> Option<String> {
    let parts = [
        pool.clone(),
        name.as_ref().map(|name| format!("\"{name}\"")),
        description.as_ref().map(|description| format!("({description})")),
        max_vms.map(|max_vms| format!("max {max_vms}")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn done(verb: &str, changed: bool, dry_run: bool) -> String {
    match (changed, dry_run) {
        (true, true) => format!("would be {verb}"),
        (true, false) => verb.to_owned(),
        (false, true) => "would be unchanged".to_owned(),
        (false, false) => "unchanged".to_owned(),
    }
}

pub fn changed(reply: &GpuPoolChangeReply) -> String {
    let GpuPoolChangeReply { pool, changed, dry_run, from, to, .. } = reply;
    let mut text = format!("GPU pool {pool} {}: {}.", done("changed", *changed, *dry_run), settings(to));
    if *dry_run && *changed {
        // Writing to a string does not fail.
        let _ = write!(text, "\nIt has {} now.", settings(from));
    }
    add_notes(&mut text, &reply.notes);
    text
}

pub fn assigned(reply: &GpuChangeReply) -> String {
    let GpuChangeReply { dry_run, changed, gpu, host_name, device_name, from, to, notes, .. } = reply;
    let device = device_name.as_deref().map(|name| format!(", {}", one_line(name))).unwrap_or_default();
    let host = host_name.as_deref().map_or_else(|| gpu.host.to_string(), one_line);
    let gpu = format!("GPU {} on host {host}{device}", gpu.address);
    let mut text = match (to, from, changed, dry_run) {
        (Some(pool), _, true, false) => format!("{gpu}: serves GPU pool {pool} now."),
        (Some(pool), _, true, true) => format!("{gpu}: would serve GPU pool {pool}."),
        (Some(pool), _, false, _) => format!("{gpu}: already serves GPU pool {pool}."),
        (None, Some(pool), _, false) => format!("{gpu}: no longer serves GPU pool {pool}."),
        (None, Some(pool), _, true) => format!("{gpu}: would no longer serve GPU pool {pool}."),
        (None, None, _, _) => format!("{gpu}: already serves no GPU pool."),
    };
    add_notes(&mut text, notes);
    text
}

pub fn shown(reply: &ShowPoolReply) -> String {
    let ShowPoolReply { pool, settings, vms, high, medium, low, free, .. } = reply;
    let none = || "-".to_owned();
    let limit = match (settings.max_vms, free) {
        (Some(max), Some(free)) => format!("{}, {free} free", at_most(max)),
        _ => "any number of VMs".to_owned(),
    };
    let rows = [
        ("GPU pool", pool.to_string()),
        ("Name", settings.name.as_ref().map_or_else(none, |name| one_line(name.as_str()))),
        ("Description", settings.description.as_ref().map_or_else(none, |text| one_line(text.as_str()))),
        ("VMs", format!("{vms} ({high} high, {medium} medium, {low} low)")),
        ("Limit", limit),
        ("In XAPI", if reply.in_xapi { "yes" } else { "no: see 'vgpu-admin sync'" }.to_owned()),
    ];
    let mut rows: Vec<_> = rows.map(|(label, value)| vec![label.to_owned(), value]).into();
    let mut label = "GPUs";
    for gpu in &reply.gpus {
        rows.push(vec![label.to_owned(), shown_gpu(gpu)]);
        // An empty cell would be shown as a hyphen.
        label = " ";
    }
    if reply.gpus.is_empty() {
        rows.push(vec![label.to_owned(), "none: see 'vgpu-admin scan-gpus' and 'assign-gpu'".to_owned()]);
    }
    let mut text = labelled(rows);
    add_notes(&mut text, &reply.notes);
    text
}

fn shown_gpu(gpu: &PoolGpu) -> String {
    let host = gpu.host_name.as_deref().map_or_else(|| gpu.host_uuid.to_string(), one_line);
    let device = gpu.device_name.as_deref().map(|name| format!("  {}", one_line(name))).unwrap_or_default();
    let vanished = if gpu.vanished == Some(true) { "  (XAPI does not know it)" } else { "" };
    format!("{host}:{}{device}{vanished}", gpu.pci_address)
}
