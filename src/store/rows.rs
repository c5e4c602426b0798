//! Reads the rows.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::StoreError;
use super::records::{Counts, LastStart, Registration, StoredVm};
use crate::model::{DeviceVmId, InvalidValue, PoolId, Priority, VmSettings, VmUuid};

/// The columns of a registered VM, by table. A time that was typed in may be anything.
pub(super) const VM_COLUMNS: &str = "vms.vm_uuid, vm_name, pool_id, priority,
    CAST(coalesce(created_at, '') AS TEXT), CAST(coalesce(updated_at, '') AS TEXT)";
pub(super) const STATE_COLUMNS: &str =
    "device_vm_id, coalesce(revision, 0), coalesce(pushed_revision, -1), coalesce(known_to_xapi, 1)";
pub(super) const START_COLUMNS: &str = "started_at, host_uuid, device_argument";

/// One state of the database, for several reads: held until it is dropped.
#[derive(Debug)]
pub struct Snapshot<'c>(#[expect(dead_code, reason = "held until it is dropped")] Option<Transaction<'c>>);

/// Reads the database, or its state inside a change.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'c>(&'c Connection);

impl<'c> Reading<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self(connection)
    }

    pub(super) fn connection(&self) -> &'c Connection {
        self.0
    }

    /// Until the snapshot is dropped, all reads see the same state; inside a change they do so anyway. Other programs may
    /// write, but their commits wait for that, so drop it soon.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'c>, StoreError> {
        let begin = || Transaction::new_unchecked(self.0, TransactionBehavior::Deferred);
        Ok(Snapshot(self.0.is_autocommit().then(begin).transpose()?))
    }

    /// `None` if the VM is not registered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn vm(&self, uuid: &VmUuid) -> Result<Option<StoredVm>, StoreError> {
        let from = "vms LEFT JOIN vm_state ON vm_state.vm_uuid = lower(vms.vm_uuid)";
        self.one_vm(from, "vms.vm_uuid", &uuid.to_string())
    }

    /// The registered VM whose device has a number, also if the number is derived and not stored yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn vm_of_device(&self, vm_id: DeviceVmId) -> Result<Option<StoredVm>, StoreError> {
        let from = "vm_state JOIN vms ON vms.vm_uuid = vm_state.vm_uuid";
        if let Some(vm) = self.one_vm(from, "device_vm_id", &vm_id.get())? {
            return Ok(Some(vm));
        }
        for uuid in self.uuids("SELECT vm_uuid FROM vms JOIN vms_to_complete USING (vm_uuid) ORDER BY vm_uuid", &[])? {
            let vm = self.vm(&uuid)?;
            if vm.as_ref().is_some_and(|vm| vm.settings.vm_id == vm_id) {
                return Ok(vm);
            }
        }
        Ok(None)
    }

    fn one_vm(&self, from: &str, column: &str, key: &dyn rusqlite::ToSql) -> Result<Option<StoredVm>, StoreError> {
        let sql = format!(
            "SELECT {VM_COLUMNS}, {STATE_COLUMNS}, {START_COLUMNS} FROM {from}
             LEFT JOIN last_starts ON last_starts.vm_uuid = lower(vms.vm_uuid) WHERE {column} = ?1"
        );
        let mut statement = self.0.prepare_cached(&sql)?;
        let mut rows = statement.query([key])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        self.stored_vm(row, VmState::read(row, 6)?, read_last_start(row, 10)?).map(Some)
    }

    /// # Errors
    /// The database cannot be read.
    pub fn registration(&self, uuid: &VmUuid) -> Result<Registration, StoreError> {
        if let Some(vm) = self.vm(uuid)? {
            return Ok(Registration::Registered(vm));
        }
        let removed = self.0.query_row(
            "SELECT device_vm_id, pushed_revision >= revision FROM vm_state WHERE vm_uuid = ?1",
            [uuid.to_string()],
            |row| Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?)),
        );
        Ok(match removed.optional()? {
            Some((number, pushed)) => {
                Registration::Removed { vm_id: number.and_then(|number| number.try_into().ok()), pushed }
            }
            None => Registration::Unknown,
        })
    }

    /// # Errors
    /// The database cannot be read.
    pub fn vms_named(&self, name: &str) -> Result<Vec<VmUuid>, StoreError> {
        self.uuids("SELECT vm_uuid FROM vms WHERE vm_name = ?1 ORDER BY vm_uuid", &[&name])
    }

    /// The registered VM with a device's number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn owner_of(&self, vm_id: DeviceVmId) -> Result<Option<VmUuid>, StoreError> {
        let sql = "SELECT vms.vm_uuid FROM vms JOIN vm_state USING (vm_uuid) WHERE device_vm_id = ?1";
        Ok(self.uuids(sql, &[&vm_id.get()])?.pop())
    }

    /// The registered or removed VM with a device's number.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn holder_of(&self, vm_id: DeviceVmId) -> Result<Option<VmUuid>, StoreError> {
        Ok(self.uuids("SELECT vm_uuid FROM vm_state WHERE device_vm_id = ?1", &[&vm_id.get()])?.pop())
    }

    /// # Errors
    /// The database cannot be read.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let mut counts = Counts::default();
        for pool in PoolId::ALL {
            for priority in Priority::ALL {
                counts.0[pool as usize][priority as usize] = self.0.query_row(
                    "SELECT count(*) FROM vms WHERE pool_id = ?1 AND priority = ?2",
                    params![pool.as_str(), priority.as_number()],
                    |row| row.get(0),
                )?;
            }
        }
        Ok(counts)
    }

    /// How many changes of VMs, GPU pools and GPUs, including removals, were not written to XAPI yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn count_unpushed(&self) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM vm_state WHERE pushed_revision < revision)
                       + (SELECT count(*) FROM gpu_state WHERE pushed_revision < revision)";
        Ok(self.0.query_row(sql, [], |row| row.get(0))?)
    }

    /// A time in seconds since 1970, as this database writes times.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn time(&self, seconds: i64) -> Result<String, StoreError> {
        Ok(self.0.query_row("SELECT datetime(?1, 'unixepoch')", [seconds], |row| row.get(0))?)
    }

    /// The number for a VM without one: derived from its UUID, or the next free one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn free_number(&self, uuid: &VmUuid) -> Result<DeviceVmId, StoreError> {
        let mut number = DeviceVmId::derived_from(uuid);
        let sql = "SELECT EXISTS (SELECT 1 FROM vm_state WHERE device_vm_id = ?1)";
        let mut taken = self.0.prepare_cached(sql)?;
        while taken.query_row([number.get()], |row| row.get(0))? {
            number = number.next();
        }
        Ok(number)
    }

    fn uuids(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<VmUuid>, StoreError> {
        let mut statement = self.0.prepare_cached(sql)?;
        let texts = statement.query_map(params, |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        texts.into_iter().map(|text| read_column(&text.clone(), "vm_uuid", text.parse())).collect()
    }

    /// A VM from [`VM_COLUMNS`], with its state and last start.
    pub(super) fn stored_vm(
        &self,
        row: &Row<'_>,
        state: VmState,
        last_start: Option<LastStart>,
    ) -> Result<StoredVm, StoreError> {
        let (key, uuid) = (text(row, 0)?, read_uuid(row)?);
        let vm_id = match state.number {
            Some(number) => read_column(key, "device_vm_id", number.try_into())?,
            None => self.free_number(&uuid)?,
        };
        let settings = VmSettings {
            pool: read_column(key, "pool_id", text(row, 2)?.parse())?,
            priority: read_column(key, "priority", row.get::<_, i64>(3)?.try_into())?,
            vm_id,
        };
        Ok(StoredVm {
            uuid,
            name: text_of_people(row, 1)?,
            settings,
            number_is_provisional: state.number.is_none(),
            revision: state.revision,
            pushed_revision: state.pushed_revision,
            is_known_to_xapi: state.is_known_to_xapi,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
            last_start,
        })
    }
}

/// What the programs keep about a VM beyond its settings.
#[derive(Debug, Clone, Copy)]
pub(super) struct VmState {
    number: Option<i64>,
    revision: i64,
    pushed_revision: i64,
    is_known_to_xapi: bool,
}

impl VmState {
    /// For a VM that no program has seen since it was inserted by hand.
    pub const UNSEEN: Self = Self { number: None, revision: 0, pushed_revision: -1, is_known_to_xapi: true };

    /// From [`STATE_COLUMNS`].
    pub fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(first)?,
            revision: row.get(first + 1)?,
            pushed_revision: row.get(first + 2)?,
            is_known_to_xapi: row.get(first + 3)?,
        })
    }
}

/// From [`START_COLUMNS`]; `None` for a VM that was not started yet.
pub(super) fn read_last_start(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<LastStart>> {
    let Some(started_at) = row.get(first)? else { return Ok(None) };
    Ok(Some(LastStart { started_at, host_uuid: row.get(first + 1)?, device_argument: row.get(first + 2)? }))
}

/// The UUID of [`VM_COLUMNS`].
pub(super) fn read_uuid(row: &Row<'_>) -> Result<VmUuid, StoreError> {
    let key = text(row, 0)?;
    read_column(key, "vm_uuid", key.parse())
}

/// Text, without copying it.
pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

/// Text that was typed by hand, in any encoding.
pub(super) fn text_of_people(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => None,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
    })
}

fn read_column<T>(vm_uuid: &str, column: &'static str, value: Result<T, InvalidValue>) -> Result<T, StoreError> {
    value.map_err(|InvalidValue { value, expected }| StoreError::BadRow {
        row: format!("VM '{vm_uuid}'"),
        column,
        value,
        expected,
    })
}
