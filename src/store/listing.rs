//! Reads all VMs.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rusqlite::{Row, params};

use super::StoreError;
use super::records::{Filter, StoredVm};
use super::rows::{Reading, START_COLUMNS, STATE_COLUMNS, VM_COLUMNS, VmState, read_last_start, read_uuid, text};
use crate::model::{PoolId, Priority, VmUuid};

/// How many VMs are read at a time.
const PAGE: usize = 100;

impl Reading<'_> {
    /// Calls `visit` for every VM that matches the filter: by GPU pool, most urgent first, then by name. The database is
    /// not held meanwhile.
    ///
    /// # Errors
    /// The database cannot be read, a row cannot be understood, or `visit` fails.
    pub fn for_each_vm<E: From<StoreError>>(
        &self,
        filter: Filter,
        visit: &mut dyn FnMut(StoredVm) -> Result<(), E>,
    ) -> Result<(), E> {
        // Read all of them before the first is visited: a program that prints them into a pager must not hold up other
        // programs' commits.
        let mut vms = self.vms(filter)?;
        // SQLite would sort whole rows, on the disk if there are many.
        vms.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
        vms.into_iter().try_for_each(visit)
    }

    /// Calls `visit` for every VM that matches the filter, by UUID, until it breaks. A few rows are in memory at a time, and the
    /// database is not held while they are visited. A VM that is registered all the while is visited exactly once; changes made
    /// meanwhile may or may not be seen.
    ///
    /// # Errors
    /// As [`Self::for_each_vm`].
    pub fn visit_vms<E: From<StoreError>>(
        &self,
        filter: Filter,
        visit: &mut dyn FnMut(StoredVm) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut after = String::new();
        loop {
            let page = self.page(filter, &after)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            for (_, vm) in page {
                if visit(vm)?.is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// The next VMs, with their UUIDs as they are stored.
    fn page(&self, filter: Filter, after: &str) -> Result<Vec<(String, StoredVm)>, StoreError> {
        let sql = format!(
            "SELECT {VM_COLUMNS}, {STATE_COLUMNS}, {START_COLUMNS} FROM vms
             LEFT JOIN vm_state ON vm_state.vm_uuid = lower(vms.vm_uuid)
             LEFT JOIN last_starts ON last_starts.vm_uuid = lower(vms.vm_uuid)
             WHERE vms.vm_uuid > ?1 AND (?2 IS NULL OR pool_id = ?2) AND (?3 IS NULL OR priority = ?3)
             ORDER BY vms.vm_uuid LIMIT {PAGE}"
        );
        let mut statement = self.connection().prepare_cached(&sql)?;
        let mut rows = statement.query(params![
            after,
            filter.pool.map(PoolId::as_str),
            filter.priority.map(Priority::as_number)
        ])?;
        let mut page = Vec::new();
        while let Some(row) = rows.next()? {
            let vm = self.stored_vm(row, VmState::read(row, 6)?, read_last_start(row, 10)?)?;
            page.push((text(row, 0)?.to_owned(), vm));
        }
        Ok(page)
    }

    /// Reads each table from its beginning to its end: a join would look up rows of two tables in random order, for every
    /// VM.
    fn vms(&self, filter: Filter) -> Result<Vec<StoredVm>, StoreError> {
        let _snapshot = self.snapshot()?;
        let mut states = self.by_vm(&format!("SELECT vm_uuid, {STATE_COLUMNS} FROM vm_state"), VmState::read)?;
        let mut starts = self.by_vm(&format!("SELECT vm_uuid, {START_COLUMNS} FROM last_starts"), read_last_start)?;
        let sql = format!(
            "SELECT {VM_COLUMNS} FROM vms WHERE (?1 IS NULL OR pool_id = ?1) AND (?2 IS NULL OR priority = ?2)"
        );
        let mut statement = self.connection().prepare_cached(&sql)?;
        let pool = filter.pool.map(PoolId::as_str);
        let priority = filter.priority.map(Priority::as_number);
        let mut rows = statement.query(params![pool, priority])?;
        let mut vms = Vec::new();
        while let Some(row) = rows.next()? {
            let uuid = read_uuid(row)?;
            // Copied: the next row may be the same VM's, with its UUID in upper case.
            let state = match states.get(&uuid) {
                Some(Ok(state)) => *state,
                Some(Err(_)) => states.remove(&uuid).transpose()?.unwrap_or(VmState::UNSEEN),
                None => VmState::UNSEEN,
            };
            vms.push(self.stored_vm(row, state, starts.remove(&uuid).transpose()?.flatten())?);
        }
        Ok(vms)
    }

    fn by_vm<T>(
        &self,
        sql: &str,
        read: impl Fn(&Row<'_>, usize) -> rusqlite::Result<T>,
    ) -> Result<RowsByVm<T>, StoreError> {
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        let mut by_vm = HashMap::new();
        while let Some(row) = rows.next()? {
            // As everywhere else, a UUID in upper case belongs to no VM.
            let key = text(row, 0).ok().filter(|key| !key.bytes().any(|byte| byte.is_ascii_uppercase()));
            if let Some(uuid) = key.and_then(|key| key.parse().ok()) {
                by_vm.insert(uuid, read(row, 1));
            }
        }
        Ok(by_vm)
    }
}

/// The rows of a table. A row that cannot be read is an error only if its VM is listed.
type RowsByVm<T> = HashMap<VmUuid, rusqlite::Result<T>>;
