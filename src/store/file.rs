//! The database's file: created with the right permissions, and opened.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// The directory is readable by everyone.
pub(super) const DIRECTORY_MODE: u32 = 0o755;
/// The database is for root alone.
pub(super) const DATABASE_MODE: u32 = 0o600;

/// The file that a path named when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    path: PathBuf,
    device_and_inode: Option<(u64, u64)>,
}

impl Opened {
    /// To be called before the file is opened: if it is replaced in between, it counts as replaced.
    pub fn before(path: &Path) -> Self {
        Self { path: path.to_owned(), device_and_inode: device_and_inode(path) }
    }

    pub fn is_replaced(&self) -> bool {
        device_and_inode(&self.path) != self.device_and_inode
    }
}

fn device_and_inode(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

/// Opens the file for writing; SQLite itself falls back to reading if it cannot be written.
pub(super) fn connect(path: &Path, timeout: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() })?;
    connection.busy_timeout(timeout)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A change that outgrows the cache would lock readers out until it ends, not only while it is committed.
    connection.pragma_update(None, "cache_spill", false)?;
    Ok(connection)
}

/// Creates the directory and an empty file with the right permissions, independent of the umask. Existing ones stay as they are.
pub(super) fn create(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(DIRECTORY_MODE))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(DATABASE_MODE).open(path) {
        Ok(file) => file.set_permissions(fs::Permissions::from_mode(DATABASE_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file that was created by hand may be readable by others. If that cannot be corrected, `check` reports it.
pub(super) fn close_to_others(path: &Path) {
    let Ok(file) = fs::metadata(path) else { return };
    let mode = file.permissions().mode() & 0o7777;
    if mode | DATABASE_MODE == DATABASE_MODE {
        return;
    }
    let closed = fs::set_permissions(path, fs::Permissions::from_mode(DATABASE_MODE));
    let outcome = closed.map_or_else(|error| error.to_string(), |()| format!("changed to {DATABASE_MODE:04o}"));
    log::warn!("{} had mode {mode:04o}, but must be accessible to root alone: {outcome}", path.display());
}
