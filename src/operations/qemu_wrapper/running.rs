//! Which qemu-wrapper the running xenopsd starts: it reads its settings only when it starts.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::configured::{Configured, Whose, fragments, whose};
use crate::error::Error;
use crate::paths::Root;

/// The kernel's clock ticks per second, as programs see them on x86.
const TICKS: u64 = 100;

/// xenopsd's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Xenopsd {
    pid: u32,
    /// When it started, in ticks since the host's boot. This identifies the process even if the clock changes.
    started: u64,
}

/// What was known when our files were last changed.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// The xenopsd that was running, if any.
    xenopsd: Option<Xenopsd>,
    /// Whether it starts ours.
    has_ours: bool,
    /// When our files were changed. If they have other times now, the note is outdated.
    changed: [Option<i64>; 2],
}

/// Whether the running xenopsd starts ours; `None` if none is running. `whose` is what its next start will use.
pub(in crate::operations) fn has_ours(root: &Root, whose: &Whose) -> Option<bool> {
    let xenopsd = find(root)?;
    let note = note(root);
    Some(match (note, whose) {
        (Some(note), _) if note.xenopsd == Some(xenopsd) => note.has_ours,
        (_, Whose::Stock | Whose::Foreign(_)) => false,
        (Some(note), _) if note.changed == changed(root) => true,
        // `enable` did not write this file, so its time has to tell.
        (_, Whose::Ours(Configured { file, .. })) => started_since(root, xenopsd, file),
    })
}

/// Makes a change, and notes whether the running xenopsd starts ours.
pub(super) fn noting(root: &Root, change: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let has_ours = has_ours(root, &whose(root)).unwrap_or(false);
    let xenopsd = find(root);
    change()?;
    let note = Note { xenopsd, has_ours, changed: changed(root) };
    let path = root.qemu_wrapper_note();
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, serde_json::to_string(&note)?)
    };
    write().map_err(|source| Error::File { path: path.clone(), source })
}

fn note(root: &Root) -> Option<Note> {
    serde_json::from_str(&fs::read_to_string(root.qemu_wrapper_note()).ok()?).ok()
}

fn changed(root: &Root) -> [Option<i64>; 2] {
    let at = |file: &Path| fs::metadata(file).ok().map(|file| file.ctime() * 1_000_000_000 + file.ctime_nsec());
    fragments(root).each_ref().map(|file| at(file))
}

/// Whether xenopsd was started after a file was written.
fn started_since(root: &Root, xenopsd: Xenopsd, file: &Path) -> bool {
    let newest = fs::metadata(file).map_or(i64::MIN, |file| file.ctime());
    let boot_time = fs::read_to_string(root.proc().join("stat"))
        .ok()
        .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<u64>().ok());
    let started = boot_time.map(|boot_time| boot_time + xenopsd.started / TICKS);
    started.and_then(|started| i64::try_from(started).ok()).is_none_or(|started| started >= newest)
}

/// The process with the name xenopsd-xc.
fn find(root: &Root) -> Option<Xenopsd> {
    let entries = fs::read_dir(root.proc()).ok()?;
    entries.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let command_line = fs::read(entry.path().join("cmdline")).ok()?;
        let name = command_line.split(|byte| *byte == 0).next()?.rsplit(|byte| *byte == b'/').next()?;
        (name == b"xenopsd-xc").then_some(())?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The start time is field 22. The name, field 2, is in parentheses and may contain anything.
        let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some(Xenopsd { pid, started })
    })
}
