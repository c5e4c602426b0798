//! Changes the rows.

use std::cell::{Cell, RefCell};

use rusqlite::{Transaction, params};

use super::history::{LastEntries, Through};
use super::rows::Reading;
use super::{HistoryKeeping, StoreError};
use crate::entry::LARGEST_REVISION;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};

/// A change in progress: one transaction, which can also read its own changes.
#[derive(Debug)]
pub struct Writing<'c> {
    transaction: Transaction<'c>,
    history: HistoryKeeping,
    user: RefCell<Option<String>>,
    /// The last entries of the histories before this change.
    began_after: LastEntries,
    /// The last signed entries of the histories.
    signed_until: Cell<LastEntries>,
}

impl<'c> Writing<'c> {
    pub(super) fn new(transaction: Transaction<'c>, history: HistoryKeeping) -> Result<Self, StoreError> {
        let began_after = LastEntries::of(&transaction)?;
        Ok(Self { transaction, history, user: RefCell::default(), began_after, signed_until: Cell::new(began_after) })
    }

    /// Sets the user, for the history.
    pub fn set_user(&self, user: Option<String>) {
        self.user.replace(user);
    }

    pub(super) fn through(&self) -> Through {
        self.history.through
    }

    pub(super) fn user_for(&self, through: Through) -> Option<String> {
        if through == self.history.through { self.user.borrow().clone() } else { None }
    }

    pub(super) fn signed_until(&self) -> LastEntries {
        self.signed_until.get()
    }

    pub(super) fn set_signed_until(&self, entries: LastEntries) {
        self.signed_until.set(entries);
    }

    pub(super) fn transaction(&self) -> &Transaction<'c> {
        &self.transaction
    }

    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        Ok(self.transaction.prepare_cached(sql)?.execute(params)?)
    }

    /// Makes a part of the change, all of it or nothing.
    ///
    /// # Errors
    /// The part's own, or the database cannot be written.
    pub fn attempt<T, E: From<StoreError>>(&self, part: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.execute("SAVEPOINT part", [])?;
        let signed_until = self.signed_until();
        let outcome = part();
        if outcome.is_err() {
            self.set_signed_until(signed_until);
            self.execute("ROLLBACK TO part", [])?;
        }
        self.execute("RELEASE part", [])?;
        outcome
    }

    /// Reads the database with this change in it.
    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        Reading::new(&self.transaction)
    }

    /// Registers a VM. Its `vm_id` is the given one, the one that it had before it was removed, or one derived from its UUID.
    ///
    /// # Errors
    /// The database cannot be written, or another VM has the number.
    pub fn insert(
        &self,
        uuid: &VmUuid,
        name: Option<&str>,
        pool: PoolId,
        priority: Priority,
        vm_id: Option<DeviceVmId>,
    ) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES (?1, ?2, ?3, ?4)",
            params![uuid.to_string(), name, pool.as_str(), priority.as_number()],
        )?;
        match vm_id {
            Some(vm_id) => self.set_number(uuid, vm_id),
            None => self.complete(uuid),
        }
    }

    /// Registers a VM because of `unregistered` in the settings file. Any explicit setting on any host overrides it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn insert_by_default(&self, uuid: &VmUuid, pool: PoolId, priority: Priority) -> Result<(), StoreError> {
        self.insert(uuid, None, pool, priority, None)?;
        let sql = "UPDATE vm_state SET revision = 0, pushed_revision = -1 WHERE vm_uuid = ?1";
        self.execute(sql, [uuid.to_string()])?;
        Ok(())
    }

    /// Equal values are no change.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn set_pool_and_priority(&self, uuid: &VmUuid, pool: PoolId, priority: Priority) -> Result<(), StoreError> {
        self.execute(
            "UPDATE vms SET pool_id = ?2, priority = ?3 WHERE vm_uuid = ?1 AND (pool_id <> ?2 OR priority <> ?3)",
            params![uuid.to_string(), pool.as_str(), priority.as_number()],
        )?;
        Ok(())
    }

    /// # Errors
    /// The database cannot be written, or another VM has the number.
    pub fn set_number(&self, uuid: &VmUuid, vm_id: DeviceVmId) -> Result<(), StoreError> {
        // A removed VM keeps its number in case it is registered again, but a registered VM takes precedence.
        self.execute(
            "UPDATE vm_state SET device_vm_id = NULL WHERE device_vm_id = ?1 AND removed_at IS NOT NULL AND vm_uuid <> ?2",
            params![vm_id.get(), uuid.to_string()],
        )?;
        self.execute(
            "UPDATE vm_state SET device_vm_id = ?2 WHERE vm_uuid = ?1",
            params![uuid.to_string(), vm_id.get()],
        )?;
        Ok(())
    }

    /// The name is for people and not a change of the settings.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn set_name(&self, uuid: &VmUuid, name: &str) -> Result<(), StoreError> {
        self.execute(
            "UPDATE vms SET vm_name = ?2 WHERE vm_uuid = ?1 AND vm_name IS NOT ?2",
            params![uuid.to_string(), name],
        )?;
        Ok(())
    }

    /// Clears a VM's number until another is set in the same transaction. Counts as a change of its own.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn park_number(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        let sql = "UPDATE vm_state SET device_vm_id = NULL, revision = revision + 1 WHERE vm_uuid = ?1";
        self.execute(sql, [uuid.to_string()])?;
        Ok(())
    }

    /// Removes a VM's settings. Its revision and its device's number stay.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        self.execute("DELETE FROM vms WHERE vm_uuid = ?1", [uuid.to_string()])?;
        Ok(())
    }

    /// Deletes everything about a VM, as if it had never been registered on this host.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn forget(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        for table in ["vms", "vm_state", "last_starts"] {
            self.execute(&format!("DELETE FROM {table} WHERE vm_uuid = ?1"), [uuid.to_string()])?;
        }
        Ok(())
    }

    /// Records the revision that was written to XAPI, and whether XAPI knows the VM. For a row beyond the largest revision, the
    /// largest counts as its revision.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn mark_pushed(&self, uuid: &VmUuid, revision: i64, is_known: bool) -> Result<(), StoreError> {
        self.execute(
            "UPDATE vm_state
             SET pushed_revision = CASE WHEN ?2 >= ?4 THEN max(revision, ?2) ELSE ?2 END, known_to_xapi = ?3
             WHERE vm_uuid = ?1",
            params![uuid.to_string(), revision, is_known, LARGEST_REVISION],
        )?;
        Ok(())
    }

    /// Records the argument of a VM's start, and the last change that the start knew of ([`Reading::last_change`]).
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn note_start(
        &self,
        uuid: &VmUuid,
        host_uuid: &str,
        device_argument: &str,
        last_change: i64,
    ) -> Result<(), StoreError> {
        self.execute("DELETE FROM last_starts WHERE vm_uuid = ?1", [uuid.to_string()])?;
        self.execute(
            "INSERT INTO last_starts (vm_uuid, host_uuid, device_argument, history_entry)
             VALUES (?1, ?2, ?3, ?4)",
            params![uuid.to_string(), host_uuid, device_argument, last_change],
        )?;
        Ok(())
    }

    /// # Errors
    /// The change could not be written and has no effect.
    pub fn commit(self) -> Result<(), StoreError> {
        self.sign(|_| self.history.through)?;
        if self.signed_until() != self.began_after {
            self.shorten_history(self.history.keep)?;
        }
        Ok(self.transaction.commit()?)
    }
}
