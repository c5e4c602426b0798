//! Reads every row that can still be read from a damaged database.
//!
//! Pages that are reachable from the schema come first. The rows of unreachable pages are recognised by their columns. Free
//! pages are skipped, because their rows are out of date.

mod gpu_rows;
mod pages;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use rusqlite::Connection;

use super::{StoreError, schema};
use crate::model::VmUuid;
pub(super) use gpu_rows::{GpuHistoryRow, GpuRows, GpuStateRow};
use gpu_rows::{GpuRow, PoolRow};
use pages::{Pages, Record, Value};
use rows::Fields;
pub(super) use rows::{HistoryRow, StartRow, StateRow, VmRow};

#[derive(Debug, Default)]
pub(super) struct Salvage {
    pub vms: HashMap<VmUuid, VmRow>,
    pub states: HashMap<VmUuid, StateRow>,
    pub starts: HashMap<VmUuid, StartRow>,
    pub history: BTreeMap<i64, HistoryRow>,
    /// The highest entry number ever used.
    pub history_sequence: i64,
    pub gpu_rows: GpuRows,
    /// How many pages of the tables could not be read.
    pub unreadable_pages: usize,
    /// Rows of `vms` that are invalid, or older than another row of the same VM.
    pub rejected: Vec<String>,
}

/// The tables and their columns in the newest schema.
type Columns = BTreeMap<&'static str, Vec<String>>;

const TABLES: [&str; 8] =
    ["vms", "vm_state", "last_starts", "history", "gpu_pools", "gpus", "gpu_state", "gpu_history"];

impl Salvage {
    /// # Errors
    /// SQLite cannot be used at all.
    pub fn of(file: &[u8]) -> Result<Self, StoreError> {
        let reference = schema::reference(schema::LATEST_SCHEMA)?;
        let columns = TABLES.iter().map(|table| Ok((*table, schema::columns(&reference, table)?)));
        let columns = columns.collect::<Result<Columns, StoreError>>()?;
        // If the header is damaged, the right page size is the one that gives the most rows.
        let attempts = Pages::candidates(file).into_iter().map(|pages| Self::of_pages(pages, &columns));
        Ok(attempts.max_by_key(Self::count).unwrap_or_default())
    }

    fn count(&self) -> usize {
        self.vms.len() + self.states.len() + self.starts.len() + self.history.len() + self.gpu_rows.count()
    }

    fn of_pages(pages: Pages<'_>, columns: &Columns) -> Self {
        let (mut salvage, mut strays, mut seen) = (Self::default(), Self::default(), HashSet::new());
        for Described { name, root, sql } in described(pages, &mut seen) {
            let below = pages.below(root, &mut seen);
            let records = pages.records(&below.leaves);
            if name == "sqlite_sequence" {
                salvage.read_sequence(&records);
            }
            let Some(table) = TABLES.into_iter().find(|table| *table == name) else { continue };
            salvage.unreadable_pages += below.unreadable;
            // A table that was created by hand may have its columns in another order.
            let columns = columns_of(&name, &sql).unwrap_or_else(|| columns[table].clone());
            for record in &records {
                salvage.keep(table, Fields { record, columns: &columns });
            }
        }
        seen.extend(pages.free());
        let unseen = (1..=pages.count()).filter(|page| !seen.contains(page) && pages.is_leaf(*page));
        for record in &pages.records(&unseen.collect::<Vec<_>>()) {
            if let Some(table) = table_by_shape(record, columns) {
                strays.keep(table, Fields { record, columns: &columns[table] });
            }
        }
        strays.vms.values_mut().for_each(|row| row.is_stray = true);
        salvage.fill_up(strays);
        salvage
    }

    fn read_sequence(&mut self, records: &[Record]) {
        for record in records {
            if let [Value::Text(name), Value::Integer(number)] = record.values.as_slice() {
                match name.as_slice() {
                    b"history" => self.history_sequence = *number,
                    b"gpu_history" => self.gpu_rows.history_sequence = *number,
                    _ => {}
                }
            }
        }
    }

    /// Keeps a row if it is valid and the newest of its VM.
    fn keep(&mut self, table: &str, fields: Fields<'_>) {
        match table {
            "vms" => match VmRow::read(fields) {
                Some(row) => {
                    let older = keep_newer(&mut self.vms, row.uuid, row, |row| row.updated_at.clone());
                    self.rejected.extend(older.map(|row| format!("a second, older row of VM {}", row.uuid)));
                }
                None => self.rejected.push(fields.shown()),
            },
            "vm_state" => {
                let rank = |row: &StateRow| (row.revision, row.pushed_revision);
                StateRow::read(fields).map(|row| keep_newer(&mut self.states, row.uuid, row, rank));
            }
            "last_starts" => {
                let rank = |row: &StartRow| row.started_at.clone();
                StartRow::read(fields).map(|row| keep_newer(&mut self.starts, row.uuid, row, rank));
            }
            "history" => {
                HistoryRow::read(fields).map(|row| self.history.insert(row.entry_id, row));
            }
            // One that is not valid has nothing to save.
            table => drop(self.gpu_rows.keep(table, fields)),
        }
    }

    /// Adds stray rows only where others are missing: they may be out of date.
    fn fill_up(&mut self, strays: Self) {
        let Self { vms, states, starts, history, gpu_rows, .. } = strays;
        self.gpu_rows.fill_up(gpu_rows);
        fill_up(&mut self.vms, vms);
        fill_up(&mut self.states, states);
        fill_up(&mut self.starts, starts);
        for (key, row) in history {
            self.history.entry(key).or_insert(row);
        }
    }
}

fn fill_up<K: Eq + Hash, T>(rows: &mut HashMap<K, T>, strays: impl IntoIterator<Item = (K, T)>) {
    for (key, row) in strays {
        rows.entry(key).or_insert(row);
    }
}

/// Keeps the newer of two rows and returns the other.
fn keep_newer<K: Eq + Hash, T, R: PartialOrd>(
    rows: &mut HashMap<K, T>,
    key: K,
    row: T,
    rank: impl Fn(&T) -> R,
) -> Option<T> {
    match rows.get(&key) {
        Some(old) if rank(&row) <= rank(old) => Some(row),
        _ => rows.insert(key, row),
    }
}

/// A table in the schema.
struct Described {
    name: String,
    root: usize,
    sql: String,
}

/// The tables of the schema that can be read.
fn described(pages: Pages<'_>, seen: &mut HashSet<usize>) -> Vec<Described> {
    let below = pages.below(1, seen);
    let described = |record: Record| match record.values.as_slice() {
        [Value::Text(kind), Value::Text(name), _, Value::Integer(root), Value::Text(sql)] if kind == b"table" => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some(Described { name: text(name), root: usize::try_from(*root).ok()?, sql: text(sql) })
        }
        _ => None,
    };
    pages.records(&below.leaves).into_iter().filter_map(described).collect()
}

/// The columns in the order of the CREATE statement.
fn columns_of(table: &str, sql: &str) -> Option<Vec<String>> {
    let connection = Connection::open_in_memory().ok().filter(|_| sql.starts_with("CREATE TABLE "))?;
    connection.execute(sql, []).ok()?;
    schema::columns(&connection, table).ok().filter(|columns| !columns.is_empty())
}

/// Finds the table of a row by its columns alone.
fn table_by_shape(record: &Record, columns: &Columns) -> Option<&'static str> {
    let is_text = |column: usize| matches!(record.values.get(column), Some(Value::Text(_)));
    let is_null = |column: usize| matches!(record.values.get(column), Some(Value::Null));
    let is_integer = |column: usize| matches!(record.values.get(column), Some(Value::Integer(_)));
    let is_pool = |column: usize| matches!(record.values.get(column), Some(Value::Text(pool)) if matches!(pool.as_slice(), b"A" | b"B"));
    let table = match record.values.len() {
        5 if is_pool(0) => "gpu_pools",
        6 if is_text(0) && is_text(1) && is_pool(2) => "gpus",
        4 if is_text(0) && is_integer(1) => "gpu_state",
        13 if is_null(0) && is_text(1) && is_text(2) => "gpu_history",
        7 if is_null(0) && is_text(1) => "vms",
        12 if is_null(0) && is_text(1) && is_text(2) => "history",
        4 | 5 if is_text(1) && is_text(2) && is_text(3) => "last_starts",
        5 | 6 if !is_text(1) => "vm_state",
        _ => return None,
    };
    let fields = Fields { record, columns: &columns[table] };
    let makes_sense = match table {
        "vms" => VmRow::read(fields).is_some(),
        "vm_state" => StateRow::read(fields).is_some(),
        "last_starts" => StartRow::read(fields).is_some(),
        "history" => HistoryRow::read(fields).is_some(),
        "gpu_pools" => PoolRow::read(fields).is_some(),
        "gpus" => GpuRow::read(fields).is_some(),
        "gpu_state" => GpuStateRow::read(fields).is_some(),
        _ => GpuHistoryRow::read(fields).is_some(),
    };
    makes_sense.then_some(table)
}
