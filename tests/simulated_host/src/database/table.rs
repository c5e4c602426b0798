//! One class's objects.

use indexmap::IndexMap;

use super::Record;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// A class of XAPI's data model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    Vm,
    Host,
    Pool,
    Task,
    Pci,
    Pgpu,
}

impl Class {
    pub const ALL: [Self; 6] = [Self::Vm, Self::Host, Self::Pool, Self::Task, Self::Pci, Self::Pgpu];

    /// As calls and errors spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vm => "VM",
            Self::Host => "host",
            Self::Pool => "pool",
            Self::Task => "task",
            Self::Pci => "PCI",
            Self::Pgpu => "PGPU",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// The objects of a class by their references.
#[derive(Debug, Clone, Default)]
pub struct Table(IndexMap<String, Record>);

impl Table {
    pub fn get(&self, reference: &str) -> Option<&Record> {
        self.0.get(reference)
    }

    pub fn get_mut(&mut self, reference: &str) -> Option<&mut Record> {
        self.0.get_mut(reference)
    }

    pub fn insert(&mut self, reference: &str, record: Record) {
        self.0.insert(reference.to_owned(), record);
    }

    pub fn remove(&mut self, reference: &str) -> Option<Record> {
        self.0.shift_remove(reference)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Record)> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The references of those whose field has that value.
    pub fn having<'a>(&'a self, field: &'a str, value: &'a str) -> impl Iterator<Item = &'a String> {
        let matches = move |record: &Record| record.get(field).and_then(Value::bytes) == Some(value.as_bytes());
        self.0.iter().filter(move |(_, record)| matches(record)).map(|(reference, _)| reference)
    }

    pub fn by_uuid(&self, class: Class, uuid: &str) -> ApiResult<String> {
        self.having("uuid", uuid).next().cloned().ok_or_else(|| ApiError::uuid_invalid(class.name(), uuid))
    }
}
