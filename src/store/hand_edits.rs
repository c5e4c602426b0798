//! Edits by hand that no other host knows of. Such an edit is applied again to the newest settings, even if another host
//! has written them: if a host has not heard of another host's change, neither the edit nor that change may be lost.
//!
//! The history tells what was edited: its entries "by hand" since a program last changed the VM. The edit is made again as
//! long as XAPI was not told of it. A program notes in the history that it is about to tell XAPI, so that an edit is not
//! made again if the program ends before it could record that XAPI was told.

use rusqlite::{OptionalExtension, Row, params};

use super::history::{GPU_POOLS, HeldSettings, Kept, Through, VMS, held};
use super::rows::Reading;
use super::writing::Writing;
use super::{Store, StoreError};
use crate::entry::{CLOCKS_MAY_DIFFER, Entry, GpuSubject};
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};

/// What the history says of an edit that was made again.
const MADE_AGAIN: &str = "made again to what another host has changed";
/// What the history says of an edit that XAPI was about to be told of.
const TOLD: &str = "told to XAPI";

/// An edit by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandEdit {
    /// The VM was removed.
    Removal,
    /// The VM was registered with these settings.
    Registration(VmSettings),
    /// Some settings were changed; what was not edited is `None`. `whole` has all of them, for a host that has removed the
    /// VM.
    Change { pool: Option<PoolId>, priority: Option<Priority>, vm_id: Option<DeviceVmId>, whole: VmSettings },
}

impl HandEdit {
    /// The settings after the edit is applied to another host's.
    fn applied_to(self, there: Option<VmSettings>) -> Option<VmSettings> {
        match (self, there) {
            (Self::Removal, _) => None,
            (Self::Registration(whole) | Self::Change { whole, .. }, None) => Some(whole),
            // A number that nobody has chosen is not an edit.
            (Self::Registration(VmSettings { pool, priority, .. }), Some(there)) => {
                Some(VmSettings { pool, priority, ..there })
            }
            (Self::Change { pool, priority, vm_id, .. }, Some(there)) => Some(VmSettings {
                pool: pool.unwrap_or(there.pool),
                priority: priority.unwrap_or(there.priority),
                vm_id: vm_id.unwrap_or(there.vm_id),
            }),
        }
    }
}

impl Store {
    /// Notes that XAPI is about to be told of a VM's edit by hand, if there is one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn note_as_told(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        self.note_edit_as_told(&VMS, &uuid.to_string())
    }

    /// The same for a GPU pool or a GPU.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn note_gpu_as_told(&self, subject: &GpuSubject) -> Result<(), StoreError> {
        self.note_edit_as_told(&GPU_POOLS, &subject.to_string())
    }

    fn note_edit_as_told(&self, kept: &Kept, subject: &str) -> Result<(), StoreError> {
        if !self.read().is_edited_by_hand(kept, subject)? {
            return Ok(());
        }
        let Kept { history, key, .. } = kept;
        let writing = self.write()?;
        let sql = format!(
            "UPDATE {history} SET changed_by = coalesce(changed_by || '; ', '') || ?2
             WHERE {key} = ?1 AND through = 'by hand' AND coalesce(changed_by, ?3) = ?3"
        );
        writing.execute(&sql, params![subject, TOLD, MADE_AGAIN])?;
        writing.commit()
    }
}

impl Reading<'_> {
    /// Whether a subject's newest change was made by hand, and XAPI was not told of it.
    fn is_edited_by_hand(&self, kept: &Kept, subject: &str) -> Result<bool, StoreError> {
        let Kept { history, state, key, .. } = kept;
        let sql = format!(
            "SELECT through = 'by hand' AND coalesce(changed_by, ?2) = ?2 FROM {history} JOIN {state} USING ({key})
             WHERE {key} = ?1 AND pushed_revision < revision ORDER BY entry_id DESC LIMIT 1"
        );
        let mut statement = self.connection().prepare_cached(&sql)?;
        let edited = statement.query_row(params![subject, MADE_AGAIN], |row| row.get(0)).optional()?;
        Ok(edited.unwrap_or_default())
    }

    /// Whether an edit by hand must be applied again to what another host has written: XAPI was not told of the edit, this
    /// host did not know of the other change, and the other change is not clearly later.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_edited_without(&self, uuid: &VmUuid, there: &Entry) -> Result<bool, StoreError> {
        let Some(here) = self.entry(uuid)? else { return Ok(false) };
        let is_unknown = self.is_unknown_edit(&VMS, &uuid.to_string(), there.revision)?;
        Ok(is_unknown && is_not_clearly_older(&format!("VM {uuid}"), here.changed_at, there.changed_at))
    }

    /// Whether a subject was edited by hand, XAPI was not told of the edit, and this host did not know of a revision then.
    pub(super) fn is_unknown_edit(&self, kept: &Kept, subject: &str, revision: i64) -> Result<bool, StoreError> {
        let Kept { state, key, .. } = kept;
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {state} WHERE {key} = ?1 AND pushed_revision < ?2)");
        let mut statement = self.connection().prepare_cached(&sql)?;
        let is_unknown: bool = statement.query_row(params![subject, revision], |row| row.get(0))?;
        Ok(is_unknown && self.is_edited_by_hand(kept, subject)?)
    }

    /// What a VM should have if another host has written this, and it cannot be taken over now.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn newest_of(&self, uuid: &VmUuid, there: Entry) -> Result<Entry, StoreError> {
        let edit = self.hand_edit(uuid, &there)?;
        let settings = edit.map_or(there.settings, |edit| edit.applied_to(there.settings));
        Ok(Entry { settings, vm_id: settings.map(|settings| settings.vm_id).or(there.vm_id), ..there })
    }

    /// What was edited by hand since a program last changed the VM, if it must be applied again to what another host has
    /// written.
    pub(super) fn hand_edit(&self, uuid: &VmUuid, there: &Entry) -> Result<Option<HandEdit>, StoreError> {
        if !self.is_edited_without(uuid, there)? {
            return Ok(None);
        }
        let Some(whole) = self.entry(uuid)?.and_then(|entry| entry.settings) else {
            return Ok(Some(HandEdit::Removal));
        };
        let before =
            self.before_edit(&VMS, &uuid.to_string(), "old_pool_id, old_priority, old_device_vm_id", |row| {
                held(row, 0)
            })?;
        Ok(Some(match before {
            None => HandEdit::Registration(whole),
            Some(HeldSettings { pool, priority, vm_id }) => HandEdit::Change {
                pool: Some(whole.pool).filter(|now| now.as_str() != pool),
                priority: Some(whole.priority).filter(|now| i64::from(now.as_number()) != priority),
                vm_id: Some(whole.vm_id).filter(|now| vm_id.is_some_and(|before| before != i64::from(now.get()))),
                whole,
            },
        }))
    }

    /// What a subject had before it was edited by hand, as the history says.
    pub(super) fn before_edit<T>(
        &self,
        kept: &Kept,
        subject: &str,
        columns: &str,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let Kept { history, key, .. } = kept;
        let sql = format!(
            "SELECT {columns} FROM {history}
             WHERE {key} = ?1 AND entry_id > (SELECT coalesce(max(entry_id), 0) FROM {history}
                 WHERE {key} = ?1 AND (through <> 'by hand' OR coalesce(changed_by, ?2) <> ?2))
             ORDER BY entry_id LIMIT 1"
        );
        Ok(self.connection().query_row(&sql, params![subject, MADE_AGAIN], read)?)
    }
}

/// A clearly older edit may come from a backup of the database.
pub(super) fn is_not_clearly_older(subject: &str, edited_at: i64, changed_at: i64) -> bool {
    let is_later = edited_at + CLOCKS_MAY_DIFFER >= changed_at;
    if !is_later {
        log::warn!("{subject}: its row was edited by hand, and gives way to a later change on another host");
    }
    is_later
}

impl Writing<'_> {
    /// Makes an edit again, after what another host has written was taken over.
    pub(super) fn make_again(&self, uuid: &VmUuid, edit: HandEdit) -> Result<(), StoreError> {
        let now = self.read().vm(uuid)?.map(|vm| vm.settings);
        let Some(wanted) = edit.applied_to(now) else { return self.remove(uuid) };
        match now {
            None => self.insert(uuid, None, wanted.pool, wanted.priority, None)?,
            Some(_) => self.set_pool_and_priority(uuid, wanted.pool, wanted.priority)?,
        }
        let number = self.read().vm(uuid)?.map(|vm| vm.settings.vm_id);
        if number == Some(wanted.vm_id) {
            return Ok(());
        }
        match self.read().owner_of(wanted.vm_id)? {
            None => self.set_number(uuid, wanted.vm_id),
            Some(owner) => {
                log::warn!("VM {uuid}: the vm_id {} that was set by hand is VM {owner}'s", wanted.vm_id);
                Ok(())
            }
        }
    }

    /// Marks the edits in the history that were made again.
    pub(super) fn sign_as_made_again(&self) -> Result<(), StoreError> {
        let before = self.signed_until();
        self.sign(|_| Through::ByHand)?;
        for (history, before) in [(VMS.history, before.vms), (GPU_POOLS.history, before.gpu_pools)] {
            let sql = format!("UPDATE {history} SET changed_by = ?2 WHERE entry_id > ?1");
            self.execute(&sql, params![before, MADE_AGAIN])?;
        }
        Ok(())
    }
}
