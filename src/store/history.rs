//! Who changed what. Triggers record every change of the rows. Before it commits, a program's transaction signs its changes, one
//! entry for each VM, GPU pool and GPU. An entry without a signature is a manual edit.

use std::collections::HashMap;
use std::fmt;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params};

use super::StoreError;
use super::rows::{Reading, text_of_people};
use super::writing::Writing;
use crate::entry::News;
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

/// Where a kind of subject is kept: its history, and what the programs keep about it.
pub(super) struct Kept {
    pub history: &'static str,
    pub state: &'static str,
    /// The column of both tables that names the subject.
    pub key: &'static str,
    /// What the history has of each change, as `old_…` and `new_…`.
    columns: &'static [&'static str],
}

pub(super) const VMS: Kept =
    Kept { history: "history", state: "vm_state", key: "vm_uuid", columns: &["pool_id", "priority", "device_vm_id"] };
pub(super) const GPU_POOLS: Kept = Kept {
    history: "gpu_history",
    state: "gpu_state",
    key: "subject",
    columns: &["pool_id", "name", "description", "max_vms"],
};

impl Kept {
    /// The columns with a prefix, and something after each.
    fn columns(&self, prefix: &str, after: impl Fn(usize) -> String) -> String {
        let columns = self.columns.iter().enumerate();
        columns.map(|(index, column)| format!("{prefix}{column}{}", after(index))).collect::<Vec<_>>().join(", ")
    }
}

/// The last entries of both histories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastEntries {
    pub vms: i64,
    pub gpu_pools: i64,
}

impl LastEntries {
    pub fn of(connection: &Connection) -> Result<Self, StoreError> {
        let last = |table: &str| {
            let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)";
            connection.prepare_cached(sql)?.query_row([table], |row| row.get(0))
        };
        Ok(Self { vms: last(VMS.history)?, gpu_pools: last(GPU_POOLS.history)? })
    }
}

/// An entry as the triggers left it.
struct Noted {
    entry_id: i64,
    key: String,
    from: Vec<Value>,
    to: Vec<Value>,
}

impl Writing<'_> {
    /// Signs the changes since the last signature. Several changes of one subject are merged into one entry, or into none if it
    /// is the same as before.
    pub(super) fn sign(&self, through: impl Fn(&str) -> Through) -> Result<(), StoreError> {
        let before = self.signed_until();
        self.sign_in(&VMS, before.vms, &through)?;
        self.sign_in(&GPU_POOLS, before.gpu_pools, &through)?;
        self.set_signed_until(LastEntries::of(self.transaction())?);
        Ok(())
    }

    fn sign_in(&self, kept: &Kept, after: i64, through: &dyn Fn(&str) -> Through) -> Result<(), StoreError> {
        let Kept { history, .. } = kept;
        let mut first: HashMap<String, Noted> = HashMap::new();
        for noted in self.unsigned(kept, after)? {
            match first.get_mut(&noted.key) {
                None => drop(first.insert(noted.key.clone(), noted)),
                Some(first) => {
                    self.execute(&format!("DELETE FROM {history} WHERE entry_id = ?1"), [noted.entry_id])?;
                    first.to = noted.to;
                }
            }
        }
        let set = kept.columns("new_", |index| format!(" = ?{}", index + 4));
        let sql = format!("UPDATE {history} SET through = ?2, changed_by = ?3, {set} WHERE entry_id = ?1");
        for Noted { entry_id, key, from, to } in first.into_values() {
            if from == to {
                self.execute(&format!("DELETE FROM {history} WHERE entry_id = ?1"), [entry_id])?;
                continue;
            }
            let through = through(&key);
            let by = self.user_for(through).map_or(Value::Null, Value::Text);
            let signed = [Value::Integer(entry_id), Value::Text(through.as_str().to_owned()), by];
            self.execute(&sql, rusqlite::params_from_iter(signed.into_iter().chain(to)))?;
        }
        Ok(())
    }

    /// Signs changes that were taken over from another host, with their time there. Further changes that this made necessary
    /// are signed by `own`.
    pub(super) fn sign_as_taken_over(&self, news: &News, own: Through) -> Result<(), StoreError> {
        let before = self.signed_until();
        let vms = news.entries.iter().map(|(uuid, entry)| (uuid.to_string(), entry.changed_at));
        let gpu_pools = news.gpu_pools.iter().map(|(subject, entry)| (subject.to_string(), entry.changed_at));
        let (vms, gpu_pools): (HashMap<_, _>, HashMap<_, _>) = (vms.collect(), gpu_pools.collect());
        let is_taken = |key: &str| vms.contains_key(key) || gpu_pools.contains_key(key);
        self.sign(|key| if is_taken(key) { Through::AnotherHost } else { own })?;
        for (kept, taken, before) in [(&VMS, &vms, before.vms), (&GPU_POOLS, &gpu_pools, before.gpu_pools)] {
            let Kept { history, key, .. } = kept;
            let sql = format!(
                "UPDATE {history} SET changed_at = coalesce(datetime(?3, 'unixepoch'), changed_at)
                 WHERE entry_id > ?1 AND {key} = ?2"
            );
            for (subject, changed_at) in taken {
                self.execute(&sql, params![before, subject, changed_at])?;
            }
        }
        Ok(())
    }

    /// Deletes the oldest entries of each history so that at most `keep` remain. Edits by hand that XAPI was not told of are
    /// kept as well: their entries say what was edited.
    pub(super) fn shorten_history(&self, keep: u32) -> Result<(), StoreError> {
        for Kept { history, state, key, .. } in [&VMS, &GPU_POOLS] {
            let sql = format!(
                "DELETE FROM {history}
                 WHERE entry_id <= (SELECT entry_id FROM {history} ORDER BY entry_id DESC LIMIT 1 OFFSET ?1)
                 AND NOT (through = 'by hand' AND EXISTS (SELECT 1 FROM {state}
                     WHERE {state}.{key} = {history}.{key} AND pushed_revision < revision))"
            );
            self.execute(&sql, [keep])?;
        }
        Ok(())
    }

    fn unsigned(&self, kept: &Kept, after: i64) -> Result<Vec<Noted>, StoreError> {
        let Kept { history, key, columns, .. } = kept;
        let (old, new) = (kept.columns("old_", |_| String::new()), kept.columns("new_", |_| String::new()));
        let sql = format!("SELECT entry_id, {key}, {old}, {new} FROM {history} WHERE entry_id > ?1 ORDER BY entry_id");
        let mut statement = self.transaction().prepare_cached(&sql)?;
        let values = |row: &Row<'_>, first: usize| {
            (first..first + columns.len()).map(|column| row.get(column)).collect::<Result<_, _>>()
        };
        let noted = |row: &Row<'_>| {
            Ok(Noted {
                entry_id: row.get(0)?,
                key: row.get(1)?,
                from: values(row, 2)?,
                to: values(row, 2 + columns.len())?,
            })
        };
        Ok(statement.query_map([after], noted)?.collect::<Result<_, _>>()?)
    }
}
