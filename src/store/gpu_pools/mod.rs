//! The GPU pools and the GPUs that serve them.

mod edits;
mod history;
mod writing;

use rusqlite::{OptionalExtension, Row};

use super::StoreError;
use super::entries::understood;
use super::rows::{Reading, text_of_people};
use crate::entry::{GpuContent, GpuEntry, GpuSubject, LARGEST_REVISION};
use crate::model::{Gpu, GpuPoolSettings, InvalidValue, PoolId, VmLimit};

pub use history::{GpuChange, HeldGpuSettings};
pub(super) use writing::set_gpu_pool;

/// A GPU that serves a GPU pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredGpu {
    pub gpu: Gpu,
    pub pool: PoolId,
    /// Its name when a program last asked XAPI for it.
    pub device_name: Option<String>,
}

impl Reading<'_> {
    /// The name, description and limit of a GPU pool.
    ///
    /// # Errors
    /// The database cannot be read, or a value is not valid.
    pub fn gpu_pool(&self, pool: PoolId) -> Result<GpuPoolSettings, StoreError> {
        let sql = "SELECT name, description, max_vms FROM gpu_pools WHERE pool_id = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let settings = statement.query_row([pool.as_str()], |row| Ok(pool_settings(row, pool))).optional()?;
        settings.transpose().map(Option::unwrap_or_default)
    }

    /// How many VMs a GPU pool may have; `None` for any number. A row that cannot be understood has no limit: `check` names it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn vm_limit(&self, pool: PoolId) -> Result<Option<VmLimit>, StoreError> {
        let mut statement = self.connection().prepare_cached("SELECT max_vms FROM gpu_pools WHERE pool_id = ?1")?;
        let max_vms = statement.query_row([pool.as_str()], |row| row.get::<_, Option<i64>>(0)).optional()?.flatten();
        let limit =
            |number: i64| VmLimit::try_from(number).map_err(|invalid| bad_row(format!("'{pool}'"), "max_vms", invalid));
        Ok(max_vms.and_then(|number| understood(limit(number))))
    }

    /// The GPU pools that have a limit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn vm_limits(&self) -> Result<Vec<(PoolId, VmLimit)>, StoreError> {
        let limit = |pool| Ok(self.vm_limit(pool)?.map(|max| (pool, max)));
        PoolId::ALL.into_iter().filter_map(|pool| limit(pool).transpose()).collect()
    }

    /// Whether every row can be understood.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check_gpu_rows(&self) -> Result<(), StoreError> {
        PoolId::ALL.into_iter().try_for_each(|pool| self.gpu_pool(pool).map(drop))?;
        self.gpus()?;
        self.gpu_subjects()?.iter().try_for_each(|subject| self.gpu_entry_of(subject).map(drop))
    }

    /// The GPUs that serve a GPU pool, by GPU pool, host and address.
    ///
    /// # Errors
    /// The database cannot be read, or a value is not valid.
    pub fn gpus(&self) -> Result<Vec<StoredGpu>, StoreError> {
        let sql = "SELECT host_uuid || ':' || pci_address, pool_id, device_name FROM gpus
                   ORDER BY pool_id, host_uuid, pci_address";
        let mut statement = self.connection().prepare_cached(sql)?;
        let gpus = statement.query_map([], |row| Ok(stored_gpu(row)))?.collect::<Result<Vec<_>, _>>()?;
        gpus.into_iter().collect()
    }

    /// The GPU pool that a GPU serves; `None` for none.
    ///
    /// # Errors
    /// The database cannot be read, or a value is not valid.
    pub fn pool_of_gpu(&self, gpu: &Gpu) -> Result<Option<PoolId>, StoreError> {
        match self.gpu_entry_of(&GpuSubject::Gpu(*gpu))? {
            Some(GpuEntry { content: GpuContent::Gpu(pool), .. }) => Ok(pool),
            _ => Ok(None),
        }
    }

    /// How many registered VMs a GPU pool has.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn count_vms_of(&self, pool: PoolId) -> Result<u64, StoreError> {
        let mut statement = self.connection().prepare_cached("SELECT count(*) FROM vms WHERE pool_id = ?1")?;
        Ok(statement.query_row([pool.as_str()], |row| row.get(0))?)
    }

    /// What this database says of a GPU pool or a GPU; `None` if it never heard of a change of it, or cannot understand its row:
    /// the log and `check` name that one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn gpu_entry(&self, subject: &GpuSubject) -> Result<Option<GpuEntry>, StoreError> {
        match self.gpu_entry_of(subject) {
            Err(error @ StoreError::BadRow { .. }) => Ok(understood(Err(error))),
            entry => entry,
        }
    }

    fn gpu_entry_of(&self, subject: &GpuSubject) -> Result<Option<GpuEntry>, StoreError> {
        match subject {
            GpuSubject::Pool(pool) => self.pool_entry(*pool),
            GpuSubject::Gpu(gpu) => self.entry_of_gpu(gpu),
        }
    }

    /// What this database says of everything of which it ever heard a change.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn gpu_entries(&self) -> Result<Vec<(GpuSubject, GpuEntry)>, StoreError> {
        let mut entries = Vec::new();
        for subject in self.gpu_subjects()? {
            entries.extend(self.gpu_entry(&subject)?.map(|entry| (subject, entry)));
        }
        Ok(entries)
    }

    /// Whether XAPI was told of the last change of a GPU pool or a GPU.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_gpu_pushed(&self, subject: &GpuSubject) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM gpu_state WHERE subject = ?1 AND pushed_revision >= revision)";
        Ok(self.connection().prepare_cached(sql)?.query_row([subject.to_string()], |row| row.get(0))?)
    }

    /// All GPU pools, and the GPUs that serve one or did.
    fn gpu_subjects(&self) -> Result<Vec<GpuSubject>, StoreError> {
        let sql = "SELECT 'gpu:' || host_uuid || ':' || pci_address FROM gpus UNION SELECT subject FROM gpu_state
                   UNION SELECT 'pool:A' UNION SELECT 'pool:B'";
        let mut statement = self.connection().prepare_cached(sql)?;
        let texts = statement.query_map([], |row| text_of_people(row, 0))?.collect::<Result<Vec<_>, _>>()?;
        let parse = |text: String| {
            let subject = text.parse().map_err(|invalid| bad_row(format!("'{text}'"), "subject", invalid));
            understood(subject)
        };
        let mut subjects: Vec<_> = texts.into_iter().flatten().filter_map(parse).collect();
        subjects.sort_unstable();
        Ok(subjects)
    }

    fn pool_entry(&self, pool: PoolId) -> Result<Option<GpuEntry>, StoreError> {
        let sql = "
            SELECT name, description, max_vms, coalesce(strftime('%s', updated_at), '0'), coalesce(revision, 0)
            FROM gpu_pools LEFT JOIN gpu_state ON subject = 'pool:' || pool_id WHERE pool_id = ?1";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([pool.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let (settings, revision) = (pool_settings(row, pool)?, row.get(4)?);
        let was_changed = revision > 0 || settings != GpuPoolSettings::default();
        Ok(was_changed.then_some(entry(GpuContent::Pool(settings), revision, &row.get::<_, String>(3)?)))
    }

    fn entry_of_gpu(&self, gpu: &Gpu) -> Result<Option<GpuEntry>, StoreError> {
        let sql = "
            SELECT pool_id, coalesce(strftime('%s', coalesce(updated_at, removed_at)), '0'), coalesce(revision, 0)
            FROM (SELECT ?1 AS host, ?2 AS address)
            LEFT JOIN gpus ON host_uuid = host AND pci_address = address
            LEFT JOIN gpu_state ON subject = 'gpu:' || host || ':' || address
            WHERE pool_id IS NOT NULL OR subject IS NOT NULL";
        let mut statement = self.connection().prepare_cached(sql)?;
        let mut rows = statement.query([gpu.host.to_string(), gpu.address.to_string()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let pool = text_of_people(row, 0)?.map(|pool| pool.parse());
        let pool = pool.transpose().map_err(|invalid| bad_row(format!("GPU '{gpu}'"), "pool_id", invalid))?;
        Ok(Some(entry(GpuContent::Gpu(pool), row.get(2)?, &row.get::<_, String>(1)?)))
    }
}

fn entry(content: GpuContent, revision: i64, changed_at: &str) -> GpuEntry {
    let changed_at = changed_at.parse().unwrap_or_default();
    GpuEntry { content, revision: revision.min(LARGEST_REVISION), changed_at, more: String::new() }
}

fn pool_settings(row: &Row<'_>, pool: PoolId) -> Result<GpuPoolSettings, StoreError> {
    let bad = |column| move |invalid| bad_row(format!("GPU pool '{pool}'"), column, invalid);
    let name = text_of_people(row, 0)?.map(|name| name.parse());
    let description = text_of_people(row, 1)?.map(|description| description.parse());
    let max_vms = row.get::<_, Option<i64>>(2)?.map(VmLimit::try_from);
    Ok(GpuPoolSettings {
        name: name.transpose().map_err(bad("name"))?,
        description: description.transpose().map_err(bad("description"))?,
        max_vms: max_vms.transpose().map_err(bad("max_vms"))?,
    })
}

fn stored_gpu(row: &Row<'_>) -> Result<StoredGpu, StoreError> {
    let key = text_of_people(row, 0)?.unwrap_or_default();
    let bad = |column, invalid| bad_row(format!("GPU '{key}'"), column, invalid);
    Ok(StoredGpu {
        gpu: key.parse().map_err(|invalid| bad("host_uuid and pci_address", invalid))?,
        pool: text_of_people(row, 1)?.unwrap_or_default().parse().map_err(|invalid| bad("pool_id", invalid))?,
        device_name: text_of_people(row, 2)?,
    })
}

fn bad_row(row: String, column: &'static str, invalid: InvalidValue) -> StoreError {
    StoreError::BadRow { row, column, value: invalid.value, expected: invalid.expected }
}
