//! Which qemu-wrapper the running xenopsd starts: it reads its settings only when it starts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::configured::{Configured, Whose, fragments, whose};
use crate::error::Error;
use crate::paths::Root;
use crate::run_file;

/// The kernel's clock ticks per second, as programs see them on x86.
const TICKS: f64 = 100.0;

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

/// Makes a change of our files, and notes whether the running xenopsd starts ours. If one of the steps fails, the files are put
/// back.
pub(super) fn noting(root: &Root, change: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let before = fragments(root).map(|path| (fs::read_to_string(&path).ok(), path));
    let has_ours = has_ours(root, &whose(root)).unwrap_or(false);
    let xenopsd = find(root);
    let note = || write_note(root, &Note { xenopsd, has_ours, changed: changed(root) });
    // Before as well: without a note, nothing is changed.
    note()?;
    change().and_then(|()| note()).inspect_err(|_| {
        for (text, path) in before {
            let put_back = match text {
                Some(text) => super::put(root, &path, &text),
                None => super::remove(&path),
            };
            if let Err(error) = put_back {
                log::error!("{error}");
            }
        }
        if let Err(error) = note() {
            log::error!("{error}");
        }
    })
}

fn write_note(root: &Root, note: &Note) -> Result<(), Error> {
    let path = root.qemu_wrapper_note();
    let write = || {
        let text = serde_json::to_vec(note)?;
        let mut file = run_file::open(&path)?;
        file.set_len(0)?;
        file.write_all(&text)
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

/// Whether xenopsd was started after a file was written. Both times are known to a hundredth of a second.
fn started_since(root: &Root, xenopsd: Xenopsd, file: &Path) -> bool {
    let written = fs::metadata(file).map_or(0.0, |file| seconds(file.ctime()) + seconds(file.ctime_nsec()) / 1e9);
    let uptime = fs::read_to_string(root.proc().join("uptime")).ok();
    let uptime = uptime.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let ticks = i64::try_from(xenopsd.started).unwrap_or(i64::MAX);
    let started = uptime.map(|uptime| now - uptime + seconds(ticks) / TICKS);
    started.is_none_or(|started| started + 2.0 / TICKS >= written)
}

/// Precise enough for times: 52 bits.
#[allow(clippy::cast_precision_loss)]
fn seconds(number: i64) -> f64 {
    number as f64
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
