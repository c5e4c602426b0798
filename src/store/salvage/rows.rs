//! Rows of the tables, from records of the pages. Only valid ones are accepted: a record may be left over from anything.

use std::ops::RangeInclusive;

use super::pages::{Record, Value};
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};

/// As in [`crate::entry::Entry`]: an invalid, too high revision would override every later change.
pub(super) const REVISIONS: RangeInclusive<i64> = 0..=1 << 53;

#[derive(Debug, Clone)]
pub(in crate::store) struct VmRow {
    pub vm_id: i64,
    pub uuid: VmUuid,
    pub name: Option<String>,
    pub pool: PoolId,
    pub priority: Priority,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    /// No page leads to it any more, so it may be out of date.
    pub is_stray: bool,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct StateRow {
    pub uuid: VmUuid,
    pub number: Option<DeviceVmId>,
    pub revision: i64,
    pub pushed_revision: i64,
    pub removed_at: Option<String>,
    pub known_to_xapi: bool,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct StartRow {
    pub uuid: VmUuid,
    pub started_at: String,
    pub host_uuid: String,
    pub device_argument: String,
    pub history_entry: Option<i64>,
}

#[derive(Debug, Clone)]
pub(in crate::store) struct HistoryRow {
    pub entry_id: i64,
    pub changed_at: String,
    pub vm_uuid: String,
    pub vm_name: Option<String>,
    pub through: String,
    pub changed_by: Option<String>,
    pub old: HeldRow,
    pub new: HeldRow,
}

/// GPU pool, priority and number before or after a change.
pub(in crate::store) type HeldRow = (Option<String>, Option<i64>, Option<i64>);

/// A row with the names of its columns.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub record: &'a Record,
    pub columns: &'a [String],
}

impl Fields<'_> {
    /// A column's value. A row that was written before its column was added lacks it.
    fn get(&self, column: &str) -> Option<&Value> {
        self.record.values.get(self.columns.iter().position(|name| name == column)?)
    }

    pub fn integer(&self, column: &str) -> Option<i64> {
        match self.get(column)? {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Text that may have been typed by hand, stored as any type.
    pub fn text(&self, column: &str) -> Option<String> {
        match self.get(column)? {
            Value::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Real(number) => Some(number.to_string()),
            Value::Null | Value::Blob => None,
        }
    }

    /// The number of a row that a table has given.
    pub fn rowid(&self) -> Option<i64> {
        Some(self.record.rowid).filter(|entry| *entry > 0)
    }

    fn uuid(&self) -> Option<VmUuid> {
        self.text("vm_uuid")?.parse().ok()
    }

    fn number(&self, column: &str) -> Option<DeviceVmId> {
        self.integer(column)?.try_into().ok()
    }

    fn held(&self, which: &str) -> HeldRow {
        let column = |name: &str| format!("{which}_{name}");
        (self.text(&column("pool_id")), self.integer(&column("priority")), self.integer(&column("device_vm_id")))
    }

    /// For a message.
    pub fn shown(&self) -> String {
        let shown = |value: &Value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(bytes) => format!("'{}'", String::from_utf8_lossy(bytes).escape_debug()),
            Value::Blob => "a blob".to_owned(),
        };
        let shown = self.record.values.iter().map(shown).collect::<Vec<_>>().join(", ");
        if shown.chars().count() > 120 { shown.chars().take(120).chain(['…']).collect() } else { shown }
    }
}

impl VmRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            vm_id: fields.record.rowid,
            uuid: fields.uuid()?,
            name: fields.text("vm_name"),
            pool: fields.text("pool_id")?.parse().ok()?,
            priority: fields.integer("priority")?.to_string().parse().ok()?,
            created_at: fields.text("created_at"),
            updated_at: fields.text("updated_at"),
            is_stray: false,
        })
    }
}

impl StateRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<Self> {
        let revision = |column: &str| fields.integer(column).filter(|revision| *revision <= *REVISIONS.end());
        let is_number = matches!(fields.get("device_vm_id"), Some(Value::Null | Value::Integer(_)));
        Some(Self {
            uuid: fields.uuid()?,
            number: fields.number("device_vm_id"),
            revision: revision("revision").filter(|revision| REVISIONS.contains(revision) && is_number)?,
            pushed_revision: revision("pushed_revision")?,
            removed_at: fields.text("removed_at"),
            known_to_xapi: fields.integer("known_to_xapi") != Some(0),
        })
    }
}

impl StartRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            uuid: fields.uuid()?,
            started_at: fields.text("started_at")?,
            host_uuid: fields.text("host_uuid")?,
            device_argument: fields.text("device_argument")?,
            history_entry: fields.integer("history_entry"),
        })
    }
}

impl HistoryRow {
    pub(super) fn read(fields: Fields<'_>) -> Option<Self> {
        // The UUID is stored as it was written, and may be invalid.
        Some(Self {
            entry_id: fields.rowid()?,
            changed_at: fields.text("changed_at")?,
            vm_uuid: fields.text("vm_uuid")?,
            vm_name: fields.text("vm_name"),
            through: fields.text("through")?,
            changed_by: fields.text("changed_by"),
            old: fields.held("old"),
            new: fields.held("new"),
        })
    }
}
