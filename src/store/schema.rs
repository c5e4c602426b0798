//! The schema and its migrations.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::error::in_short;
use super::{DATABASE_TIMEOUT, StoreError, whole_file};
use crate::deadline::Deadline;

/// Released migrations are never edited.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/0001_vms.sql")),
    M::up(include_str!("../../migrations/0002_device_and_starts.sql")),
    M::up(include_str!("../../migrations/0003_history.sql")),
    M::up(include_str!("../../migrations/0004_history_at_start_and_unknown_vms.sql")),
    M::up(include_str!("../../migrations/0005_vms_to_complete.sql")),
    M::up(include_str!("../../migrations/0006_gpu_pools.sql")),
];

/// The newest schema; `PRAGMA user_version` of an up-to-date database.
#[allow(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const LATEST_SCHEMA: i64 = MIGRATIONS.len() as i64;

/// `PRAGMA user_version`: 0 for an empty file, a database created by hand, or a restored dump.
pub(super) fn stated(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The schema of a database. `.dump` does not save `user_version`, so a database without it is recognised by its tables.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    match stated(connection)? {
        0 => recognise(connection, path),
        stated => Ok(stated),
    }
}

/// A new database in memory with the given schema, to compare with.
pub(super) fn reference(version: i64) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate_to(&mut connection, version)?;
    Ok(connection)
}

fn migrate_to(connection: &mut Connection, version: i64) -> Result<(), StoreError> {
    let version = usize::try_from(version).unwrap_or_default();
    Migrations::from_slice(MIGRATIONS).to_version(connection, version).map_err(|error| match error {
        // Without the text of the migration.
        rusqlite_migration::Error::RusqliteError { err, .. } => match StoreError::from(err) {
            StoreError::Sqlite(error) => StoreError::Migration(in_short(&error)),
            error => error,
        },
        error => StoreError::Migration(error.to_string()),
    })
}

/// The names of all tables, indexes or triggers, without those that SQLite creates itself.
pub(super) fn names(connection: &Connection, kind: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = ?1 AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([kind], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

pub(super) fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA table_info(\"{}\")", table.replace('"', "\"\"")))?;
    let columns = statement.query_map([], |row| row.get("name"))?.collect::<Result<_, _>>()?;
    Ok(columns)
}

/// The tables with their columns, the indexes and the triggers.
fn parts(connection: &Connection) -> Result<BTreeSet<String>, StoreError> {
    let mut parts = BTreeSet::new();
    for kind in ["index", "trigger"] {
        parts.extend(names(connection, kind)?.into_iter().map(|name| format!("{kind} {name}")));
    }
    for table in names(connection, "table")? {
        parts.extend(columns(connection, &table)?.into_iter().map(|column| format!("column {table}.{column}")));
        parts.insert(format!("table {table}"));
    }
    Ok(parts)
}

/// The schema of a database without a schema number: the newest that is complete. An incomplete one is refused, because the
/// missing part may have had settings.
fn recognise(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let found = parts(connection)?;
    if found.is_empty() {
        return Ok(0);
    }
    let mut known = Vec::new();
    for version in 1..=LATEST_SCHEMA {
        known.push((version, parts(&reference(version)?)?));
    }
    let whole = known.iter().rev().find(|(_, parts)| parts.is_subset(&found));
    // The first migration also accepts a table that was created by hand, without its indexes.
    let is_of_table = |part: &&String| part.starts_with("table ") || part.starts_with("column ");
    let (version, has) = match (whole, known.first()) {
        (Some((version, parts)), _) => (*version, parts),
        (None, Some((_, first))) if first.iter().filter(is_of_table).all(|part| found.contains(part)) => (0, first),
        _ => return Err(not_ours(path, &found)),
    };
    let is_of_another = |part: &&String| !has.contains(*part) && known.iter().any(|(_, parts)| parts.contains(*part));
    if found.iter().any(|part| is_of_another(&part)) {
        return Err(not_ours(path, &found));
    }
    Ok(version)
}

fn not_ours(path: &Path, found: &BTreeSet<String>) -> StoreError {
    let tables: Vec<_> = found.iter().filter_map(|part| part.strip_prefix("table ")).collect();
    let mut shown = tables.iter().take(4).copied().collect::<Vec<_>>().join(", ");
    if tables.len() > 4 {
        shown.push_str(", …");
    }
    StoreError::NotOurs { path: path.to_owned(), tables: shown }
}

/// Migrates to the newest schema, after a copy of the file. A newer one is refused and not changed.
pub(super) fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if is_up_to_date(connection, path)? {
        return Ok(());
    }
    // One program at a time. SQLite's own locks would not do: two programs that both upgrade theirs block each other.
    let _lock = lock_folder(path)?;
    // Another program may have done it meanwhile.
    if is_up_to_date(connection, path)? {
        return Ok(());
    }
    let (found, stated) = (version(connection, path)?, stated(connection)?);
    if found == LATEST_SCHEMA {
        return match state(connection, found) {
            // Reading still works.
            Err(StoreError::ReadOnly | StoreError::Locked) => Ok(()),
            stated => stated,
        };
    }
    if !parts(connection)?.is_empty() {
        refuse_damaged(connection)?;
        let copy = copy_beside(connection, path, found)?;
        log::info!("copied the database to {} before the migration", copy.display());
    }
    if found != stated {
        state(connection, found)?;
    }
    migrate_to(connection, LATEST_SCHEMA)
}

fn is_up_to_date(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let found = stated(connection)?;
    if found > LATEST_SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: LATEST_SCHEMA });
    }
    Ok(found == LATEST_SCHEMA)
}

fn state(connection: &Connection, version: i64) -> Result<(), StoreError> {
    Ok(connection.pragma_update(None, "user_version", version)?)
}

/// A damaged database is not migrated: this could destroy what can still be read, and its copy could replace a good one.
fn refuse_damaged(connection: &Connection) -> Result<(), StoreError> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged(finding)) }
}

/// Locks the database's directory against other programs that migrate or recover, until the file is dropped.
pub(super) fn lock_folder(path: &Path) -> Result<File, StoreError> {
    let folder = path.parent().unwrap_or(path);
    let unopenable = |error: io::Error| StoreError::Unopenable { path: folder.to_owned(), reason: error.to_string() };
    let file = File::open(folder).map_err(unopenable)?;
    let deadline = Deadline::after(DATABASE_TIMEOUT);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(unopenable(error)),
            Err(TryLockError::WouldBlock) if deadline.remaining().is_none() => return Err(StoreError::Locked),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Copies the database to a file beside it with the schema in its name: one for each schema, so that failed attempts do not
/// fill the disk.
fn copy_beside(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{version}.bak"));
    let copy = PathBuf::from(name);
    whole_file::write(connection, &copy)?;
    Ok(copy)
}
