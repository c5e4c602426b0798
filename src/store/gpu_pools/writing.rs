//! Changes GPU pools and GPUs, and takes over what other hosts have written of them.

use rusqlite::{Connection, params};

use super::super::StoreError;
use super::super::writing::Writing;
use crate::entry::{GpuContent, GpuEntry, GpuSubject, LARGEST_REVISION, News};
use crate::model::{Gpu, GpuPoolSettings, PoolDescription, PoolId, PoolName, VmLimit};

pub(in super::super) fn set_gpu_pool(
    connection: &Connection,
    pool: PoolId,
    settings: &GpuPoolSettings,
) -> Result<(), StoreError> {
    let GpuPoolSettings { name, description, max_vms } = settings;
    let sql = "UPDATE gpu_pools SET name = ?2, description = ?3, max_vms = ?4
               WHERE pool_id = ?1 AND (name IS NOT ?2 OR description IS NOT ?3 OR max_vms IS NOT ?4)";
    connection.prepare_cached(sql)?.execute(params![
        pool.as_str(),
        name.as_ref().map(PoolName::as_str),
        description.as_ref().map(PoolDescription::as_str),
        max_vms.map(VmLimit::get)
    ])?;
    Ok(())
}

impl Writing<'_> {
    /// Sets the name, description and limit of a GPU pool. Equal values are no change.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn set_gpu_pool(&self, pool: PoolId, settings: &GpuPoolSettings) -> Result<(), StoreError> {
        set_gpu_pool(self.transaction(), pool, settings)
    }

    /// Lets a GPU serve a GPU pool. Equal values are no change.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn assign_gpu(&self, gpu: &Gpu, pool: PoolId) -> Result<(), StoreError> {
        let (host, address) = (gpu.host.to_string(), gpu.address.to_string());
        self.execute(
            "INSERT INTO gpus (host_uuid, pci_address, pool_id) SELECT ?1, ?2, ?3
             WHERE NOT EXISTS (SELECT 1 FROM gpus WHERE host_uuid = ?1 AND pci_address = ?2)",
            params![host, address, pool.as_str()],
        )?;
        self.execute(
            "UPDATE gpus SET pool_id = ?3 WHERE host_uuid = ?1 AND pci_address = ?2 AND pool_id <> ?3",
            params![host, address, pool.as_str()],
        )?;
        Ok(())
    }

    /// The name is for people and not a change.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn set_device_name(&self, gpu: &Gpu, name: &str) -> Result<(), StoreError> {
        self.execute(
            "UPDATE gpus SET device_name = ?3 WHERE host_uuid = ?1 AND pci_address = ?2 AND device_name IS NOT ?3",
            params![gpu.host.to_string(), gpu.address.to_string(), name],
        )?;
        Ok(())
    }

    /// Lets a GPU serve no GPU pool. Its revision stays.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn unassign_gpu(&self, gpu: &Gpu) -> Result<(), StoreError> {
        let sql = "DELETE FROM gpus WHERE host_uuid = ?1 AND pci_address = ?2";
        self.execute(sql, params![gpu.host.to_string(), gpu.address.to_string()])?;
        Ok(())
    }

    /// Deletes everything about a GPU, as if it had never served a GPU pool.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn forget_gpu(&self, gpu: &Gpu) -> Result<(), StoreError> {
        self.unassign_gpu(gpu)?;
        self.execute("DELETE FROM gpu_state WHERE subject = ?1", [GpuSubject::Gpu(*gpu).to_string()])?;
        Ok(())
    }

    pub(super) fn set_gpu_content(&self, subject: &GpuSubject, content: &GpuContent) -> Result<(), StoreError> {
        match (subject, content) {
            (GpuSubject::Pool(pool), GpuContent::Pool(settings)) => self.set_gpu_pool(*pool, settings),
            (GpuSubject::Gpu(gpu), GpuContent::Gpu(Some(pool))) => self.assign_gpu(gpu, *pool),
            (GpuSubject::Gpu(gpu), GpuContent::Gpu(None)) => self.unassign_gpu(gpu),
            // An entry is read as its subject's.
            (GpuSubject::Pool(_), GpuContent::Gpu(_)) | (GpuSubject::Gpu(_), GpuContent::Pool(_)) => Ok(()),
        }
    }

    /// Takes over what other hosts have written, with its revisions and times.
    pub(in super::super) fn take_over_gpu_pools(&self, news: &News) -> Result<(), StoreError> {
        for (subject, entry) in &news.gpu_pools {
            self.add_gpu_state(subject)?;
            self.set_gpu_content(subject, &entry.content)?;
            self.mark_gpu_pushed(subject, entry.revision)?;
            self.count_and_time_gpu(subject, entry)?;
        }
        Ok(())
    }

    /// A tombstone has no row of which a trigger would add the state.
    fn add_gpu_state(&self, subject: &GpuSubject) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO gpu_state (subject, removed_at)
             SELECT ?1, CASE WHEN ?1 LIKE 'gpu:%' THEN CURRENT_TIMESTAMP END
             WHERE NOT EXISTS (SELECT 1 FROM gpu_state WHERE subject = ?1)",
            [subject.to_string()],
        )?;
        Ok(())
    }

    /// Sets the revision and the time of a change to those of an entry, after triggers have counted and timed it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn count_and_time_gpu(&self, subject: &GpuSubject, entry: &GpuEntry) -> Result<(), StoreError> {
        self.execute(
            "UPDATE gpu_state SET revision = ?2,
                 removed_at = CASE WHEN removed_at IS NULL THEN NULL ELSE datetime(?3, 'unixepoch') END
             WHERE subject = ?1",
            params![subject.to_string(), entry.revision, entry.changed_at],
        )?;
        match subject {
            GpuSubject::Pool(pool) => self.execute(
                "UPDATE gpu_pools SET updated_at = datetime(?2, 'unixepoch') WHERE pool_id = ?1",
                params![pool.as_str(), entry.changed_at],
            ),
            GpuSubject::Gpu(gpu) => self.execute(
                "UPDATE gpus SET updated_at = datetime(?3, 'unixepoch') WHERE host_uuid = ?1 AND pci_address = ?2",
                params![gpu.host.to_string(), gpu.address.to_string(), entry.changed_at],
            ),
        }?;
        Ok(())
    }

    /// Keeps what this host says, as one change more than what another host has written.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn count_gpu_after(&self, subject: &GpuSubject, here: &GpuEntry, there: &GpuEntry) -> Result<(), StoreError> {
        self.mark_gpu_pushed(subject, there.revision)?;
        self.count_and_time_gpu(subject, &GpuEntry { revision: there.revision + 1, ..here.clone() })
    }

    /// Records the revision that was written to XAPI. For a row beyond the largest revision, the largest counts as its revision.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn mark_gpu_pushed(&self, subject: &GpuSubject, revision: i64) -> Result<(), StoreError> {
        self.execute(
            "UPDATE gpu_state SET pushed_revision = CASE WHEN ?2 >= ?3 THEN max(revision, ?2) ELSE ?2 END WHERE subject = ?1",
            params![subject.to_string(), revision, LARGEST_REVISION],
        )?;
        Ok(())
    }
}
