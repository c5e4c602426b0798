//! Who changed which GPU pool or GPU.

use rusqlite::{Row, params};

use super::super::StoreError;
use super::super::rows::{Reading, text_of_people};

/// A change of a GPU pool or a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuChange {
    pub changed_at: String,
    /// [`crate::entry::GpuSubject`], as it was written.
    pub subject: String,
    /// [`crate::store::Through`].
    pub through: String,
    pub changed_by: Option<String>,
    pub from: HeldGpuSettings,
    pub to: HeldGpuSettings,
}

/// The settings of a GPU pool, or the GPU pool that a GPU serves, as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldGpuSettings {
    pub pool: Option<String>,
    pub name: Option<String>,
    pub description: Option<String>,
    pub max_vms: Option<i64>,
}

impl Reading<'_> {
    /// The newest changes of GPU pools and GPUs first, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn gpu_history(&self, limit: Option<u32>) -> Result<Vec<GpuChange>, StoreError> {
        let sql = "
            SELECT changed_at, subject, through, changed_by, old_pool_id, old_name, old_description, old_max_vms,
                   new_pool_id, new_name, new_description, new_max_vms
            FROM gpu_history ORDER BY entry_id DESC LIMIT coalesce(?1, -1)";
        let mut statement = self.connection().prepare_cached(sql)?;
        let changes = statement.query_map(params![limit], change)?;
        Ok(changes.collect::<Result<_, _>>()?)
    }
}

fn change(row: &Row<'_>) -> rusqlite::Result<GpuChange> {
    Ok(GpuChange {
        changed_at: row.get(0)?,
        subject: text_of_people(row, 1)?.unwrap_or_default(),
        through: row.get(2)?,
        changed_by: row.get(3)?,
        from: held(row, 4)?,
        to: held(row, 8)?,
    })
}

fn held(row: &Row<'_>, first: usize) -> rusqlite::Result<HeldGpuSettings> {
    Ok(HeldGpuSettings {
        pool: text_of_people(row, first)?,
        name: text_of_people(row, first + 1)?,
        description: text_of_people(row, first + 2)?,
        max_vms: row.get(first + 3)?,
    })
}
