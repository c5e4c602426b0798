//! Changing the rows.

use std::cell::{Cell, RefCell};

use rusqlite::{Transaction, params};

use super::history::{Through, last_entry};
use super::rows::Reading;
use super::{HistoryKeeping, StoreError};
use crate::entry::LARGEST_REVISION;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};

/// A change under way: one transaction, which also reads what it has written.
#[derive(Debug)]
pub struct Writing<'c> {
    transaction: Transaction<'c>,
    history: HistoryKeeping,
    user: RefCell<Option<String>>,
    /// The last entry of the history before this change.
    began_after: i64,
    /// The last entry of the history that says who changed what.
    signed_until: Cell<i64>,
}

impl<'c> Writing<'c> {
    pub(super) fn new(transaction: Transaction<'c>, history: HistoryKeeping) -> Result<Self, StoreError> {
        let began_after = last_entry(&transaction)?;
        Ok(Self { transaction, history, user: RefCell::default(), began_after, signed_until: Cell::new(began_after) })
    }

    /// Says in whose name the change is made, for the history.
    pub fn set_user(&self, user: Option<String>) {
        self.user.replace(user);
    }

    pub(super) fn through(&self) -> Through {
        self.history.through
    }

    pub(super) fn user_for(&self, through: Through) -> Option<String> {
        if through == self.history.through { self.user.borrow().clone() } else { None }
    }

    pub(super) fn signed_until(&self) -> i64 {
        self.signed_until.get()
    }

    pub(super) fn set_signed_until(&self, entry: i64) {
        self.signed_until.set(entry);
    }

    pub(super) fn transaction(&self) -> &Transaction<'c> {
        &self.transaction
    }

    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize, StoreError> {
        Ok(self.transaction.prepare_cached(sql)?.execute(params)?)
    }

    /// Does a part of the change: all of it, or, where it fails, nothing.
    ///
    /// # Errors
    /// As the part has them, or the database cannot be written.
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

    /// What the database says with this change in it.
    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        Reading::new(&self.transaction)
    }

    /// Adds a VM that is not registered. Its `vm_id` is the one asked for, the one it had before it was removed, or
    /// one derived from its UUID.
    ///
    /// # Errors
    /// The database cannot be written, or the number is another VM's.
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

    /// Adds a VM that was never registered, because a setting says so: it counts less than what anybody chooses, on whatever
    /// host.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn insert_by_default(&self, uuid: &VmUuid, pool: PoolId, priority: Priority) -> Result<(), StoreError> {
        self.insert(uuid, None, pool, priority, None)?;
        let sql = "UPDATE vm_state SET revision = 0, pushed_revision = -1 WHERE vm_uuid = ?1";
        self.execute(sql, [uuid.to_string()])?;
        Ok(())
    }

    /// Changes a registered VM's GPU pool and priority; the same again is no change.
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

    /// Gives a VM's device another number.
    ///
    /// # Errors
    /// The database cannot be written, or the number is another VM's.
    pub fn set_number(&self, uuid: &VmUuid, vm_id: DeviceVmId) -> Result<(), StoreError> {
        // A removed VM keeps its number in case it comes back, but not against one that is here.
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

    /// Notes a VM's name; it is for people only and no change of its settings.
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

    /// Takes a VM's number away until another is set in the same change, as a change of its own.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn park_number(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        let sql = "UPDATE vm_state SET device_vm_id = NULL, revision = revision + 1 WHERE vm_uuid = ?1";
        self.execute(sql, [uuid.to_string()])?;
        Ok(())
    }

    /// Removes a VM's settings. What stays is that it had some, and its device's number.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        self.execute("DELETE FROM vms WHERE vm_uuid = ?1", [uuid.to_string()])?;
        Ok(())
    }

    /// Forgets a VM altogether, as if this host had never heard of it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn forget(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        for table in ["vms", "vm_state", "last_starts"] {
            self.execute(&format!("DELETE FROM {table} WHERE vm_uuid = ?1"), [uuid.to_string()])?;
        }
        Ok(())
    }

    /// Notes that XAPI was told of a VM up to a revision, and whether it knows the VM. A row that has counted past the largest
    /// revision was told with that one.
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

    /// Notes what a VM's start is given, and the last change of the VM that it knows of ([`Reading::last_change`]).
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

    /// Makes the change.
    ///
    /// # Errors
    /// It could not be written; nothing has happened then.
    pub fn commit(self) -> Result<(), StoreError> {
        self.sign(|_| self.history.through)?;
        if self.signed_until() > self.began_after {
            self.shorten_history(self.history.keep)?;
        }
        Ok(self.transaction.commit()?)
    }
}
