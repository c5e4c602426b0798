//! The shared copy of the settings, in XAPI's own database: `pool.other_config["vgpu:<vm-uuid>"]`.
//!
//! XAPI replicates it to every host of the resource pool, does not copy it with a clone and does not revert it with a
//! snapshot. Every host uses the same rule for which of two entries is newer, so all reach the same settings in whatever
//! order they see them. A removal is an entry of its own. A missing entry means nothing, because the entry is also missing
//! between the two halves of a change.

use std::cmp::Ordering;

use indexmap::IndexMap;

use crate::entry::{Entry, EntryError, News};
use crate::model::VmUuid;
use crate::store::{Reading, StoreError};
use crate::xenapi::{MapChange, MapField, Reference, Session, XapiError};

/// The shared copy at the time it was read: one call for all of it.
#[derive(Debug)]
pub struct SharedCopy {
    pool: Reference,
    values: IndexMap<String, String>,
}

/// The shared copy's entry of a VM, compared with what this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Both say the same, or neither says anything.
    Same,
    /// The shared copy is newer: this host must take it over.
    CopyIsNewer(Entry),
    /// This host is newer, or the shared copy has no usable entry: it must be written.
    HostIsNewer,
    /// A newer program wrote the entry: it is left alone.
    NotForUs(EntryError),
}

impl SharedCopy {
    /// # Errors
    /// XAPI is away or refuses.
    pub fn load(session: &mut Session) -> Result<Self, XapiError> {
        let (pool, values) = session.pool_other_config()?;
        Ok(Self::new(pool, values))
    }

    /// The shared copy in a pool's `other_config`.
    #[must_use]
    pub fn new(pool: Reference, other_config: IndexMap<String, String>) -> Self {
        Self { pool, values: other_config }
    }

    /// The VMs that have an entry.
    pub fn vms(&self) -> impl Iterator<Item = VmUuid> {
        self.values.keys().filter_map(|key| Entry::vm_of_key(key))
    }

    /// A VM's entry, if it can be read.
    #[must_use]
    pub fn entry(&self, uuid: &VmUuid) -> Option<Entry> {
        Entry::parse(self.values.get(&Entry::key(uuid))?).ok()
    }

    /// Why a VM's entry must be left alone, if a newer program wrote it.
    #[must_use]
    pub fn written_by_newer(&self, uuid: &VmUuid) -> Option<EntryError> {
        match self.compare(uuid, None) {
            Comparison::NotForUs(error) => Some(error),
            Comparison::Same | Comparison::CopyIsNewer(_) | Comparison::HostIsNewer => None,
        }
    }

    /// Compares the shared copy's entry of a VM with what this host has.
    #[must_use]
    pub fn compare(&self, uuid: &VmUuid, here: Option<&Entry>) -> Comparison {
        let there = match self.values.get(&Entry::key(uuid)).map(|text| Entry::parse(text)) {
            Some(Ok(there)) => there,
            Some(Err(error @ EntryError::Newer(_))) => return Comparison::NotForUs(error),
            // An entry that this program did not write counts as none, and is overwritten if there is something to write.
            Some(Err(EntryError::Damaged(_))) | None => {
                return if here.is_some() { Comparison::HostIsNewer } else { Comparison::Same };
            }
        };
        match here.map_or(Ordering::Less, |here| here.compare(&there)) {
            Ordering::Less => Comparison::CopyIsNewer(there),
            Ordering::Equal => Comparison::Same,
            Ordering::Greater => Comparison::HostIsNewer,
        }
    }

    /// The newer of the shared copy's entry and this host's.
    #[must_use]
    pub fn newest(&self, uuid: &VmUuid, here: Option<&Entry>) -> Option<Entry> {
        match self.compare(uuid, here) {
            Comparison::CopyIsNewer(entry) => Some(entry),
            Comparison::Same | Comparison::HostIsNewer | Comparison::NotForUs(_) => here.cloned(),
        }
    }

    /// What other hosts have written and this host has not taken over, including what an edit by hand did not know of.
    /// Entries that a newer program wrote are left out and logged.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn news(&self, read: Reading<'_>) -> Result<News, StoreError> {
        let mut news = News { entries: Vec::new(), carried: self.vms().collect() };
        // Look up each one by itself: this host may have rows of many more VMs.
        let _snapshot = read.snapshot()?;
        for uuid in &news.carried {
            let here = read.understood_entry(uuid)?;
            news.entries.extend(self.newer_than(uuid, here.as_ref(), read)?.map(|entry| (*uuid, entry)));
        }
        // The same order on every host.
        news.entries.sort_by_key(|(uuid, _)| *uuid);
        Ok(news)
    }

    /// The shared copy's entry of a VM, if this host has not taken it over.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn newer_than(
        &self,
        uuid: &VmUuid,
        here: Option<&Entry>,
        read: Reading<'_>,
    ) -> Result<Option<Entry>, StoreError> {
        match self.compare(uuid, here) {
            Comparison::CopyIsNewer(entry) => Ok(Some(entry)),
            Comparison::HostIsNewer => match self.entry(uuid) {
                Some(entry) if read.is_edited_without(uuid, &entry)? => Ok(Some(entry)),
                _ => Ok(None),
            },
            Comparison::NotForUs(error) => {
                log::warn!("VM {uuid}: the shared copy's entry {error}");
                Ok(None)
            }
            Comparison::Same => Ok(None),
        }
    }

    /// The change that gives the shared copy this host's entry of a VM; `None` if it already has it.
    #[must_use]
    pub fn change(&self, uuid: &VmUuid, here: &Entry) -> Option<MapChange> {
        let key = Entry::key(uuid);
        let old = self.values.get(&key).cloned();
        let more = old.as_deref().and_then(|text| Entry::parse(text).ok()).map(|entry| entry.more).unwrap_or_default();
        let new = Some(Entry { more, ..here.clone() }.to_text());
        let map = MapField::PoolOtherConfig;
        (old != new).then(|| MapChange { map, object: self.pool.clone(), key, old, new })
    }

    /// The change that removes a VM's entry; `None` if there is none.
    #[must_use]
    pub fn removal(&self, uuid: &VmUuid) -> Option<MapChange> {
        let key = Entry::key(uuid);
        let old = Some(self.values.get(&key)?.clone());
        Some(MapChange { map: MapField::PoolOtherConfig, object: self.pool.clone(), key, old, new: None })
    }

    /// Updates this after a change was written to XAPI.
    pub fn apply(&mut self, change: &MapChange) {
        if change.map != MapField::PoolOtherConfig {
            return;
        }
        match &change.new {
            Some(value) => drop(self.values.insert(change.key.clone(), value.clone())),
            None => drop(self.values.swap_remove(&change.key)),
        }
    }
}
