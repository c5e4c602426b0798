//! Who changed what. Triggers record every change of the rows. Before it commits, a program's transaction signs its changes, one
//! entry for each VM. An entry without a signature is a manual edit.

use std::collections::{HashMap, HashSet};
use std::fmt;

use rusqlite::{Connection, Row, params};

use super::StoreError;
use super::rows::{Reading, text_of_people};
use super::writing::Writing;
use crate::entry::Entry;
use crate::model::{VmSettings, VmUuid};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Through {
    /// `vgpu-admin`.
    Cli,
    Plugin,
    /// The vm-pre-start hook.
    Hook,
    /// Taken over from the shared copy.
    AnotherHost,
    /// An edit with an SQLite shell.
    ByHand,
    /// Another program that uses this library.
    #[default]
    Library,
}

impl Through {
    /// The name in the database and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "vgpu-admin",
            Self::Plugin => "plugin",
            Self::Hook => "hook",
            Self::AnotherHost => "another host",
            Self::ByHand => "by hand",
            Self::Library => "library",
        }
    }
}

impl fmt::Display for Through {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub changed_at: String,
    /// As it was written, so possibly not a UUID.
    pub vm_uuid: String,
    /// The VM's name at that time.
    pub vm_name: Option<String>,
    /// [`Through`].
    pub through: String,
    pub changed_by: Option<String>,
    /// `None` if the VM was not registered.
    pub from: Option<HeldSettings>,
    /// `None` if it was removed.
    pub to: Option<HeldSettings>,
}

/// Settings as stored in a row. One that was inserted by hand has no number until a program completes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSettings {
    pub pool: String,
    /// 0, 1 or 2.
    pub priority: i64,
    /// The device's number.
    pub vm_id: Option<i64>,
}

impl Reading<'_> {
    /// The newest changes first: of one VM or of all, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn history(&self, vm: Option<&VmUuid>, limit: Option<u32>) -> Result<Vec<Change>, StoreError> {
        let sql = "
            SELECT changed_at, vm_uuid, vm_name, through, changed_by, old_pool_id, old_priority, old_device_vm_id,
                   new_pool_id, new_priority, new_device_vm_id
            FROM history WHERE (?1 IS NULL OR vm_uuid = ?1) ORDER BY entry_id DESC LIMIT coalesce(?2, -1)";
        let mut statement = self.connection().prepare_cached(sql)?;
        let changes = statement.query_map(params![vm.map(ToString::to_string), limit], change)?;
        Ok(changes.collect::<Result<_, _>>()?)
    }

    /// The number of a VM's last change; 0 if there is none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_change(&self, uuid: &VmUuid) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(entry_id), 0) FROM history WHERE vm_uuid = ?1";
        Ok(self.connection().prepare_cached(sql)?.query_row([uuid.to_string()], |row| row.get(0))?)
    }

    /// Whether an argument with these settings is out of date: the VM had it at its last start on this host, or had these
    /// settings since then, and was changed afterwards.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn has_overtaken(
        &self,
        uuid: &VmUuid,
        device_argument: &str,
        settings: &VmSettings,
    ) -> Result<bool, StoreError> {
        let sql = "
            SELECT EXISTS (SELECT 1 FROM last_starts JOIN history USING (vm_uuid)
            WHERE vm_uuid = ?1 AND entry_id > history_entry
                AND (device_argument = ?2 OR (old_pool_id = ?3 AND old_priority = ?4 AND old_device_vm_id = ?5)))";
        let VmSettings { pool, priority, vm_id } = settings;
        let params = params![uuid.to_string(), device_argument, pool.as_str(), priority.as_number(), vm_id.get()];
        Ok(self.connection().query_row(sql, params, |row| row.get(0))?)
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(Change {
        changed_at: row.get(0)?,
        vm_uuid: row.get(1)?,
        vm_name: text_of_people(row, 2)?,
        through: row.get(3)?,
        changed_by: row.get(4)?,
        from: held(row, 5)?,
        to: held(row, 8)?,
    })
}

pub(super) fn held(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<HeldSettings>> {
    let Some(pool) = row.get(first)? else { return Ok(None) };
    Ok(Some(HeldSettings { pool, priority: row.get(first + 1)?, vm_id: row.get(first + 2)? }))
}

pub(super) fn last_entry(connection: &Connection) -> Result<i64, StoreError> {
    let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'history'), 0)";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

/// An entry as the triggers left it.
struct Noted {
    entry_id: i64,
    vm_uuid: String,
    from: Option<HeldSettings>,
    to: Option<HeldSettings>,
}

impl Writing<'_> {
    /// Signs the changes since the last signature. Several changes of one VM are merged into one entry, or into none if its
    /// settings are the same as before.
    pub(super) fn sign(&self, through: impl Fn(&str) -> Through) -> Result<(), StoreError> {
        let mut first: HashMap<String, Noted> = HashMap::new();
        for noted in self.unsigned()? {
            match first.get_mut(&noted.vm_uuid) {
                None => drop(first.insert(noted.vm_uuid.clone(), noted)),
                Some(first) => {
                    self.execute("DELETE FROM history WHERE entry_id = ?1", [noted.entry_id])?;
                    first.to = noted.to;
                }
            }
        }
        for Noted { entry_id, vm_uuid, from, to } in first.into_values() {
            let through = through(&vm_uuid);
            if from == to {
                self.execute("DELETE FROM history WHERE entry_id = ?1", [entry_id])?;
                continue;
            }
            let (pool, priority, vm_id) =
                to.map_or((None, None, None), |to| (Some(to.pool), Some(to.priority), to.vm_id));
            self.execute(
                "UPDATE history SET new_pool_id = ?2, new_priority = ?3, new_device_vm_id = ?4, through = ?5, changed_by = ?6
                 WHERE entry_id = ?1",
                params![entry_id, pool, priority, vm_id, through.as_str(), self.user_for(through)],
            )?;
        }
        self.set_signed_until(last_entry(self.transaction())?);
        Ok(())
    }

    /// Signs changes that were taken over from another host, with their time there. Further changes that this made necessary
    /// are signed by `own`.
    pub(super) fn sign_as_taken_over(&self, news: &[(VmUuid, Entry)], own: Through) -> Result<(), StoreError> {
        let before = self.signed_until();
        let taken: HashSet<_> = news.iter().map(|(uuid, _)| uuid.to_string()).collect();
        self.sign(|vm| if taken.contains(vm) { Through::AnotherHost } else { own })?;
        for (uuid, entry) in news {
            self.execute(
                "UPDATE history SET changed_at = coalesce(datetime(?3, 'unixepoch'), changed_at)
                 WHERE entry_id > ?1 AND vm_uuid = ?2",
                params![before, uuid.to_string(), entry.changed_at],
            )?;
        }
        Ok(())
    }

    /// Deletes the oldest entries so that at most `keep` remain. Edits by hand that XAPI was not told of are kept as well: their
    /// entries say what was edited.
    pub(super) fn shorten_history(&self, keep: u32) -> Result<(), StoreError> {
        let sql = "DELETE FROM history
                   WHERE entry_id <= (SELECT entry_id FROM history ORDER BY entry_id DESC LIMIT 1 OFFSET ?1)
                   AND NOT (through = 'by hand' AND EXISTS (SELECT 1 FROM vm_state
                       WHERE vm_state.vm_uuid = history.vm_uuid AND pushed_revision < revision))";
        self.execute(sql, [keep])?;
        Ok(())
    }

    fn unsigned(&self) -> Result<Vec<Noted>, StoreError> {
        let sql = "
            SELECT entry_id, vm_uuid, old_pool_id, old_priority, old_device_vm_id, new_pool_id, new_priority, new_device_vm_id
            FROM history WHERE entry_id > ?1 ORDER BY entry_id";
        let mut statement = self.transaction().prepare_cached(sql)?;
        let noted = |row: &Row<'_>| {
            Ok(Noted { entry_id: row.get(0)?, vm_uuid: row.get(1)?, from: held(row, 2)?, to: held(row, 5)? })
        };
        Ok(statement.query_map([self.signed_until()], noted)?.collect::<Result<_, _>>()?)
    }
}
