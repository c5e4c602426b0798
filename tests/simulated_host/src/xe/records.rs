//! How `xe` finds objects and prints them (`cli_printer.ml`, `records.ml`).

use super::arguments::Arguments;
use super::client::Client;
use super::{Failure, Outcome};
use crate::wire::Value;

/// A parameter's value as xe prints it.
pub fn printed(name: &str, value: &Value) -> Vec<u8> {
    match value {
        Value::Bool(value) => value.to_string().into_bytes(),
        Value::Int(value) => value.to_string().into_bytes(),
        Value::Float(value) => value.to_string().into_bytes(),
        Value::Dict(members) => {
            let members: Vec<Vec<u8>> =
                members.iter().map(|(key, value)| [key, b": ".as_slice(), &printed("", value)].concat()).collect();
            members.join(b"; ".as_slice())
        }
        Value::List(items) => {
            let items: Vec<Vec<u8>> = items.iter().map(|item| printed("", item)).collect();
            items.join(b"; ".as_slice())
        }
        Value::Text(bytes) if name == "power-state" => bytes.to_ascii_lowercase(),
        Value::Text(bytes) if bytes == b"OpaqueRef:NULL" => b"<not in database>".to_vec(),
        value => value.bytes().unwrap_or_default().to_vec(),
    }
}

/// The field of a parameter: `name-label` is `name_label`.
pub fn field_of(param: &str) -> String {
    param.replace('-', "_")
}

/// `xe CLASS-list`: the objects that match every value given, and of each the parameters asked for.
pub fn list(client: &mut Client, arguments: &Arguments, class: &str, default: &[&str]) -> Outcome {
    let records = client.call(&format!("{class}.get_all_records"), [])?;
    let params = arguments.text("params");
    let params: Vec<&str> = match &params {
        Some(params) => params.split(',').collect(),
        None => default.to_vec(),
    };
    let is_listed = |record: &Value| {
        let is = |field: &str| record.get(field) == Some(&Value::Bool(true));
        let filters = arguments.values.iter().filter(|(name, _)| name != "params");
        let matches = |(name, wanted): &(String, Vec<u8>)| {
            record.get(&field_of(name)).is_some_and(|value| &printed(name, value) == wanted)
        };
        !is("is_a_template") && !is("is_a_snapshot") && filters.clone().all(matches)
    };
    let found: Vec<&Value> = records.members().iter().map(|(_, record)| record).filter(|it| is_listed(it)).collect();
    let value_of = |record: &Value, param: &str| {
        record.get(&field_of(param)).map(|value| printed(param, value)).unwrap_or_default()
    };
    if arguments.has_flag("--minimal") {
        let first = params.first().copied().unwrap_or("uuid");
        let values: Vec<Vec<u8>> = found.iter().map(|record| escaped(&value_of(record, first))).collect();
        return Ok([values.join(b",".as_slice()), b"\n".to_vec()].concat());
    }
    let width = 4 + params.iter().map(|param| param.len() + " ( RW)".len()).max().unwrap_or_default();
    let mut out = Vec::new();
    for record in found {
        for (index, param) in params.iter().enumerate() {
            let access = if WRITABLE.contains(param) { "RW" } else { "RO" };
            let label = format!("{param} ( {access})");
            let label = if index == 0 { format!("{label:<width$}") } else { format!("{label:>width$}") };
            out.extend([label.as_bytes(), b": ", &value_of(record, param), b"\n"].concat());
        }
        out.extend(b"\n\n");
    }
    Ok(out)
}

const WRITABLE: [&str; 5] = ["name-label", "name-description", "platform", "other-config", "tags"];

/// In a minimal list a comma separates; one in a value is escaped.
pub fn escaped(value: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| if matches!(byte, b',' | b'\\') { vec![b'\\', *byte] } else { vec![*byte] };
    value.iter().flat_map(escape).collect()
}

/// The VM that `uuid=`, `vm=` or `name-label=` names.
pub fn selected_vm(client: &mut Client, arguments: &Arguments) -> Result<Value, Failure> {
    let wanted = ["uuid", "vm", "name-label"].into_iter().find_map(|name| arguments.get(name));
    let wanted = wanted.ok_or_else(|| missing("uuid"))?;
    let uuid = client.call("VM.get_by_uuid", [Value::Text(wanted.to_vec())]);
    if let Ok(vm) = uuid {
        return Ok(vm);
    }
    let named = client.call("VM.get_by_name_label", [Value::Text(wanted.to_vec())])?;
    match named.items() {
        [vm] => Ok(vm.clone()),
        [] => Err(Failure::Plain("Error: No matching VMs found".to_owned())),
        _ => Err(Failure::Plain(
            "Error: Multiple matches VMs found. --multiple required to complete the operation".to_owned(),
        )),
    }
}

/// The complaint about a parameter that is missing.
pub fn missing(name: &str) -> Failure {
    Failure::Plain(format!("Required parameter not found: {name}\nFor usage run: 'xe help'"))
}
