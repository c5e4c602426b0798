//! The state of this host and the others.

use std::fmt::Write;

use vgpu_config::model::VmUuid;
use vgpu_config::reply::{CheckReply, Link, LinkReply, PoolCheckReply, RecoverReply, VmCheckReply};
use vgpu_config::store::{CheckItem, Verdict};
use vgpu_config::text::one_line;

use super::{labelled, right_or_wrong, verdict};
use crate::table::Cell;

pub fn check(reply: &CheckReply) -> String {
    format!("{}\n{}", checks(&reply.checks), summary(&reply.checks, reply.broken_link))
}

/// One line for each link of the VM's chain, then why the first broken one is, and what to do.
pub fn check_vm(reply: &VmCheckReply) -> String {
    let name = reply.vm_name.as_deref().unwrap_or("no name");
    let state = reply.power_state.as_ref().map(|state| format!(", {}", state.to_lowercase())).unwrap_or_default();
    let on = reply.host_name.as_ref().map(|host| format!(" on {host}")).unwrap_or_default();
    let rows = reply.links.iter().map(|LinkReply { link, ok, value, .. }| {
        vec![right_or_wrong(*ok), Cell::new(link.to_string()), Cell::new(value)]
    });
    let mut text = format!("{}\n{}", one_line(&format!("VM {} ({name}){state}{on}", reply.vm_uuid)), labelled(rows));
    let mut broken = reply.links.iter().filter_map(|link| Some((link.link, link.problem.as_ref()?)));
    // Writing to a string does not fail.
    let _ = match broken.next() {
        Some((link, problem)) => write!(text, "\nBroken at {link}: {}.", one_line(problem)),
        None => write!(text, "\nThe chain is complete."),
    };
    for (link, problem) in broken {
        let _ = write!(text, "\nAlso {link}: {}.", one_line(problem));
    }
    text
}

pub fn check_all_hosts(reply: &PoolCheckReply) -> String {
    let mut text = String::new();
    for host in &reply.hosts {
        // Writing to a string does not fail.
        let _ = write!(text, "Host {} ({})\n{}\n", one_line(&host.host_name), host.host_uuid, checks(&host.checks));
        if let (2.., Some(link)) = (host.checks.iter().filter(|item| !item.ok).count(), host.broken_link) {
            let _ = writeln!(text, "Begin with {link}: what follows it may depend on it.");
        }
        text.push('\n');
    }
    text + &summary(reply.hosts.iter().flat_map(|host| &host.checks), None)
}

fn checks(items: &[CheckItem]) -> String {
    labelled(items.iter().map(|item| vec![verdict(item.verdict()), Cell::new(&item.name), Cell::new(&item.message)]))
}

fn summary<'a>(items: impl IntoIterator<Item = &'a CheckItem>, broken_link: Option<Link>) -> String {
    let (mut failed, mut warnings) = (0_u64, 0_u64);
    for item in items {
        failed += u64::from(item.verdict() == Verdict::Failed);
        warnings += u64::from(item.verdict() == Verdict::Warning);
    }
    let warned = if warnings > 0 { format!(", with {}", count(warnings, "warning")) } else { String::new() };
    match (failed, broken_link) {
        (0, _) => format!("All checks passed{warned}."),
        (2.., Some(link)) => {
            format!("{failed} checks failed{warned}. Begin with {link}: what follows it may depend on it.")
        }
        _ => format!("{} failed{warned}.", count(failed, "check")),
    }
}

pub fn recovered(reply: &RecoverReply) -> String {
    let mut lines: Vec<_> =
        reply.problems.iter().map(|problem| format!("{}: {}", reply.database, one_line(problem))).collect();
    let (saved, would) = if reply.dry_run { ("would be saved", "would be ") } else { ("saved", "") };
    lines.push(format!(
        "From the file {saved}: {}, {}, {}, {}.",
        count(reply.from_file, "VM"),
        count(reply.removals, "removal"),
        count(reply.last_starts, "last start"),
        count(reply.history, "change")
    ));
    let mut vms =
        |uuids: &[VmUuid], what: &str| lines.extend(uuids.iter().map(|uuid| format!("{uuid}  {would}{what}")));
    vms(&reply.from_history, "restored from the file's history, because its row cannot be read");
    vms(&reply.filled_in, "restored from XAPI, because the file does not have it");
    vms(&reply.newer_in_xapi, "restored from XAPI, which has newer settings than the file");
    lines.extend(reply.lost.iter().map(|lost| format!("{}  LOST: {}", lost.vm_uuid, one_line(&lost.why))));
    lines.extend(reply.notes.iter().map(|note| format!("Note: {}.", one_line(note))));
    let registered = if reply.vms == 1 { "1 VM is" } else { &format!("{} VMs are", reply.vms) };
    let end = match &reply.kept_as {
        _ if reply.dry_run => " Nothing was changed.".to_owned(),
        Some(kept) => format!(" The damaged file is kept as {kept}."),
        None => String::new(),
    };
    lines.push(format!("{registered} registered in the new database.{end}"));
    lines.join("\n")
}

fn count(number: impl TryInto<u64>, what: &str) -> String {
    let number = number.try_into().unwrap_or_default();
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
