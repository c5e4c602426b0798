//! How `xe` finds objects and prints them (`cli_printer.ml`, `records.ml`).

use super::arguments::Arguments;
use super::client::Client;
use super::fields;
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
            items.join(if name == "tags" { b", ".as_slice() } else { b"; " })
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

/// `xe CLASS-list`: the objects that match every value given, and of each the parameters asked for, in xe's own order
/// (`select_fields` and `print_field` in `cli_operations.ml`).
pub fn list(client: &mut Client, arguments: &Arguments, class: &str, default: &[&str]) -> Outcome {
    let records = client.call(&format!("{class}.get_all_records"), [])?;
    let asked = arguments.text("params");
    let asked: Vec<&str> = asked.as_ref().map_or(default.to_vec(), |asked| asked.split(',').collect());
    let shown = fields::of_class(class).iter().filter(|(name, _)| asked.contains(&"all") || asked.contains(name));
    let shown: Vec<_> = shown.collect();
    let is_listed = |record: &Value| !is(record, "is_a_template") && matches(record, class, &arguments.values);
    let mut rows = Vec::new();
    for (_, record) in records.members().iter().filter(|(_, record)| is_listed(record)) {
        let value = |name: &str| record.get(&field_of(name)).map(|value| printed(name, value)).unwrap_or_default();
        rows.push(shown.iter().map(|(name, _)| client.uuid_of(value(name))).collect::<Vec<_>>());
    }
    if arguments.has_flag("--minimal") {
        let first: Vec<Vec<u8>> = rows.iter().filter_map(|row| row.first()).map(|value| escaped(value)).collect();
        return Ok([first.join(b",".as_slice()), b"\n".to_vec()].concat());
    }
    let labels: Vec<String> = shown.iter().map(|(name, access)| format!("{name} ({access})")).collect();
    let width = 4 + labels.iter().map(String::len).max().unwrap_or_default();
    let mut out = Vec::new();
    for row in rows {
        for (index, (label, value)) in labels.iter().zip(&row).enumerate() {
            let label = if index == 0 { format!("{label:<width$}") } else { format!("{label:>width$}") };
            out.extend([label.as_bytes(), b": ", value, b"\n"].concat());
        }
        out.extend(b"\n\n");
    }
    Ok(out)
}

fn is(record: &Value, field: &str) -> bool {
    record.get(field) == Some(&Value::Bool(true))
}

/// Whether an object has every value that names one of its parameters.
fn matches(record: &Value, class: &str, values: &[(String, Vec<u8>)]) -> bool {
    let names = fields::of_class(class);
    let conditions = values.iter().filter(|(name, _)| names.iter().any(|(known, _)| known == name));
    let mut conditions = conditions.map(|(name, wanted)| (record.get(&field_of(name)), name, wanted));
    conditions.all(|(value, name, wanted)| value.is_some_and(|value| &printed(name, value) == wanted))
}

/// In a minimal list a comma separates; one in a value is escaped.
pub fn escaped(value: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| if matches!(byte, b',' | b'\\') { vec![b'\\', *byte] } else { vec![*byte] };
    value.iter().flat_map(escape).collect()
}

/// The one VM that has every value given; `vm=` is a UUID or a name. Control domains are none of them, and templates only
/// where a command says so (`select_vms` and `do_vm_op` in `cli_operations.ml`).
pub fn selected_vm(client: &mut Client, arguments: &Arguments, templates: bool) -> Result<Value, Failure> {
    let records = client.call("VM.get_all_records", [])?;
    let named = |record: &Value| {
        let is = |wanted: &[u8]| {
            ["uuid", "name_label"].iter().any(|name| record.get(name).and_then(Value::bytes) == Some(wanted))
        };
        arguments.get("vm").is_none_or(is)
    };
    let selected = records.members().iter().filter(|(_, record)| {
        let of_kind = !is(record, "is_control_domain") && (templates || !is(record, "is_a_template"));
        of_kind && named(record) && matches(record, "VM", &arguments.values)
    });
    match selected.collect::<Vec<_>>().as_slice() {
        [(vm, _)] => Ok(Value::Text(vm.clone())),
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
