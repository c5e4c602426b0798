//! A new database from what could be read of a damaged one, in memory until it is complete.

mod gpu_pools;

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, Params, params};

use super::salvage::{HistoryRow, Salvage, StartRow, StateRow, VmRow};
use super::{Store, StoreError, Through, schema};
use crate::entry::GpuSubject;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};

#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// VMs whose revision is lost: another host's settings override theirs.
    pub without_revision: Vec<VmUuid>,
    /// VMs whose settings were only found in the history.
    pub from_history: Vec<VmUuid>,
    /// Registered VMs whose settings were not found.
    pub lost: Vec<VmUuid>,
    /// Invalid rows.
    pub rejected: Vec<String>,
    pub unreadable_pages: usize,
    pub removals: usize,
    /// Entries.
    pub history: usize,
    pub last_starts: usize,
    /// GPU pools with settings, and GPUs that serve a GPU pool.
    pub gpu_pools: usize,
    /// Those whose revision is lost.
    pub gpu_pools_without_revision: Vec<GpuSubject>,
    /// GPUs that served a GPU pool, which was not found.
    pub gpus_lost: Vec<GpuSubject>,
}

#[derive(Debug)]
pub struct Rebuilt {
    store: Store,
    saved: Saved,
}

/// A VM, from all tables of the file.
struct Known<'a> {
    name: Option<&'a str>,
    settings: Option<Settings<'a>>,
    number: Option<DeviceVmId>,
    /// Its revision, and the one last written to XAPI.
    revisions: Option<(i64, i64)>,
    is_in_xapi: bool,
    removed_at: Option<&'a str>,
}

struct Settings<'a> {
    vm_id: Option<i64>,
    pool: PoolId,
    priority: Priority,
    created_at: Option<&'a str>,
    updated_at: Option<&'a str>,
}

impl Rebuilt {
    pub(super) fn of(salvage: Salvage, history: u32) -> Result<Self, StoreError> {
        let mut connection = schema::reference(schema::LATEST_SCHEMA)?;
        let transaction = connection.transaction()?;
        let saved = write(&transaction, salvage)?;
        transaction.commit()?;
        Ok(Self { store: Store::new(connection, None).with_history(Through::Cli, history), saved })
    }

    /// The new database, to be completed from XAPI.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    #[must_use]
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// The time, for a file name.
    pub(super) fn now(&self) -> Result<String, StoreError> {
        let sql = "SELECT strftime('%Y%m%dT%H%M%SZ', 'now')";
        Ok(self.store.connection.query_row(sql, [], |row| row.get(0))?)
    }
}

fn write(connection: &Connection, salvage: Salvage) -> Result<Saved, StoreError> {
    let mut saved = Saved { unreadable_pages: salvage.unreadable_pages, ..Saved::default() };
    let changes = salvage.history.values().filter_map(|change| Some((change.vm_uuid.parse().ok()?, change)));
    // Of several changes of a VM, the last one stays.
    let last_changes: HashMap<VmUuid, &HistoryRow> = changes.collect();
    let vms: BTreeSet<_> = salvage.vms.keys().chain(salvage.states.keys()).chain(last_changes.keys()).collect();
    let (mut registered, mut removed) = (Vec::new(), Vec::new());
    for uuid in vms {
        let (row, state, last) = (salvage.vms.get(uuid), salvage.states.get(uuid), last_changes.get(uuid));
        match put_together(row, state, last.copied()) {
            Some(known) if known.settings.is_some() => {
                if row.is_none() {
                    saved.from_history.push(*uuid);
                }
                if known.revisions.is_none() {
                    saved.without_revision.push(*uuid);
                }
                registered.push((uuid, known));
            }
            Some(known) => removed.push((uuid, known)),
            None if state.is_some() => saved.lost.push(*uuid),
            None => {}
        }
    }
    registered.sort_by_key(|(_, known)| known.settings.as_ref().and_then(|settings| settings.vm_id));
    saved.removals = removed.len();
    // Registered VMs first: they win if a removed one has the same number.
    for (uuid, known) in registered.iter().chain(&removed) {
        write_vm(connection, uuid, known)?;
    }
    // The triggers have recorded all of this as changes.
    connection.execute("DELETE FROM history", [])?;
    salvage.history.values().try_for_each(|change| write_change(connection, change))?;
    salvage.starts.values().try_for_each(|start| write_start(connection, start))?;
    // New entries need higher numbers than those that last starts refer to.
    let remembered = salvage.starts.values().filter_map(|start| start.history_entry);
    let last = salvage.history.keys().copied().chain(remembered).chain([salvage.history_sequence]).max();
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'history'", [])?;
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('history', ?1)", [last.unwrap_or_default()])?;
    gpu_pools::write(connection, &salvage.gpu_rows, &mut saved)?;
    saved.history = salvage.history.len() + salvage.gpu_rows.history.len();
    saved.last_starts = salvage.starts.len();
    saved.rejected = salvage.rejected;
    Ok(saved)
}

/// `None` if the VM was registered but its settings are lost.
fn put_together<'a>(
    row: Option<&'a VmRow>,
    state: Option<&'a StateRow>,
    last: Option<&'a HistoryRow>,
) -> Option<Known<'a>> {
    let revisions = state.map(|state| (state.revision, state.pushed_revision));
    let removed_at = state.and_then(|state| state.removed_at.as_deref());
    // A row in its table is registered, as for every program; a stray one may be older than the removal.
    let is_after_removal = row.is_some_and(|row| row.updated_at.as_deref() > removed_at);
    let is_removed = removed_at.is_some() && row.is_none_or(|row| row.is_stray) && !is_after_removal;
    let settings = match row {
        _ if is_removed => None,
        Some(row) => Some(Settings {
            vm_id: Some(row.vm_id).filter(|vm_id| *vm_id > 0),
            pool: row.pool,
            priority: row.priority,
            created_at: row.created_at.as_deref(),
            updated_at: row.updated_at.as_deref(),
        }),
        None => Some(settings_in(last?)?),
    };
    // A row that is newer than the removal was registered again: that is one more change.
    let is_back = settings.is_some() && removed_at.is_some() && is_after_removal;
    let number = last.and_then(|last| last.new.2.or(last.old.2)).and_then(|number| number.try_into().ok());
    Some(Known {
        name: row.map_or_else(|| last.and_then(|last| last.vm_name.as_deref()), |row| row.name.as_deref()),
        number: state.map_or(number, |state| state.number),
        revisions: revisions.map(|(revision, pushed)| (revision + i64::from(is_back), pushed)),
        is_in_xapi: state.is_none_or(|state| state.known_to_xapi),
        removed_at: removed_at.filter(|_| settings.is_none()),
        settings,
    })
}

/// The settings after a change.
fn settings_in(change: &HistoryRow) -> Option<Settings<'_>> {
    let (pool, priority, _) = &change.new;
    Some(Settings {
        vm_id: None,
        pool: pool.as_ref()?.parse().ok()?,
        priority: (*priority)?.to_string().parse().ok()?,
        created_at: Some(&change.changed_at),
        updated_at: Some(&change.changed_at),
    })
}

fn write_vm(connection: &Connection, uuid: &VmUuid, known: &Known<'_>) -> Result<(), StoreError> {
    let key = uuid.to_string();
    if let Some(Settings { vm_id, pool, priority, created_at, updated_at }) = &known.settings {
        execute(
            connection,
            "INSERT INTO vms (vm_id, vm_uuid, vm_name, pool_id, priority, created_at, updated_at)
             VALUES ((SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM vms WHERE vm_id = ?1)), ?2, ?3, ?4, ?5, ?6, ?7)",
            params![vm_id, key, known.name, pool.as_str(), priority.as_number(), created_at, updated_at],
        )?;
    } else {
        execute(connection, "INSERT INTO vm_state (vm_uuid) VALUES (?1)", [&key])?;
    }
    execute(
        connection,
        "UPDATE vm_state SET device_vm_id = ?2
         WHERE vm_uuid = ?1 AND NOT EXISTS (SELECT 1 FROM vm_state WHERE device_vm_id = ?2)",
        params![key, known.number.map(DeviceVmId::get)],
    )?;
    let (revision, pushed) = known.revisions.unwrap_or_default();
    execute(
        connection,
        "UPDATE vm_state SET revision = ?2, pushed_revision = ?3, removed_at = ?4, known_to_xapi = ?5 WHERE vm_uuid = ?1",
        params![key, revision, pushed, known.removed_at, known.is_in_xapi],
    )?;
    Ok(())
}

fn write_change(connection: &Connection, change: &HistoryRow) -> Result<(), StoreError> {
    let HistoryRow { entry_id, changed_at, vm_uuid, vm_name, through, changed_by, old, new } = change;
    execute(
        connection,
        "INSERT INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![entry_id, changed_at, vm_uuid, vm_name, through, changed_by, old.0, old.1, old.2, new.0, new.1, new.2],
    )?;
    Ok(())
}

fn write_start(connection: &Connection, start: &StartRow) -> Result<(), StoreError> {
    let StartRow { uuid, started_at, host_uuid, device_argument, history_entry } = start;
    execute(
        connection,
        "INSERT INTO last_starts (vm_uuid, started_at, host_uuid, device_argument, history_entry) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![uuid.to_string(), started_at, host_uuid, device_argument, history_entry],
    )?;
    Ok(())
}

/// Cached, because thousands of rows use few statements.
fn execute(connection: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}
