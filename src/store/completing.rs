//! Completes rows that were inserted by hand. Triggers note which ones.

use rusqlite::params;

use super::history::LastEntries;
use super::rows::text_of_people;
use super::writing::Writing;
use super::{Store, StoreError};
use crate::model::VmUuid;

impl Store {
    /// Completes rows that were inserted by hand, and records the removal of rows that have disappeared.
    pub(super) fn complete_rows(&self) -> Result<(), StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM vms_to_complete)";
        let lacks_something = self.connection.query_row(sql, [], |row| row.get::<_, bool>(0))?;
        if !lacks_something && !self.read().gpu_rows_lack_something()? {
            return Ok(());
        }
        let writing = self.write()?;
        let vms = writing.vms_to_complete()?;
        for vm in &vms {
            writing.note_if_vanished(vm)?;
        }
        writing.complete_gpu_rows()?;
        // They were removed by hand, so no program signs for them.
        writing.set_signed_until(LastEntries::of(writing.transaction())?);
        for vm in &vms {
            writing.complete(vm)?;
        }
        writing.execute("DELETE FROM vms_to_complete", [])?;
        writing.commit()
    }
}

impl Writing<'_> {
    /// Completes every row that lacks something.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn complete_all(&self) -> Result<(), StoreError> {
        self.complete_gpu_rows()?;
        self.vms_to_complete()?.iter().try_for_each(|uuid| self.complete(uuid))
    }

    /// The VMs that may lack something. An invalid UUID is left out here; `check` reports it.
    fn vms_to_complete(&self) -> Result<Vec<VmUuid>, StoreError> {
        let mut statement = self.transaction().prepare("SELECT vm_uuid FROM vms_to_complete ORDER BY vm_uuid")?;
        let texts = statement.query_map([], |row| text_of_people(row, 0))?.collect::<Result<Vec<_>, _>>()?;
        Ok(texts.into_iter().flatten().filter_map(|text| text.parse().ok()).collect())
    }

    /// Adds what only a program can: a registered VM's row in `vm_state`, and its device's number.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn complete(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        let key = uuid.to_string();
        self.execute(
            "INSERT INTO vm_state (vm_uuid, revision)
             SELECT vm_uuid, 1 FROM vms
             WHERE vm_uuid = ?1 AND NOT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = ?1)",
            [&key],
        )?;
        let sql = "SELECT EXISTS (SELECT 1 FROM vms JOIN vm_state USING (vm_uuid)
                   WHERE vm_uuid = ?1 AND device_vm_id IS NULL)";
        if self.transaction().prepare_cached(sql)?.query_row([&key], |row| row.get(0))? {
            let number = self.read().free_number(uuid)?;
            self.execute("UPDATE vm_state SET device_vm_id = ?2 WHERE vm_uuid = ?1", params![key, number.get()])?;
        }
        Ok(())
    }

    /// Records a VM as removed by hand if its row has disappeared: `REPLACE` deletes the row in its place without firing a
    /// trigger.
    fn note_if_vanished(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        let key = uuid.to_string();
        let noted = self.execute(
            "UPDATE vm_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP
             WHERE vm_uuid = ?1 AND removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM vms WHERE vm_uuid = ?1)",
            [&key],
        )?;
        if noted > 0 {
            self.execute(
                "INSERT INTO history (vm_uuid, vm_name, old_pool_id, old_priority, old_device_vm_id)
                 SELECT vm_uuid, vm_name, new_pool_id, new_priority, new_device_vm_id FROM history
                 WHERE entry_id = (SELECT max(entry_id) FROM history WHERE vm_uuid = ?1) AND new_pool_id IS NOT NULL",
                [&key],
            )?;
        }
        Ok(())
    }
}
