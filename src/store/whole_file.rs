//! Writes a database to a file that is either complete or absent, and readable by root alone from the start.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::file::DATABASE_MODE;
use super::{DATABASE_TIMEOUT, StoreError};
use crate::deadline::Deadline;

/// Writes a whole database to `path`, replacing an existing file.
pub(super) fn write(from: &Connection, path: &Path) -> Result<(), StoreError> {
    let part = write_beside(from, path)?;
    fs::rename(&part, path).and_then(|()| sync_folder(path)).map_err(|error| not_written(path, &error))
}

/// Writes a whole database to a file beside `path`, for the caller to rename. The caller holds the directory's lock.
pub(super) fn write_beside(from: &Connection, path: &Path) -> Result<PathBuf, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    // Left by a program that was killed.
    let _ = fs::remove_file(&part);
    let written = make_private(&part)
        .map_err(|error| not_written(&part, &error))
        .and_then(|()| copy(from, &part))
        .and_then(|()| sync(&part).map_err(|error| not_written(&part, &error)));
    match written {
        Ok(()) => Ok(part),
        Err(error) => {
            let _ = fs::remove_file(&part);
            Err(error)
        }
    }
}

fn make_private(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(DATABASE_MODE).open(path)?;
    // Independent of the umask.
    file.set_permissions(fs::Permissions::from_mode(DATABASE_MODE))
}

/// Copies all pages in one step: another program could write between two steps, and SQLite would start again each time.
fn copy(from: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut target = Connection::open(to)?;
    // If it fails, the file is deleted, and a journal would remain.
    target.pragma_update(None, "journal_mode", "OFF")?;
    let backup = Backup::new(from, &mut target)?;
    let deadline = Deadline::after(DATABASE_TIMEOUT);
    loop {
        match backup.step(-1)? {
            StepResult::Done => return Ok(()),
            _ if deadline.remaining().is_none() => return Err(StoreError::Locked),
            _ => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A rename survives a power failure once its directory is on the disk.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    sync(path.parent().unwrap_or(path))
}

pub(super) fn not_written(path: &Path, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull => StoreError::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly,
        _ => StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() },
    }
}
