//! Checks the database, one item for each question. Changes nothing, except that SQLite may roll back an interrupted change.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{DATABASE_MODE, DIRECTORY_MODE, connect};
use super::{Filter, Reading, StoreError, schema};

/// How long a check waits for another program's transaction.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckItem {
    pub name: String,
    /// Also true for a warning.
    pub ok: bool,
    /// Somebody should look at it, but everything works as it was configured. Left out if false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warning: bool,
    /// What was found and, if it is wrong, what to do.
    pub message: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    Warning,
    Failed,
}

impl CheckItem {
    pub fn new(name: impl Into<String>, result: Result<String, String>) -> Self {
        let ok = result.is_ok();
        Self { name: name.into(), ok, warning: false, message: result.unwrap_or_else(|problem| problem) }
    }

    pub fn warning(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), ok: true, warning: true, message: message.into() }
    }

    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.ok, self.warning) {
            (false, _) => Verdict::Failed,
            (true, true) => Verdict::Warning,
            (true, false) => Verdict::Ok,
        }
    }
}

/// Checks the file and its content. Ends early if one problem makes further checks impossible.
#[must_use]
pub fn check(path: &Path) -> Vec<CheckItem> {
    let mut items = Vec::new();
    if let Err(stop) = look(path, &mut items) {
        items.push(CheckItem::new("database", Err(stop.to_string())));
    }
    items
}

fn look(path: &Path, items: &mut Vec<CheckItem>) -> Result<(), StoreError> {
    if !path.exists() {
        return Err(StoreError::Missing(path.to_owned()));
    }
    items.push(CheckItem::new("file", permissions(path)));
    // Opened for writing, so that SQLite can roll back a change that a power failure interrupted.
    let connection = connect(path, CHECK_TIMEOUT)?;
    items.push(CheckItem::new("integrity", integrity(&connection)?));
    let found = schema::version(&connection, path)?;
    let is_stated = schema::stated(&connection)? == found;
    items.push(CheckItem::new("schema version", schema_version(path, found, is_stated)));
    if found > schema::LATEST_SCHEMA || schema::names(&connection, "table")?.is_empty() {
        return Ok(());
    }
    let twice = registered_twice(&connection, path)?;
    if found < schema::LATEST_SCHEMA {
        items.extend(twice.clone().map(|twice| CheckItem::new("rows", Err(twice))));
    }
    if found == 0 {
        return Ok(());
    }
    // An older schema is compared with what it should have, not with the newest one.
    let reference = schema::reference(found)?;
    for kind in ["table", "index", "trigger"] {
        items.push(CheckItem::new(plural(kind), all_there(&connection, &reference, kind)?));
    }
    items.push(CheckItem::new("columns", columns(&connection, &reference)?));
    items.push(CheckItem::new("constraints", constraints(&connection)?));
    if found == schema::LATEST_SCHEMA {
        items.push(CheckItem::new("rows", twice.map_or_else(|| rows(&connection), Err)));
    }
    Ok(())
}

fn plural(kind: &str) -> &'static str {
    match kind {
        "table" => "tables",
        "index" => "indexes",
        _ => "triggers",
    }
}

fn permissions(path: &Path) -> Result<String, String> {
    let folder = path.parent().unwrap_or(path);
    for (path, wanted) in [(folder, DIRECTORY_MODE), (path, DATABASE_MODE)] {
        let found = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mode = found.permissions().mode() & 0o7777;
        if mode != wanted {
            return Err(format!(
                "{0} has mode {mode:04o} instead of {wanted:04o}: chmod {wanted:o} {0}",
                path.display()
            ));
        }
        // In a scratch directory, the owner is the user who runs this.
        let user = fs::metadata("/proc/self").map_or(0, |process| process.uid());
        if found.uid() != 0 && found.uid() != user {
            return Err(format!(
                "{0} belongs to user {1} instead of root: chown root:root {0}",
                path.display(),
                found.uid()
            ));
        }
    }
    Ok(format!("{} exists, with the right permissions", path.display()))
}

fn integrity(connection: &Connection) -> Result<Result<String, String>, StoreError> {
    let mut statement = connection.prepare("PRAGMA integrity_check(5)")?;
    let findings = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(if findings == ["ok"] {
        Ok("the file is intact".to_owned())
    } else {
        Err(format!("the file is damaged: {}; run 'vgpu-admin recover' to save what can be read", findings.join("; ")))
    })
}

fn schema_version(path: &Path, found: i64, is_stated: bool) -> Result<String, String> {
    let (path, known) = (path.to_owned(), schema::LATEST_SCHEMA);
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(StoreError::Older { path, found, known }.to_string()),
        std::cmp::Ordering::Equal if !is_stated => Ok(format!(
            "schema {found}, the newest, judging by its tables; it has no schema number, the next vgpu-admin command or plugin call sets it"
        )),
        std::cmp::Ordering::Equal => Ok(format!("schema {found}, the newest")),
        std::cmp::Ordering::Greater => Err(StoreError::Newer { path, found, known }.to_string()),
    }
}

/// Ok with all expected names, or an error with those that are missing.
fn compare(expected: &[String], found: &[String], what: &str) -> Result<String, String> {
    let missing: Vec<_> = expected.iter().filter(|name| !found.contains(name)).map(String::as_str).collect();
    if missing.is_empty() {
        Ok(expected.join(", "))
    } else {
        Err(format!(
            "missing {what}: {}; run 'vgpu-admin recover' to make a new database from the rows",
            missing.join(", ")
        ))
    }
}

fn all_there(
    connection: &Connection,
    reference: &Connection,
    kind: &str,
) -> Result<Result<String, String>, StoreError> {
    let expected = schema::names(reference, kind)?;
    let all_there = compare(&expected, &schema::names(connection, kind)?, plural(kind));
    // Nobody reads the names of dozens of triggers.
    Ok(if kind == "trigger" { all_there.map(|_| format!("all {} triggers exist", expected.len())) } else { all_there })
}

fn columns(connection: &Connection, reference: &Connection) -> Result<Result<String, String>, StoreError> {
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for table in schema::names(reference, "table")? {
        expected.extend(columns_of(reference, &table)?);
        found.extend(columns_of(connection, &table)?);
    }
    let count = expected.len();
    Ok(compare(&expected, &found, "columns").map(|_| format!("all {count} columns exist")))
}

fn columns_of(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let columns = schema::columns(connection, table)?;
    Ok(columns.into_iter().map(|column| format!("{table}.{column}")).collect())
}

/// Tries to insert invalid rows into an empty copy of the table, in memory.
fn constraints(connection: &Connection) -> Result<Result<String, String>, StoreError> {
    let table: String =
        match connection
            .query_row("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'vms'", [], |row| row.get(0))
        {
            Err(rusqlite::Error::QueryReturnedNoRows) => {
                return Ok(Err("there is no table vms".to_owned()));
            }
            other => other?,
        };
    let copy = Connection::open_in_memory()?;
    copy.execute_batch(&table)?;
    let insert = "INSERT INTO vms (vm_uuid, pool_id, priority) VALUES";
    copy.execute_batch(&format!("{insert} ('here', 'A', 0), ('too', 'B', 2)"))?;
    let must_fail = [
        ("('here', 'B', 1)", "a second row for the same vm_uuid"),
        ("(NULL, 'A', 1)", "a row without vm_uuid"),
        ("('new', 'C', 1)", "a pool_id other than A and B"),
        ("('new', NULL, 1)", "a row without pool_id"),
        ("('new', 'A', 3)", "a priority other than 0, 1 and 2"),
        ("('new', 'A', NULL)", "a row without priority"),
    ];
    let accepted: Vec<_> = must_fail
        .iter()
        .filter(|(row, _)| copy.execute_batch(&format!("{insert} {row}")).is_ok())
        .map(|(_, what)| *what)
        .collect();
    Ok(if accepted.is_empty() {
        Ok("invalid GPU pools, invalid priorities and duplicate UUIDs are refused".to_owned())
    } else {
        Err(format!("table vms accepts {}: it was not created by vgpu-config", accepted.join(", ")))
    })
}

fn rows(connection: &Connection) -> Result<String, String> {
    let mut count = 0_u64;
    Reading::new(connection)
        .for_each_vm(Filter::default(), &mut |_| {
            count += 1;
            Ok::<(), StoreError>(())
        })
        .and_then(|()| Reading::new(connection).check_gpu_rows())
        .map(|()| match count {
            1 => "1 VM is registered".to_owned(),
            _ => format!("{count} VMs are registered"),
        })
        .map_err(|error| error.to_string())
}

/// A VM with two rows, in upper and in lower case. Only one of them is used, so the administrator has to decide.
fn registered_twice(connection: &Connection, path: &Path) -> Result<Option<String>, StoreError> {
    let sql = "SELECT lower(vm_uuid), group_concat('GPU pool ' || pool_id || ' priority ' || priority, ' and ')
               FROM vms GROUP BY lower(vm_uuid) HAVING count(*) > 1 LIMIT 1";
    let found = connection.query_row(sql, [], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    Ok(found.optional()?.map(|(uuid, settings)| {
        format!(
            "VM {uuid} has several rows, with its UUID in upper and in lower case ({settings}). Delete them and register the VM \
             again: sqlite3 {} \"DELETE FROM vms WHERE lower(vm_uuid) = '{uuid}'\"",
            path.display()
        )
    }))
}
