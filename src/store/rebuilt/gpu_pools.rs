//! The GPU pools and GPUs of a new database, from what could be read of a damaged one.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::gpu_pools::set_gpu_pool;
use super::super::salvage::{GpuHistoryRow, GpuRows, GpuStateRow};
use super::{Saved, execute};
use crate::entry::GpuSubject;
use crate::model::{Gpu, GpuPoolSettings, PoolId};

pub(super) fn write(connection: &Connection, rows: &GpuRows, saved: &mut Saved) -> Result<(), StoreError> {
    let changes = rows.history.values().filter_map(|change| Some((change.subject.parse().ok()?, change)));
    // Of several changes, the last one stays.
    let last_changes: HashMap<GpuSubject, &GpuHistoryRow> = changes.collect();
    let subjects = rows.states.keys().chain(last_changes.keys()).copied();
    let subjects = subjects.chain(rows.gpus.keys().copied().map(GpuSubject::Gpu));
    let subjects = subjects.chain(PoolId::ALL.map(GpuSubject::Pool));
    for subject in subjects.collect::<BTreeSet<_>>() {
        let last = last_changes.get(&subject).copied();
        let (is_there, is_known) = match subject {
            GpuSubject::Pool(pool) => (write_pool(connection, pool, rows, last)?, true),
            GpuSubject::Gpu(gpu) => write_gpu(connection, gpu, rows, last)?,
        };
        saved.gpu_pools += usize::from(is_there);
        let state = rows.states.get(&subject);
        if is_there && state.is_none() {
            saved.gpu_pools_without_revision.push(subject);
        }
        if is_known {
            write_state(connection, subject, state, is_there)?;
        } else if state.is_some() {
            saved.gpus_lost.push(subject);
        }
    }
    write_history(connection, rows)
}

/// Returns whether it has settings.
fn write_pool(
    connection: &Connection,
    pool: PoolId,
    rows: &GpuRows,
    last: Option<&GpuHistoryRow>,
) -> Result<bool, StoreError> {
    let (settings, updated_at) = match (rows.pools.get(&pool), last) {
        (Some(row), _) => (Some(row.settings.clone()), row.updated_at.as_deref()),
        (None, Some(last)) => (last.new.settings(), Some(last.changed_at.as_str())),
        (None, None) => (None, None),
    };
    set_gpu_pool(connection, pool, settings.as_ref().unwrap_or(&GpuPoolSettings::default()))?;
    // By itself: a time that is the same as before would be taken for none by the trigger.
    let sql = "UPDATE gpu_pools SET updated_at = coalesce(?2, updated_at) WHERE pool_id = ?1";
    execute(connection, sql, params![pool.as_str(), updated_at])?;
    Ok(settings.is_some_and(|settings| settings != GpuPoolSettings::default()))
}

/// Returns whether it serves a GPU pool, and whether that is known.
fn write_gpu(
    connection: &Connection,
    gpu: Gpu,
    rows: &GpuRows,
    last: Option<&GpuHistoryRow>,
) -> Result<(bool, bool), StoreError> {
    let row = rows.gpus.get(&gpu);
    let state = rows.states.get(&GpuSubject::Gpu(gpu));
    if state.is_some_and(|state| state.removed_at.is_some()) && row.is_none_or(|row| row.is_stray) {
        return Ok((false, true));
    }
    let from_history = || last.and_then(|last| last.new.pool.as_ref()?.parse().ok());
    let Some(pool) = row.map(|row| row.pool).or_else(from_history) else { return Ok((false, false)) };
    execute(
        connection,
        "INSERT INTO gpus (host_uuid, pci_address, pool_id, device_name, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            gpu.host.to_string(),
            gpu.address.to_string(),
            pool.as_str(),
            row.and_then(|row| row.device_name.as_deref()),
            row.map_or(last.map(|last| last.changed_at.as_str()), |row| row.created_at.as_deref()),
            row.map_or(last.map(|last| last.changed_at.as_str()), |row| row.updated_at.as_deref()),
        ],
    )?;
    Ok((true, true))
}

/// After the triggers have counted what was written. A lost revision counts as none: what other hosts have overrides it.
fn write_state(
    connection: &Connection,
    subject: GpuSubject,
    state: Option<&GpuStateRow>,
    is_there: bool,
) -> Result<(), StoreError> {
    let key = subject.to_string();
    execute(connection, "DELETE FROM gpu_state WHERE subject = ?1", [&key])?;
    let removed_at = state.and_then(|state| state.removed_at.as_deref());
    // A row that is there although it was removed has returned: that is one more change.
    let revision = state.map_or(0, |state| state.revision + i64::from(is_there && removed_at.is_some()));
    execute(
        connection,
        "INSERT INTO gpu_state (subject, revision, pushed_revision, removed_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            key,
            revision,
            state.map_or(0, |state| state.pushed_revision),
            removed_at.filter(|_| !is_there && matches!(subject, GpuSubject::Gpu(_)))
        ],
    )?;
    Ok(())
}

fn write_history(connection: &Connection, rows: &GpuRows) -> Result<(), StoreError> {
    // The triggers have recorded all of this as changes.
    connection.execute("DELETE FROM gpu_history", [])?;
    for (entry, GpuHistoryRow { changed_at, subject, through, changed_by, old, new }) in &rows.history {
        execute(
            connection,
            "INSERT INTO gpu_history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            params![
                entry,
                changed_at,
                subject,
                through,
                changed_by,
                old.pool,
                old.name,
                old.description,
                old.max_vms,
                new.pool,
                new.name,
                new.description,
                new.max_vms
            ],
        )?;
    }
    let last = rows.history.keys().copied().chain([rows.history_sequence]).max();
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'gpu_history'", [])?;
    let sql = "INSERT INTO sqlite_sequence (name, seq) VALUES ('gpu_history', ?1)";
    connection.execute(sql, [last.unwrap_or_default()])?;
    Ok(())
}
