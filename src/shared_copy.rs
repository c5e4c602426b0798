//! The pool-wide copy of the settings, in XAPI's own database: `pool.other_config["vgpu:<vm-uuid>"]`.
//!
//! XAPI replicates it to every host of the resource pool, does not copy it with a clone and does not revert it with a
//! snapshot. Every host decides alike which of two copies is the newer one, so all come to the same settings whatever
//! the order in which they meet. A removal is an entry of its own; that there is none never means anything, for between
//! the two halves of a change there is none.

use std::cmp::Ordering;

use indexmap::IndexMap;

use crate::entry::{Entry, EntryError, News};
use crate::model::VmUuid;
use crate::store::{Reading, StoreError};
use crate::xenapi::{MapChange, MapField, Reference, Session, XapiError};

/// The copy as it was when it was read: one call for all of it.
#[derive(Debug)]
pub struct SharedCopy {
    pool: Reference,
    values: IndexMap<String, String>,
}

/// What the copy has for a VM, compared with what this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Both say the same, or neither says anything.
    Same,
    /// The copy is newer: this host has to take it over.
    CopyIsNewer(Entry),
    /// This host is newer, or the copy has nothing that can be used: it has to be written.
    HostIsNewer,
    /// A newer program wrote the copy: it is left alone.
    NotForUs(EntryError),
}

impl SharedCopy {
    /// Reads the copy.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn load(session: &mut Session) -> Result<Self, XapiError> {
        let (pool, values) = session.pool_other_config()?;
        Ok(Self::new(pool, values))
    }

    /// The copy that a pool's `other_config` holds.
    #[must_use]
    pub fn new(pool: Reference, other_config: IndexMap<String, String>) -> Self {
        Self { pool, values: other_config }
    }

    /// The VMs that the copy has anything about.
    pub fn vms(&self) -> impl Iterator<Item = VmUuid> {
        self.values.keys().filter_map(|key| Entry::vm_of_key(key))
    }

    /// What the copy has of a VM, where it can be read.
    #[must_use]
    pub fn entry(&self, uuid: &VmUuid) -> Option<Entry> {
        Entry::parse(self.values.get(&Entry::key(uuid))?).ok()
    }

    /// Compares what the copy has for a VM with what this host has.
    #[must_use]
    pub fn compare(&self, uuid: &VmUuid, here: Option<&Entry>) -> Comparison {
        let there = match self.values.get(&Entry::key(uuid)).map(|text| Entry::parse(text)) {
            Some(Ok(there)) => there,
            Some(Err(error @ EntryError::Newer(_))) => return Comparison::NotForUs(error),
            // What nobody of ours wrote counts as nothing, and is written over where there is something to write.
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

    /// The newer one of what the copy has and what this host has.
    #[must_use]
    pub fn newest(&self, uuid: &VmUuid, here: Option<&Entry>) -> Option<Entry> {
        match self.compare(uuid, here) {
            Comparison::CopyIsNewer(entry) => Some(entry),
            Comparison::Same | Comparison::HostIsNewer | Comparison::NotForUs(_) => here.cloned(),
        }
    }

    /// What other hosts have written and this one has not taken over, also what an edit by hand did not know. What a newer
    /// program wrote is left out; the log says so.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn news(&self, read: Reading<'_>) -> Result<News, StoreError> {
        let mut news = News { entries: Vec::new(), carried: self.vms().collect() };
        // Each is looked up by itself: this host may have rows of many more VMs.
        let _snapshot = read.snapshot()?;
        for uuid in &news.carried {
            let here = read.understood_entry(uuid)?;
            news.entries.extend(self.newer_than(uuid, here.as_ref(), read)?.map(|entry| (*uuid, entry)));
        }
        // The same order on every host.
        news.entries.sort_by_key(|(uuid, _)| *uuid);
        Ok(news)
    }

    /// What the copy has of a VM that this host has not taken over.
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

    /// The change that makes the copy say what this host says of a VM; `None` where it says so.
    #[must_use]
    pub fn change(&self, uuid: &VmUuid, here: &Entry) -> Option<MapChange> {
        let key = Entry::key(uuid);
        let old = self.values.get(&key).cloned();
        let more = old.as_deref().and_then(|text| Entry::parse(text).ok()).map(|entry| entry.more).unwrap_or_default();
        let new = Some(Entry { more, ..here.clone() }.to_text());
        let map = MapField::PoolOtherConfig;
        (old != new).then(|| MapChange { map, object: self.pool.clone(), key, old, new })
    }

    /// The change that takes a VM's entry away; `None` where there is none.
    #[must_use]
    pub fn removal(&self, uuid: &VmUuid) -> Option<MapChange> {
        let key = Entry::key(uuid);
        let old = Some(self.values.get(&key)?.clone());
        Some(MapChange { map: MapField::PoolOtherConfig, object: self.pool.clone(), key, old, new: None })
    }

    /// The copy after a change of it was made.
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
