//! The rows as entries of the shared copy, and taking over what another host has written.

use std::collections::HashSet;

use rusqlite::{OptionalExtension, Row, params};

use super::StoreError;
use super::rows::Reading;
use super::writing::Writing;
use crate::entry::{Entry, LARGEST_REVISION, News};
use crate::model::{DeviceVmId, InvalidValue, VmSettings, VmUuid};

/// One row for each VM that is registered or was removed.
const SELECT_ENTRY: &str = "
    SELECT vm_state.vm_uuid, pool_id, priority, device_vm_id, revision,
           coalesce(strftime('%s', coalesce(updated_at, removed_at)), '0')
    FROM vm_state LEFT JOIN vms ON vms.vm_uuid = vm_state.vm_uuid";

impl Reading<'_> {
    /// What this database says of a VM; `None` if it never heard of it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn entry(&self, uuid: &VmUuid) -> Result<Option<Entry>, StoreError> {
        self.find_entry(uuid)?.transpose()
    }

    /// The same, but a row that cannot be understood counts as none, so that it does not affect other VMs; the log and
    /// `check` name it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn understood_entry(&self, uuid: &VmUuid) -> Result<Option<Entry>, StoreError> {
        Ok(self.find_entry(uuid)?.and_then(understood))
    }

    fn find_entry(&self, uuid: &VmUuid) -> Result<Option<Result<Entry, StoreError>>, StoreError> {
        let mut statement = self.connection().prepare_cached(&format!("{SELECT_ENTRY} WHERE vm_state.vm_uuid = ?1"))?;
        let entry = statement.query_row([uuid.to_string()], |row| Ok(self.to_entry(row))).optional()?;
        Ok(entry.map(|entry| entry.map(|(_, entry)| entry)))
    }

    /// Whether XAPI was told of a VM's last change.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_pushed(&self, uuid: &VmUuid) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = ?1 AND pushed_revision >= revision)";
        Ok(self.connection().query_row(sql, [uuid.to_string()], |row| row.get(0))?)
    }

    /// Whether the database has recorded that XAPI was told of a VM's last change, and that XAPI knew the VM or not
    /// (`is_known`).
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_noted(&self, uuid: &VmUuid, is_known: bool) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM vm_state
                   WHERE vm_uuid = ?1 AND pushed_revision >= revision AND known_to_xapi = ?2)";
        Ok(self.connection().query_row(sql, params![uuid.to_string(), is_known], |row| row.get(0))?)
    }

    /// Whether XAPI was ever told of a VM.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn was_ever_pushed(&self, uuid: &VmUuid) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM vm_state
                   WHERE vm_uuid = ?1 AND (pushed_revision > 0 OR pushed_revision >= revision))";
        Ok(self.connection().query_row(sql, [uuid.to_string()], |row| row.get(0))?)
    }

    /// What this database says of every VM that it ever heard of, without rows that cannot be understood.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn entries(&self) -> Result<Vec<(VmUuid, Entry)>, StoreError> {
        let mut statement = self.connection().prepare_cached(&format!("{SELECT_ENTRY} ORDER BY vm_state.vm_uuid"))?;
        let entries = statement.query_map([], |row| Ok(self.to_entry(row)))?.collect::<Result<Vec<_>, _>>()?;
        Ok(entries.into_iter().filter_map(understood).collect())
    }

    fn to_entry(self, row: &Row<'_>) -> Result<(VmUuid, Entry), StoreError> {
        let key: String = row.get(0)?;
        let bad = |column, invalid: InvalidValue| StoreError::BadRow {
            row: format!("VM '{key}'"),
            column,
            value: invalid.value,
            expected: invalid.expected,
        };
        let uuid = key.parse().map_err(|invalid| bad("vm_uuid", invalid))?;
        let number: Option<i64> = row.get(3)?;
        let mut vm_id = number.map(DeviceVmId::try_from).transpose().map_err(|invalid| bad("device_vm_id", invalid))?;
        let settings = match row.get::<_, Option<String>>(1)? {
            Some(pool) => {
                // A row that was inserted by hand has no number until a program completes it; it is not a removal.
                let number = vm_id.map_or_else(|| self.free_number(&uuid), Ok)?;
                vm_id = Some(number);
                Some(VmSettings {
                    pool: pool.parse().map_err(|invalid| bad("pool_id", invalid))?,
                    priority: row.get::<_, i64>(2)?.try_into().map_err(|invalid| bad("priority", invalid))?,
                    vm_id: number,
                })
            }
            None => None,
        };
        let changed_at = row.get::<_, String>(5)?.parse().unwrap_or_default();
        let revision = row.get::<_, i64>(4)?.min(LARGEST_REVISION);
        Ok((uuid, Entry { settings, vm_id, revision, changed_at, more: String::new() }))
    }
}

impl Writing<'_> {
    /// Takes over what other hosts have written, with its revisions and times.
    ///
    /// If the device's number belongs to another VM here, the VM whose UUID it is derived from keeps it, or else the one
    /// with the smaller UUID, as on every other host. The other VM gets a free number, as a change of its own.
    ///
    /// An edit by hand on this host is applied again to what is taken over, as a change of its own.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn take_over(&self, news: &News) -> Result<(), StoreError> {
        let mut edits = Vec::new();
        for (uuid, there) in &news.entries {
            edits.extend(self.read().hand_edit(uuid, there)?.map(|edit| (uuid, edit)));
        }
        let gpu_edits = self.gpu_edits(news)?;
        // If one VM gives up a number and another gets it, that is no conflict, whichever comes first.
        for (uuid, _) in &news.entries {
            self.forget_number(uuid)?;
        }
        let mut without_number = Vec::new();
        for (uuid, entry) in &news.entries {
            without_number.extend(self.take_over_one(uuid, entry, &news.carried)?);
        }
        without_number.iter().try_for_each(|(uuid, before)| self.renumber(uuid, before))?;
        self.take_over_gpu_pools(news)?;
        self.sign_as_taken_over(news, self.through())?;
        edits.into_iter().try_for_each(|(uuid, edit)| self.make_again(uuid, edit))?;
        self.make_gpu_edits_again(gpu_edits)?;
        self.sign_as_made_again()
    }

    /// Takes over one VM's entry. Returns the VM that needs another number because of that, with its entry from before.
    fn take_over_one(
        &self,
        uuid: &VmUuid,
        entry: &Entry,
        carried: &HashSet<VmUuid>,
    ) -> Result<Option<(VmUuid, Entry)>, StoreError> {
        let holder = self.holder_of_number(uuid, entry)?;
        // A VM that the other hosts were told of, and that the shared copy does not have any more, was pruned: it has no
        // claim to a number that an existing VM has.
        let has_claim = match &holder {
            Some((holder, _)) => carried.contains(holder) || !self.read().is_pushed(holder)?,
            None => false,
        };
        let gives_way = holder.as_ref().is_some_and(|(holder, is_registered)| {
            entry.settings.is_none() || (*is_registered && has_claim && has_precedence(holder, uuid, entry.vm_id))
        });
        match &entry.settings {
            Some(settings) => self.take_over_settings(uuid, *settings, entry.changed_at)?,
            None => self.take_over_removal(uuid)?,
        }
        let loser = holder.filter(|_| !gives_way);
        let before = match &loser {
            Some((loser, true)) => self.read().entry(loser)?,
            _ => None,
        };
        if let Some((loser, _)) = &loser {
            self.forget_number(loser)?;
        }
        self.take_over_state(uuid, entry, entry.vm_id.filter(|_| !gives_way))?;
        Ok(match (loser, before) {
            (Some((loser, _)), Some(before)) => {
                // This does not count as a change of it. A VM without a claim has nothing to tell the other hosts either;
                // the next program gives it a number.
                self.count_and_time(&loser, before.revision, before.changed_at)?;
                has_claim.then_some((loser, before))
            }
            _ if gives_way && entry.settings.is_some() => Some((*uuid, entry.clone())),
            _ => None,
        })
    }

    /// Keeps what this host says of a VM, as one change more than what another host has written.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn count_after(&self, uuid: &VmUuid, here: &Entry, there: &Entry) -> Result<(), StoreError> {
        self.execute(
            "UPDATE vm_state SET pushed_revision = ?2 WHERE vm_uuid = ?1",
            params![uuid.to_string(), there.revision],
        )?;
        self.count_and_time(uuid, there.revision + 1, here.changed_at)
    }

    /// Sets a VM's revision and the time of its change or removal, after triggers have counted and timed something that was
    /// not a change by this host.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn count_and_time(&self, uuid: &VmUuid, revision: i64, changed_at: i64) -> Result<(), StoreError> {
        let uuid = uuid.to_string();
        self.execute(
            "UPDATE vm_state SET revision = ?2,
                 removed_at = CASE WHEN removed_at IS NULL THEN NULL ELSE datetime(?3, 'unixepoch') END
             WHERE vm_uuid = ?1",
            params![uuid, revision, changed_at],
        )?;
        self.execute(
            "UPDATE vms SET updated_at = datetime(?2, 'unixepoch') WHERE vm_uuid = ?1",
            params![uuid, changed_at],
        )?;
        Ok(())
    }

    fn take_over_settings(&self, uuid: &VmUuid, settings: VmSettings, changed_at: i64) -> Result<(), StoreError> {
        let (key, pool, priority) = (uuid.to_string(), settings.pool.as_str(), settings.priority.as_number());
        let updated = self
            .execute("UPDATE vms SET pool_id = ?2, priority = ?3 WHERE vm_uuid = ?1", params![key, pool, priority])?;
        if updated == 0 {
            self.execute(
                "INSERT INTO vms (vm_uuid, pool_id, priority, updated_at) VALUES (?1, ?2, ?3, datetime(?4, 'unixepoch'))",
                params![key, pool, priority, changed_at],
            )?;
        }
        Ok(())
    }

    fn take_over_state(&self, uuid: &VmUuid, entry: &Entry, vm_id: Option<DeviceVmId>) -> Result<(), StoreError> {
        self.execute(
            "UPDATE vm_state SET device_vm_id = coalesce(?2, device_vm_id), pushed_revision = ?3,
                 removed_at = CASE WHEN ?4 THEN NULL ELSE datetime(?5, 'unixepoch') END
             WHERE vm_uuid = ?1",
            params![
                uuid.to_string(),
                vm_id.map(DeviceVmId::get),
                entry.revision,
                entry.settings.is_some(),
                entry.changed_at
            ],
        )?;
        self.count_and_time(uuid, entry.revision, entry.changed_at)
    }

    fn take_over_removal(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        self.remove(uuid)?;
        self.execute(
            "INSERT INTO vm_state (vm_uuid, removed_at)
             SELECT ?1, CURRENT_TIMESTAMP WHERE NOT EXISTS (SELECT 1 FROM vm_state WHERE vm_uuid = ?1)",
            [uuid.to_string()],
        )?;
        Ok(())
    }

    /// The other VM that has the entry's number here, and whether it is registered.
    fn holder_of_number(&self, uuid: &VmUuid, entry: &Entry) -> Result<Option<(VmUuid, bool)>, StoreError> {
        let Some(vm_id) = entry.vm_id else { return Ok(None) };
        let sql = "SELECT vm_uuid, removed_at IS NULL FROM vm_state WHERE device_vm_id = ?1 AND vm_uuid <> ?2";
        let holder: Option<(String, bool)> = self
            .transaction()
            .query_row(sql, params![vm_id.get(), uuid.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(holder.and_then(|(holder, is_registered)| Some((holder.parse().ok()?, is_registered))))
    }

    fn forget_number(&self, uuid: &VmUuid) -> Result<(), StoreError> {
        self.execute("UPDATE vm_state SET device_vm_id = NULL WHERE vm_uuid = ?1", [uuid.to_string()])?;
        Ok(())
    }

    /// Gives a VM, whose entry was `before`, another number, as a change of its own. Nobody asked for it, so its time is
    /// before that of anything that somebody does with the VM from then on: at the same revision, the later change wins.
    fn renumber(&self, uuid: &VmUuid, before: &Entry) -> Result<(), StoreError> {
        let number = self.read().free_number(uuid)?;
        self.execute(
            "UPDATE vm_state SET device_vm_id = coalesce(device_vm_id, ?2) WHERE vm_uuid = ?1",
            params![uuid.to_string(), number.get()],
        )?;
        self.count_and_time(uuid, before.revision + 1, (before.changed_at - 1).max(0))
    }
}

pub(super) fn understood<T>(entry: Result<T, StoreError>) -> Option<T> {
    entry.inspect_err(|error| log::error!("{error}")).ok()
}

/// Whether the first of two registered VMs with the same number keeps it: the same on every host.
fn has_precedence(one: &VmUuid, other: &VmUuid, number: Option<DeviceVmId>) -> bool {
    let rank = |vm: &VmUuid| (Some(DeviceVmId::derived_from(vm)) != number, *vm);
    rank(one) < rank(other)
}
