//! Reads the rows.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::StoreError;
use super::records::{Counts, Filter, LastStart, Registration, StoredVm};
use crate::model::{DeviceVmId, InvalidValue, PoolId, Priority, VmSettings, VmUuid};

const SELECT_VM: &str = "
    SELECT vms.vm_uuid, vm_name, pool_id, priority, device_vm_id, coalesce(revision, 0), coalesce(pushed_revision, -1),
           coalesce(known_to_xapi, 1), CAST(coalesce(created_at, '') AS TEXT), CAST(coalesce(updated_at, '') AS TEXT), started_at, host_uuid, device_argument
    FROM vms
    LEFT JOIN vm_state ON vm_state.vm_uuid = lower(vms.vm_uuid)
    LEFT JOIN last_starts ON last_starts.vm_uuid = lower(vms.vm_uuid)";

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

    /// `None` if the VM is not registered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn vm(&self, uuid: &VmUuid) -> Result<Option<StoredVm>, StoreError> {
        let mut statement = self.0.prepare_cached(&format!("{SELECT_VM} WHERE vms.vm_uuid = ?1"))?;
        let mut rows = statement.query([uuid.to_string()])?;
        rows.next()?.map(|row| self.stored_vm(row)).transpose()
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

    /// Calls `visit` for each VM that matches the filter: by GPU pool, then by priority, highest first, then by name. The database
    /// is not locked meanwhile.
    ///
    /// # Errors
    /// The database cannot be read, a row is invalid, or `visit` fails.
    pub fn for_each_vm<E: From<StoreError>>(
        &self,
        filter: Filter,
        visit: &mut dyn FnMut(StoredVm) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = format!("{SELECT_VM} WHERE (?1 IS NULL OR pool_id = ?1) AND (?2 IS NULL OR priority = ?2)");
        let mut statement = self.0.prepare_cached(&sql).map_err(StoreError::from)?;
        let pool = filter.pool.map(PoolId::as_str);
        let priority = filter.priority.map(Priority::as_number);
        // All rows are read first: if the output goes to a pager, other programs' commits must not wait for it.
        let mut vms = Vec::new();
        let mut rows = statement.query(params![pool, priority]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            vms.push(self.stored_vm(row)?);
        }
        drop(rows);
        // SQLite would sort whole rows, and on the disk if there are many.
        vms.sort_unstable_by(|one, other| one.order().cmp(&other.order()));
        vms.into_iter().try_for_each(visit)
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

    /// The last start of every VM on this host, including removed VMs, with its time in seconds since 1970.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_starts(&self) -> Result<Vec<(String, LastStart, i64)>, StoreError> {
        let sql = "SELECT vm_uuid, started_at, host_uuid, device_argument, CAST(strftime('%s', started_at) AS INTEGER)
                   FROM last_starts ORDER BY vm_uuid";
        let mut statement = self.0.prepare_cached(sql)?;
        let start = |row: &Row<'_>| {
            let given = LastStart { started_at: row.get(1)?, host_uuid: row.get(2)?, device_argument: row.get(3)? };
            Ok((row.get(0)?, given, row.get::<_, Option<i64>>(4)?.unwrap_or_default()))
        };
        Ok(statement.query_map([], start)?.collect::<Result<_, _>>()?)
    }

    /// How many changes, including removals, were not written to XAPI yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn count_unpushed(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM vm_state WHERE pushed_revision < revision";
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

    fn stored_vm(&self, row: &Row<'_>) -> Result<StoredVm, StoreError> {
        let key: String = row.get(0)?;
        let uuid = read_column(&key, "vm_uuid", key.parse())?;
        let stored_number = row.get::<_, Option<i64>>(4)?;
        let vm_id = match stored_number {
            Some(number) => read_column(&key, "device_vm_id", number.try_into())?,
            None => self.free_number(&uuid)?,
        };
        let settings = VmSettings {
            pool: read_column(&key, "pool_id", row.get::<_, String>(2)?.parse())?,
            priority: read_column(&key, "priority", row.get::<_, i64>(3)?.to_string().parse())?,
            vm_id,
        };
        let last_start = match row.get::<_, Option<String>>(10)? {
            Some(started_at) => Some(LastStart { started_at, host_uuid: row.get(11)?, device_argument: row.get(12)? }),
            None => None,
        };
        Ok(StoredVm {
            uuid,
            name: text_of_people(row, 1)?,
            settings,
            number_is_provisional: stored_number.is_none(),
            revision: row.get(5)?,
            pushed_revision: row.get(6)?,
            is_known_to_xapi: row.get(7)?,
            created_at: row.get(8)?,
            updated_at: row.get(9)?,
            last_start,
        })
    }
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
        vm_uuid: vm_uuid.to_owned(),
        column,
        value,
        expected,
    })
}
