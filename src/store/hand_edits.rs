//! Edits by hand that no other host knows of. Such an edit is made to the newest settings, whoever has written them: a host that
//! has not heard of another host's change must not lose the edit to it, nor the other host's change to the edit.

use rusqlite::{OptionalExtension, Row, params};

use super::StoreError;
use super::history::{HeldSettings, Through, held};
use super::rows::Reading;
use super::writing::Writing;
use crate::entry::Entry;
use crate::model::{PoolId, Priority, VmSettings, VmUuid};

/// What the history says of an edit that was made again. It is done once: what other hosts change after that is newer.
const MADE_AGAIN: &str = "made again to what another host has changed";

/// What somebody has edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandEdit {
    /// The VM was removed.
    Removal,
    /// It was registered with these settings.
    Registration(VmSettings),
    /// It was given some of these settings; what was not edited is `None`.
    Change { pool: Option<PoolId>, priority: Option<Priority>, vm_id: Option<i64>, whole: VmSettings },
}

impl Reading<'_> {
    /// Whether a VM's newest change was made by hand, and XAPI was not told of it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_edited_by_hand(&self, uuid: &VmUuid) -> Result<bool, StoreError> {
        let sql = "
            SELECT through = 'by hand' AND changed_by IS NULL FROM history JOIN vm_state USING (vm_uuid)
            WHERE vm_uuid = ?1 AND pushed_revision < revision ORDER BY entry_id DESC LIMIT 1";
        let mut statement = self.connection().prepare_cached(sql)?;
        Ok(statement.query_row([uuid.to_string()], |row| row.get(0)).optional()?.unwrap_or_default())
    }

    /// Whether a VM's newest change was made by hand, without knowing what another host has written.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_edited_without(&self, uuid: &VmUuid, there: &Entry) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = ?1 AND pushed_revision < ?2)";
        let mut statement = self.connection().prepare_cached(sql)?;
        let is_unknown: bool = statement.query_row(params![uuid.to_string(), there.revision], |row| row.get(0))?;
        Ok(is_unknown && self.is_edited_by_hand(uuid)?)
    }

    /// What was edited by hand since a program changed the VM last; `None` where nothing was.
    pub(super) fn hand_edit(&self, uuid: &VmUuid) -> Result<Option<HandEdit>, StoreError> {
        if !self.is_edited_by_hand(uuid)? {
            return Ok(None);
        }
        let Some(now) = self.entry(uuid)?.map(|entry| entry.settings) else { return Ok(None) };
        let Some(whole) = now else { return Ok(Some(HandEdit::Removal)) };
        let sql = "
            SELECT old_pool_id, old_priority, old_device_vm_id FROM history
            WHERE vm_uuid = ?1 AND entry_id > (SELECT coalesce(max(entry_id), 0) FROM history
                WHERE vm_uuid = ?1 AND (through <> 'by hand' OR changed_by IS NOT NULL))
            ORDER BY entry_id LIMIT 1";
        let before = self.connection().query_row(sql, [uuid.to_string()], |row: &Row<'_>| held(row, 0))?;
        Ok(Some(match before {
            None => HandEdit::Registration(whole),
            Some(HeldSettings { pool, priority, vm_id }) => HandEdit::Change {
                pool: Some(whole.pool).filter(|now| now.as_str() != pool),
                priority: Some(whole.priority).filter(|now| i64::from(now.as_number()) != priority),
                vm_id: Some(whole.vm_id.get().into()).filter(|now| vm_id.is_some_and(|before| before != *now)),
                whole,
            },
        }))
    }
}

impl Writing<'_> {
    /// Makes an edit again, after what another host has written was taken over.
    pub(super) fn make_again(&self, uuid: &VmUuid, edit: HandEdit) -> Result<(), StoreError> {
        let registered = self.read().vm(uuid)?;
        match (edit, registered) {
            (HandEdit::Removal, _) => self.remove(uuid)?,
            (HandEdit::Registration(settings) | HandEdit::Change { whole: settings, .. }, None) => {
                self.insert(uuid, None, settings.pool, settings.priority, None)?;
            }
            (HandEdit::Registration(VmSettings { pool, priority, .. }), Some(_)) => {
                self.set_pool_and_priority(uuid, pool, priority)?;
            }
            (HandEdit::Change { pool, priority, vm_id, .. }, Some(vm)) => {
                let now = vm.settings;
                self.set_pool_and_priority(uuid, pool.unwrap_or(now.pool), priority.unwrap_or(now.priority))?;
                if let Some(vm_id) = vm_id.and_then(|vm_id| vm_id.try_into().ok())
                    && self.read().owner_of(vm_id)?.is_none()
                {
                    self.set_number(uuid, vm_id)?;
                }
            }
        }
        Ok(())
    }

    /// Signs the edits that were made again.
    pub(super) fn sign_as_made_again(&self) -> Result<(), StoreError> {
        let before = self.signed_until();
        self.sign(|_| Through::ByHand)?;
        self.execute("UPDATE history SET changed_by = ?2 WHERE entry_id > ?1", params![before, MADE_AGAIN])?;
        Ok(())
    }
}
