//! When this host last had the settings of all hosts: the time of an empty file, which disappears when the host reboots.

use std::fs::File;
use std::io;
use std::time::SystemTime;

use crate::paths::Root;
use crate::run_file;

/// Records that this host has the settings of all hosts. If that fails, only a time that is shown to people is lost.
pub fn note(root: &Root) {
    let path = root.last_contact();
    let noted = run_file::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
    if let Err(error) = noted {
        log::debug!("{}: {error}", path.display());
    }
}

/// When that was, in seconds since 1970; `None` if it was not since the host started.
pub fn last(root: &Root) -> Option<i64> {
    let modified = File::open(root.last_contact()).and_then(|file| file.metadata()?.modified()).ok()?;
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).map_err(io::Error::other).ok()?;
    i64::try_from(since.as_secs()).ok()
}
