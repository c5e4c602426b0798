//! The fields of an object, in the order in which XAPI sends them.

use indexmap::IndexMap;

use crate::wire::{Value, json};

/// An object's fields.
pub type Record = IndexMap<String, Value>;

/// The reference that refers to nothing.
pub const NULL: &str = "OpaqueRef:NULL";

/// A VM's record with nothing special about it.
pub fn vm() -> Record {
    template(include_bytes!("../../records/vm.json"))
}

/// A host's record.
pub fn host() -> Record {
    template(include_bytes!("../../records/host.json"))
}

/// A pool's record.
pub fn pool() -> Record {
    template(include_bytes!("../../records/pool.json"))
}

/// The record of a task that has just begun.
pub fn task() -> Record {
    template(include_bytes!("../../records/task.json"))
}

/// The record of a PCI device, with the fields that clients see in v24.19: `attached_VMs` and those about functions are
/// `internal_only` in `ocaml/idl/datamodel.ml`. Their order is a guess.
pub fn pci() -> Record {
    template(include_bytes!("../../records/pci.json"))
}

/// The record of a physical GPU, with the fields that clients see (`ocaml/idl/datamodel.ml`). Their order is a guess.
pub fn pgpu() -> Record {
    template(include_bytes!("../../records/pgpu.json"))
}

/// The record of dom0 itself.
pub fn control_domain() -> Record {
    let mut record = vm();
    record.extend(template(include_bytes!("../../records/control_domain.json")));
    record
}

/// The templates are part of the program; one that cannot be read shows at once, as a record without fields.
fn template(text: &[u8]) -> Record {
    from_value(&json::parse(text).unwrap_or(Value::Null))
}

/// A record of a JSON object.
pub fn from_value(value: &Value) -> Record {
    let fields = value.members().iter();
    fields.map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), with_dates(value.clone()))).collect()
}

/// JSON has no dates: what is written like one, is one.
fn with_dates(value: Value) -> Value {
    match &value {
        Value::Text(bytes) if is_date(bytes) => Value::DateTime(String::from_utf8_lossy(bytes).into_owned()),
        _ => value,
    }
}

fn is_date(bytes: &[u8]) -> bool {
    bytes.len() == b"19700101T00:00:00Z".len()
        && bytes.iter().zip(b"00000000T00:00:00Z").all(|(byte, pattern)| match pattern {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

/// A map field, or an empty map.
pub fn map_of(record: &Record, field: &str) -> IndexMap<String, String> {
    let members = record.get(field).map(Value::members).unwrap_or_default().iter();
    members
        .filter_map(|(key, value)| Some((String::from_utf8_lossy(key).into_owned(), value.text()?.into_owned())))
        .collect()
}

/// What the database keeps of a string: everything up to the first byte that is not UTF-8 or the first control
/// character other than tab, line feed and carriage return (`ocaml/database/db_cache_impl.ml`).
pub fn storable(bytes: &[u8]) -> String {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().take_while(|&character| is_valid(character)).collect()
}

fn is_valid(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}
