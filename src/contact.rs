//! When this host last had the settings of all hosts: the time of an empty file, which disappears when the host reboots.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::time::SystemTime;

use crate::paths::Root;

/// Records that this host has the settings of all hosts. If that fails, only a time that is shown to people is lost.
pub fn note(root: &Root) {
    let path = root.last_contact();
    let made = path.parent().map_or(Ok(()), |folder| DirBuilder::new().recursive(true).mode(0o755).create(folder));
    let noted = made.and_then(|()| {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        file.set_modified(SystemTime::now())
    });
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
