//! xapi's database: the one that all hosts of a pool share.

mod events;
mod record;
mod session;
mod table;

use std::collections::HashSet;

use indexmap::IndexMap;

pub use events::EventLog;
pub use record::{NULL, Record, control_domain, from_value, host, map_of, pci, pgpu, pool, storable, task, vm};
pub use session::{Role, Session, SessionInfo};
pub use table::{Class, Table};

use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// Every object that XAPI knows.
#[derive(Debug, Clone)]
pub struct Database {
    tables: IndexMap<Class, Table>,
    pub sessions: IndexMap<String, Session>,
    /// The whole record that a VM had when the snapshot of that reference was taken: what a revert goes back to.
    pub snapshot_metadata: IndexMap<String, Record>,
    /// The VMs whose guests have no agent. XAPI has that from `VM_guest_metrics`, which the simulated host lacks.
    pub without_agent: HashSet<String>,
    pub events: EventLog,
}

impl Database {
    pub fn new() -> Self {
        let tables = Class::ALL.into_iter().map(|class| (class, Table::default())).collect();
        Self {
            tables,
            sessions: IndexMap::new(),
            snapshot_metadata: IndexMap::new(),
            without_agent: HashSet::new(),
            events: EventLog::default(),
        }
    }

    pub fn table(&self, class: Class) -> &Table {
        // Every class has a table from the start.
        &self.tables[&class]
    }

    pub fn record(&self, class: Class, reference: &str) -> ApiResult<&Record> {
        self.table(class).get(reference).ok_or_else(|| ApiError::handle_invalid(class.name(), reference))
    }

    pub fn insert(&mut self, class: Class, reference: &str, record: Record) {
        self.tables[&class].insert(reference, record);
        self.events.added(class, reference);
    }

    pub fn remove(&mut self, class: Class, reference: &str) -> ApiResult<Record> {
        let record = self.tables[&class].remove(reference);
        self.events.deleted(class, reference);
        record.ok_or_else(|| ApiError::handle_invalid(class.name(), reference))
    }

    /// Changes a record, which must exist.
    pub fn change(&mut self, class: Class, reference: &str) -> ApiResult<&mut Record> {
        self.events.modified(class, reference);
        let record = self.tables[&class].get_mut(reference);
        record.ok_or_else(|| ApiError::handle_invalid(class.name(), reference))
    }

    /// Sets a field.
    pub fn set(&mut self, class: Class, reference: &str, field: &str, value: impl Into<Value>) -> ApiResult<()> {
        self.change(class, reference)?.insert(field.to_owned(), value.into());
        Ok(())
    }

    /// Adds a key to a map field (`ocaml/database/db_cache_impl.ml`). A new key goes in front, as recorded.
    pub fn add_to_map(
        &mut self,
        class: Class,
        reference: &str,
        field: &str,
        key: &[u8],
        value: &[u8],
    ) -> ApiResult<()> {
        let (key, value) = (storable(key), storable(value));
        let record = self.record(class, reference)?;
        if map_of(record, field).contains_key(&key) {
            return Err(ApiError::new("MAP_DUPLICATE_KEY", &[class.name(), field, reference, &key]));
        }
        if let Some(Value::Dict(members)) = self.change(class, reference)?.get_mut(field) {
            members.insert(0, (key.into_bytes(), value.into()));
        }
        Ok(())
    }

    /// Removes a key from a map field; one that is not there is no error.
    pub fn remove_from_map(&mut self, class: Class, reference: &str, field: &str, key: &[u8]) -> ApiResult<()> {
        let record = self.record(class, reference)?;
        if !map_of(record, field).contains_key(&storable(key)) {
            return Ok(());
        }
        if let Some(Value::Dict(members)) = self.change(class, reference)?.get_mut(field) {
            members.retain(|(name, _)| name != storable(key).as_bytes());
        }
        Ok(())
    }
}
