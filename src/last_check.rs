//! How this host's last check ended: a file that disappears when the host reboots.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::paths::Root;
use crate::run_file;
use crate::store::{CheckItem, Verdict};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastCheck {
    /// In seconds since 1970.
    pub time: u64,
    pub failed: u64,
    pub warnings: u64,
}

/// Records how a check ended. If that fails, a monitoring system sees an older one.
pub fn note(root: &Root, items: &[CheckItem]) {
    let count = |verdict| items.iter().filter(|item| item.verdict() == verdict).count();
    let text = format!("{} {}\n", count(Verdict::Failed), count(Verdict::Warning));
    let path = root.last_check();
    let write = |mut file: File| {
        // Nothing is cut off first, so that whoever reads meanwhile finds a note: the old one or the new one.
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)?;
        file.set_modified(SystemTime::now())
    };
    if let Err(error) = run_file::open(&path).and_then(write) {
        log::debug!("{}: {error}", path.display());
    }
}

/// `None` if there was none since the host started.
pub fn read(root: &Root) -> Option<LastCheck> {
    let (text, modified) = content_and_time(&root.last_check()).ok()?;
    let (failed, warnings) = text.lines().next()?.split_once(' ')?;
    let time = modified.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(LastCheck { time, failed: failed.parse().ok()?, warnings: warnings.parse().ok()? })
}

fn content_and_time(path: &Path) -> io::Result<(String, SystemTime)> {
    Ok((fs::read_to_string(path)?, fs::metadata(path)?.modified()?))
}
