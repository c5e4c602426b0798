//! The schema: the migrations, and the way from an older one to the newest.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::{PATIENCE, StoreError, whole_file};
use crate::deadline::Deadline;

/// Released migrations are never edited.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/0001_vms.sql")),
    M::up(include_str!("../../migrations/0002_device_and_starts.sql")),
    M::up(include_str!("../../migrations/0003_history.sql")),
    M::up(include_str!("../../migrations/0004_history_at_start_and_unknown_vms.sql")),
    M::up(include_str!("../../migrations/0005_vms_to_complete.sql")),
];

/// The schema that this program knows; `PRAGMA user_version` of an up-to-date database.
#[allow(clippy::cast_possible_wrap, reason = "a handful of migrations")]
pub const LATEST_SCHEMA: i64 = MIGRATIONS.len() as i64;

/// The schema that a database says it has: 0 for an empty file, one made by hand, or a dump that was read back.
pub(super) fn stated(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The schema of a database. One that states none is recognised by what is in it: `.dump` carries no version.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    match stated(connection)? {
        0 => recognise(connection, path),
        stated => Ok(stated),
    }
}

/// A new database in memory with one of the schemas, to compare with.
pub(super) fn reference(version: i64) -> Result<Connection, StoreError> {
    let mut connection = Connection::open_in_memory()?;
    migrate_to(&mut connection, version)?;
    Ok(connection)
}

fn migrate_to(connection: &mut Connection, version: i64) -> Result<(), StoreError> {
    let version = usize::try_from(version).unwrap_or_default();
    Migrations::from_slice(MIGRATIONS).to_version(connection, version).map_err(|error| match error {
        // Without the migration itself, which the error holds too.
        rusqlite_migration::Error::RusqliteError { err, .. } => match StoreError::from(err) {
            StoreError::Sqlite(error) => StoreError::Migration(super::in_short(&error)),
            error => error,
        },
        error => StoreError::Migration(error.to_string()),
    })
}

/// The names of a kind of schema object, without those that SQLite makes itself.
pub(super) fn names(connection: &Connection, kind: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM sqlite_master WHERE type = ?1 AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let names = statement.query_map([kind], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// The names of a table's columns.
pub(super) fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA table_info(\"{}\")", table.replace('"', "\"\"")))?;
    let columns = statement.query_map([], |row| row.get("name"))?.collect::<Result<_, _>>()?;
    Ok(columns)
}

/// Everything that makes up a schema: its tables with their columns, indexes and triggers.
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

/// Which of the schemas a database has that states none: the newest that is there whole. One of which only a part is there
/// is nobody's: what is missing may have held settings.
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
    // The first migration also takes a table that was made by hand, without its indexes.
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

/// Brings the schema up to date, after a copy of the file; refuses a newer one untouched.
pub(super) fn bring_up_to_date(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    if is_up_to_date(connection, path)? {
        return Ok(());
    }
    // One program at a time: not SQLite's own locks, which two programs that want to raise theirs hold against each other.
    let _lock = lock_folder(path)?;
    // Another program may have been faster.
    if is_up_to_date(connection, path)? {
        return Ok(());
    }
    let (found, stated) = (version(connection, path)?, stated(connection)?);
    if found == LATEST_SCHEMA {
        return match state(connection, found) {
            // Whoever only reads is served all the same.
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

/// A damaged database is not migrated: that could take away what can still be read, and its copy the place of a good one.
fn refuse_damaged(connection: &Connection) -> Result<(), StoreError> {
    let finding: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged(finding)) }
}

/// Holds the database's folder against other programs that migrate or recover; let go when it is dropped.
pub(super) fn lock_folder(path: &Path) -> Result<File, StoreError> {
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

/// Copies the whole database to a file beside it that says from which schema: one for each, so that attempts that fail do not
/// fill the disk.
fn copy_beside(connection: &Connection, path: &Path, version: i64) -> Result<PathBuf, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{version}.bak"));
    let copy = PathBuf::from(name);
    whole_file::write(connection, &copy)?;
    Ok(copy)
}
