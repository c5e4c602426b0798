//! The shared copy of the settings, in XAPI's own database: `pool.other_config["vgpu:<vm-uuid>"]`, and for GPU pools and GPUs
//! `["vgpu:pool:A"]` and `["vgpu:gpu:<host-uuid>:0000:81:00.0"]`.
//!
//! XAPI replicates it to every host of the resource pool, does not copy it with a clone and does not revert it with a
//! snapshot. Every host uses the same rule for which of two entries is newer, so all reach the same settings in whatever
//! order they see them. A removal is an entry of its own. A missing entry means nothing, because the entry is also missing
//! between the two halves of a change.

use std::cmp::Ordering;

use indexmap::IndexMap;

use crate::entry::{Entry, EntryError, GpuEntry, GpuSubject, News, Subject, Versioned};
use crate::model::VmUuid;
use crate::store::{Reading, StoreError};
use crate::xenapi::{MapChange, MapField, Reference, Session, XapiError};

/// The shared copy at the time it was read: one call for all of it.
#[derive(Debug)]
pub struct SharedCopy {
    pool: Reference,
    values: IndexMap<String, String>,
}

/// An entry of the shared copy, compared with what this host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison<E = Entry> {
    /// Both say the same, or neither says anything.
    Same,
    /// The shared copy is newer: this host must take it over.
    CopyIsNewer(E),
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
        self.subjects()
    }

    /// The GPU pools and GPUs that have an entry.
    pub fn gpu_pools(&self) -> impl Iterator<Item = GpuSubject> {
        self.subjects()
    }

    fn subjects<S: Subject>(&self) -> impl Iterator<Item = S> {
        self.values.keys().filter_map(|key| S::of_key(key))
    }

    /// An entry, if it can be read.
    #[must_use]
    pub fn entry<S: Subject>(&self, subject: &S) -> Option<S::Entry> {
        subject.read(self.values.get(&subject.key())?).ok()
    }

    /// Why an entry must be left alone, if a newer program wrote it.
    #[must_use]
    pub fn written_by_newer<S: Subject>(&self, subject: &S) -> Option<EntryError> {
        match self.compare(subject, None) {
            Comparison::NotForUs(error) => Some(error),
            Comparison::Same | Comparison::CopyIsNewer(_) | Comparison::HostIsNewer => None,
        }
    }

    /// Compares an entry of the shared copy with what this host has.
    #[must_use]
    pub fn compare<S: Subject>(&self, subject: &S, here: Option<&S::Entry>) -> Comparison<S::Entry> {
        let there = match self.values.get(&subject.key()).map(|text| subject.read(text)) {
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
    pub fn newest<S: Subject>(&self, subject: &S, here: Option<&S::Entry>) -> Option<S::Entry> {
        match self.compare(subject, here) {
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
        let mut news = News { carried: self.vms().collect(), ..News::default() };
        // Look up each one by itself: this host may have rows of many more VMs.
        let _snapshot = read.snapshot()?;
        for uuid in &news.carried {
            let here = read.understood_entry(uuid)?;
            news.entries.extend(self.newer_than(uuid, here.as_ref(), read)?.map(|entry| (*uuid, entry)));
        }
        for subject in self.gpu_pools() {
            match self.newer_of_gpu_pools(&subject, read) {
                // No VM's start may fail because of a row about GPU pools.
                Err(error) if !matches!(error, StoreError::Locked) => log::error!("{}: {error}", subject.shown()),
                entry => news.gpu_pools.extend(entry?.map(|entry| (subject, entry))),
            }
        }
        // The same order on every host.
        news.entries.sort_by_key(|(uuid, _)| *uuid);
        news.gpu_pools.sort_by_key(|(subject, _)| *subject);
        Ok(news)
    }

    fn newer_of_gpu_pools(&self, subject: &GpuSubject, read: Reading<'_>) -> Result<Option<GpuEntry>, StoreError> {
        let here = read.gpu_entry(subject)?;
        self.newer(subject, here.as_ref(), |entry| read.is_gpu_edited_without(subject, entry))
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
        self.newer(uuid, here, |entry| read.is_edited_without(uuid, entry))
    }

    /// An entry that this host has not taken over. `is_edited` says whether an edit by hand did not know of it.
    fn newer<S: Subject>(
        &self,
        subject: &S,
        here: Option<&S::Entry>,
        is_edited: impl FnOnce(&S::Entry) -> Result<bool, StoreError>,
    ) -> Result<Option<S::Entry>, StoreError> {
        match self.compare(subject, here) {
            Comparison::CopyIsNewer(entry) => Ok(Some(entry)),
            Comparison::HostIsNewer => match self.entry(subject) {
                Some(entry) if is_edited(&entry)? => Ok(Some(entry)),
                _ => Ok(None),
            },
            Comparison::NotForUs(error) => {
                log::warn!("{}: the shared copy's entry {error}", subject.shown());
                Ok(None)
            }
            Comparison::Same => Ok(None),
        }
    }

    /// The change that gives the shared copy this host's entry; `None` if it already has it.
    #[must_use]
    pub fn change<S: Subject>(&self, subject: &S, here: &S::Entry) -> Option<MapChange> {
        let key = subject.key();
        let old = self.values.get(&key).cloned();
        let there = old.as_deref().and_then(|text| subject.read(text).ok());
        let new = Some(here.with_more(there.as_ref().map_or("", Versioned::more)).to_text());
        let map = MapField::PoolOtherConfig;
        (old != new).then(|| MapChange { map, object: self.pool.clone(), key, old, new })
    }

    /// The change that removes an entry; `None` if there is none.
    #[must_use]
    pub fn removal<S: Subject>(&self, subject: &S) -> Option<MapChange> {
        let key = subject.key();
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
