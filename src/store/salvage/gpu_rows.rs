//! Rows of the tables of GPU pools and GPUs, from records of the pages.

use std::collections::{BTreeMap, HashMap};

use super::rows::{Fields, REVISIONS};
use super::{fill_up, keep_newer};
use crate::entry::GpuSubject;
use crate::model::{Gpu, GpuPoolSettings, PoolId};

/// What could be read of GPU pools and GPUs.
#[derive(Debug, Default)]
pub(in crate::store) struct GpuRows {
    pub pools: HashMap<PoolId, PoolRow>,
    pub gpus: HashMap<Gpu, GpuRow>,
    pub states: HashMap<GpuSubject, GpuStateRow>,
    pub history: BTreeMap<i64, GpuHistoryRow>,
    /// The highest entry number ever used.
    pub history_sequence: i64,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct PoolRow {
    pub settings: GpuPoolSettings,
    pub updated_at: Option<String>,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct GpuRow {
    pub pool: PoolId,
    pub device_name: Option<String>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    /// No page leads to it any more, so it may be out of date.
    pub is_stray: bool,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct GpuStateRow {
    pub revision: i64,
    pub pushed_revision: i64,
    pub removed_at: Option<String>,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct GpuHistoryRow {
    pub changed_at: String,
    pub subject: String,
    pub through: String,
    pub changed_by: Option<String>,
    pub old: HeldRow,
    pub new: HeldRow,
}

/// GPU pool, name, description and limit before or after a change.
#[derive(Debug, Clone)]
pub(in crate::store) struct HeldRow {
    pub pool: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub max_vms: Option<i64>,
}

impl GpuRows {
    pub(super) fn count(&self) -> usize {
        self.gpus.len() + self.states.len() + self.history.len()
    }

    /// Keeps a row if it is valid and the newest of its GPU or GPU pool.
    pub(super) fn keep(&mut self, table: &str, fields: Fields<'_>) -> Option<()> {
        match table {
            "gpu_pools" => {
                let (pool, row) = PoolRow::read(fields)?;
                keep_newer(&mut self.pools, pool, row, |row| row.updated_at.clone());
            }
            "gpus" => {
                let (gpu, row) = GpuRow::read(fields)?;
                keep_newer(&mut self.gpus, gpu, row, |row| row.updated_at.clone());
            }
            "gpu_state" => {
                let (subject, row) = GpuStateRow::read(fields)?;
                keep_newer(&mut self.states, subject, row, |row| (row.revision, row.pushed_revision));
            }
            _ => drop(self.history.insert(fields.rowid()?, GpuHistoryRow::read(fields)?)),
        }
        Some(())
    }

    /// Adds stray rows only where others are missing: they may be out of date.
    pub(super) fn fill_up(&mut self, strays: Self) {
        fill_up(&mut self.pools, strays.pools);
        fill_up(&mut self.gpus, strays.gpus.into_iter().map(|(gpu, row)| (gpu, GpuRow { is_stray: true, ..row })));
        fill_up(&mut self.states, strays.states);
        for (entry, row) in strays.history {
            self.history.entry(entry).or_insert(row);
        }
    }
}

impl PoolRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<(PoolId, Self)> {
        let settings = held(fields, "").settings()?;
        Some((fields.text("pool_id")?.parse().ok()?, Self { settings, updated_at: fields.text("updated_at") }))
    }
}

impl GpuRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<(Gpu, Self)> {
        let gpu = format!("{}:{}", fields.text("host_uuid")?, fields.text("pci_address")?).parse().ok()?;
        let row = Self {
            pool: fields.text("pool_id")?.parse().ok()?,
            device_name: fields.text("device_name"),
            created_at: fields.text("created_at"),
            updated_at: fields.text("updated_at"),
            is_stray: false,
        };
        Some((gpu, row))
    }
}

impl GpuStateRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<(GpuSubject, Self)> {
        let row = Self {
            revision: fields.integer("revision").filter(|revision| REVISIONS.contains(revision))?,
            pushed_revision: fields.integer("pushed_revision").filter(|revision| revision <= REVISIONS.end())?,
            removed_at: fields.text("removed_at"),
        };
        Some((fields.text("subject")?.parse().ok()?, row))
    }
}

impl GpuHistoryRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            changed_at: fields.text("changed_at")?,
            subject: fields.text("subject")?,
            through: fields.text("through")?,
            changed_by: fields.text("changed_by"),
            old: held(fields, "old_"),
            new: held(fields, "new_"),
        })
    }
}

impl HeldRow {
    /// The settings of a GPU pool; `None` if they are not valid.
    pub fn settings(&self) -> Option<GpuPoolSettings> {
        Some(GpuPoolSettings {
            name: self.name.as_ref().map(|name| name.parse()).transpose().ok()?,
            description: self.description.as_ref().map(|description| description.parse()).transpose().ok()?,
            max_vms: self.max_vms.map(TryInto::try_into).transpose().ok()?,
        })
    }
}

fn held(fields: Fields<'_>, prefix: &str) -> HeldRow {
    let column = |name: &str| format!("{prefix}{name}");
    HeldRow {
        pool: fields.text(&column("pool_id")),
        name: fields.text(&column("name")),
        description: fields.text(&column("description")),
        max_vms: fields.integer(&column("max_vms")),
    }
}
