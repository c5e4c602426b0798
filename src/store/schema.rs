//! The schema: the migrations, and the way from an older one to the newest.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use rusqlite_migration::{M, Migrations};

use super::{DATABASE_MODE, PATIENCE, StoreError};
use crate::deadline::Deadline;

/// Released migrations are never edited.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/0001_vms.sql")),
    M::up(include_str!("../../migrations/0002_device_and_starts.sql")),
    M::up(include_str!("../../migrations/0003_history.sql")),
    M::up(include_str!("../../migrations/0004_history_at_start_and_unknown_vms.sql")),
];

/// The schema that this program knows; `PRAGMA user_version` of an up-to-date database.
#[allow(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const LATEST_SCHEMA: i64 = MIGRATIONS.len() as i64;

/// The schema of a database: 0 for an empty file, or one made by hand.
pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// A new database in memory with the newest schema, to compare with.
pub(super) fn reference() -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate(&mut connection)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| StoreError::Migration(error.to_string()))
}

/// Brings the schema up to date, after a copy of the file; refuses a newer one untouched.
pub(super) fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if !needs_migration(connection, path)? {
        return Ok(());
    }
    // One program at a time: not SQLite's own locks, which two programs that want to raise theirs hold against each other.
    let _lock = lock_folder(path)?;
    // Another program may have been faster.
    if !needs_migration(connection, path)? {
        return Ok(());
    }
    let holds_anything: bool =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_master)", [], |row| row.get(0))?;
    if holds_anything {
        let copy = copy_beside(connection, path)?;
        log::info!("copied the database to {} before the migration", copy.display());
    }
    migrate(connection)
}

/// Holds the database's folder against other programs that migrate; let go when it is dropped.
fn lock_folder(path: &Path) -> Result<File, StoreError> {
    let folder = path.parent().unwrap_or(path);
    let unopenable = |error: io::Error| StoreError::Unopenable { path: folder.to_owned(), reason: error.to_string() };
    let file = File::open(folder).map_err(unopenable)?;
    let deadline = Deadline::after(PATIENCE);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(unopenable(error)),
            Err(TryLockError::WouldBlock) if deadline.remaining().is_none() => return Err(StoreError::Locked),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn needs_migration(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let found = version(connection)?;
    if found > LATEST_SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: LATEST_SCHEMA });
    }
    Ok(found < LATEST_SCHEMA)
}

/// Copies the whole database to a file beside it that says from which schema and when.
fn copy_beside(connection: &Connection, path: &Path) -> Result<PathBuf, StoreError> {
    let now: String = connection.query_row("SELECT strftime('%Y%m%dT%H%M%SZ', 'now')", [], |row| row.get(0))?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{}.{now}.bak", version(connection)?));
    let copy = PathBuf::from(name);
    let mut target = Connection::open(&copy)?;
    Backup::new(connection, &mut target)?.run_to_completion(1024, Duration::ZERO, None)?;
    fs::set_permissions(&copy, fs::Permissions::from_mode(DATABASE_MODE))
        .map_err(|error| StoreError::Unopenable { path: copy.clone(), reason: error.to_string() })?;
    Ok(copy)
}
