//! Edits by hand of GPU pools and GPUs: what only a program can add, and edits that no other host knows of.

use rusqlite::Row;

use super::super::StoreError;
use super::super::hand_edits::is_not_clearly_older;
use super::super::history::GPU_POOLS;
use super::super::rows::{Reading, text_of_people};
use super::super::writing::Writing;
use super::pool_settings;
use crate::entry::{GpuContent, GpuEntry, GpuSubject, News};
use crate::model::GpuPoolSettings;

/// A GPU whose row `REPLACE` has taken away, for which no trigger fires.
const VANISHED: &str = "removed_at IS NULL AND subject LIKE 'gpu:%'
    AND subject NOT IN (SELECT 'gpu:' || host_uuid || ':' || pci_address FROM gpus)";
/// The rows that have no state, because somebody deleted it.
const WITHOUT_STATE: &str = "(SELECT 'gpu:' || host_uuid || ':' || pci_address AS subject FROM gpus
    UNION SELECT 'pool:' || pool_id FROM gpu_pools) WHERE subject NOT IN (SELECT subject FROM gpu_state)";
/// A GPU pool whose row is not there.
const WITHOUT_ROW: &str = "(SELECT 'A' AS pool UNION SELECT 'B') WHERE pool NOT IN (SELECT pool_id FROM gpu_pools)";

/// An edit by hand that must be made again: what was there before it, and since.
pub(in super::super) struct GpuEdit {
    before: GpuContent,
    now: GpuContent,
}

impl GpuEdit {
    /// The content after the edit is applied to another host's: of a GPU pool, what was not edited is the other host's.
    fn applied_to(&self, there: &GpuContent) -> GpuContent {
        let (GpuContent::Pool(before), GpuContent::Pool(now), GpuContent::Pool(there)) =
            (&self.before, &self.now, there)
        else {
            return self.now.clone();
        };
        GpuContent::Pool(GpuPoolSettings {
            name: edited(&before.name, &now.name, &there.name),
            description: edited(&before.description, &now.description, &there.description),
            max_vms: edited(&before.max_vms, &now.max_vms, &there.max_vms),
        })
    }
}

fn edited<T: Clone + PartialEq>(before: &T, now: &T, there: &T) -> T {
    if before == now { there.clone() } else { now.clone() }
}

impl Reading<'_> {
    /// As [`Reading::is_edited_without`], of a GPU pool or a GPU.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_gpu_edited_without(&self, subject: &GpuSubject, there: &GpuEntry) -> Result<bool, StoreError> {
        let Some(here) = self.gpu_entry(subject)? else { return Ok(false) };
        let is_unknown = self.is_unknown_edit(&GPU_POOLS, &subject.to_string(), there.revision)?;
        Ok(is_unknown && is_not_clearly_older(&subject.to_string(), here.changed_at, there.changed_at))
    }

    fn gpu_edit(&self, subject: &GpuSubject, there: &GpuEntry) -> Result<Option<GpuEdit>, StoreError> {
        if !self.is_gpu_edited_without(subject, there)? {
            return Ok(None);
        }
        let Some(GpuEntry { content: now, .. }) = self.gpu_entry(subject)? else { return Ok(None) };
        let columns = "old_name, old_description, old_max_vms, old_pool_id";
        let before = |row: &Row<'_>| {
            Ok(match subject {
                // What was not valid before was edited.
                GpuSubject::Pool(pool) => GpuContent::Pool(pool_settings(row, *pool).unwrap_or_default()),
                GpuSubject::Gpu(_) => GpuContent::Gpu(text_of_people(row, 3)?.and_then(|pool| pool.parse().ok())),
            })
        };
        let before = self.before_edit(&GPU_POOLS, &subject.to_string(), columns, before)?;
        Ok(Some(GpuEdit { before, now }))
    }

    /// Whether a row lacks what only a program can add.
    pub(in super::super) fn gpu_rows_lack_something(&self) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM gpu_state WHERE {VANISHED}) OR EXISTS (SELECT 1 FROM {WITHOUT_STATE})
                 OR EXISTS (SELECT 1 FROM {WITHOUT_ROW})"
        );
        Ok(self.connection().query_row(&sql, [], |row| row.get(0))?)
    }
}

impl Writing<'_> {
    /// Adds what only a program can, and records GPUs as unassigned by hand whose rows have disappeared.
    pub(in super::super) fn complete_gpu_rows(&self) -> Result<(), StoreError> {
        self.execute(
            &format!(
                "INSERT INTO gpu_history (subject, old_pool_id)
                 SELECT subject, (SELECT new_pool_id FROM gpu_history WHERE gpu_history.subject = gpu_state.subject
                                  ORDER BY entry_id DESC LIMIT 1)
                 FROM gpu_state WHERE {VANISHED}"
            ),
            [],
        )?;
        let sql =
            format!("UPDATE gpu_state SET revision = revision + 1, removed_at = CURRENT_TIMESTAMP WHERE {VANISHED}");
        self.execute(&sql, [])?;
        self.restore_rows_of_pools()?;
        self.execute(&format!("INSERT INTO gpu_state (subject, revision) SELECT subject, 1 FROM {WITHOUT_STATE}"), [])?;
        Ok(())
    }

    /// Adds the row of a GPU pool that has disappeared, as never changed: what other hosts have of it overrides it.
    fn restore_rows_of_pools(&self) -> Result<(), StoreError> {
        let mut missing = self.transaction().prepare_cached(&format!("SELECT pool FROM {WITHOUT_ROW}"))?;
        let missing = missing.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        for pool in missing {
            self.execute("INSERT INTO gpu_pools (pool_id) VALUES (?1)", [&pool])?;
            let sql = "UPDATE gpu_state SET revision = 0, pushed_revision = 0 WHERE subject = 'pool:' || ?1";
            self.execute(sql, [&pool])?;
        }
        Ok(())
    }

    /// The edits by hand that must be made again once these news are taken over.
    pub(in super::super) fn gpu_edits(&self, news: &News) -> Result<Vec<(GpuSubject, GpuEdit)>, StoreError> {
        let mut edits = Vec::new();
        for (subject, there) in &news.gpu_pools {
            edits.extend(self.read().gpu_edit(subject, there)?.map(|edit| (*subject, edit)));
        }
        Ok(edits)
    }

    pub(in super::super) fn make_gpu_edits_again(&self, edits: Vec<(GpuSubject, GpuEdit)>) -> Result<(), StoreError> {
        for (subject, edit) in edits {
            if let Some(GpuEntry { content, .. }) = self.read().gpu_entry(&subject)? {
                self.set_gpu_content(&subject, &edit.applied_to(&content))?;
            }
        }
        Ok(())
    }
}
