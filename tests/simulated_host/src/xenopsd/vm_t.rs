//! Reading a `Vm.t` as xenopsd does (mirage/ocaml-rpc, `src/lib/rpcmarshal.ml`): fields in its own order, unknown
//! ones dropped, the first one that does not fit refused in its words.

use super::schema::{Absent, Field, Type, VM};
use crate::wire::{Value, json};

/// Reads a `Vm.t`; what comes back is what xenopsd keeps.
pub fn unmarshal_vm(value: &Value) -> Result<Value, String> {
    unmarshal(&VM, value)
}

fn unmarshal(ty: &Type, value: &Value) -> Result<Value, String> {
    match (ty, value) {
        (Type::Text, Value::Text(_)) | (Type::Bool, Value::Bool(_)) | (Type::Float, Value::Float(_)) => {
            Ok(value.clone())
        }
        (Type::Text, _) => Err(expected("string", value)),
        (Type::Bool, _) => Err(expected("bool", value)),
        (Type::Float, _) => float(value),
        (Type::Int(name), _) => integer(name, value),
        (Type::TextMap, Value::Dict(members)) => text_map(members),
        (Type::List(item), Value::List(items)) => {
            items.iter().map(|value| in_array(item, value)).collect::<Result<_, _>>().map(Value::List)
        }
        (Type::Tuple(types), Value::List(items)) if types.len() == items.len() => {
            let items = types.iter().zip(items).map(|(ty, value)| unmarshal(ty, value));
            items.collect::<Result<_, _>>().map(Value::List)
        }
        (Type::Struct(name, fields), Value::Dict(_)) => structure(name, fields, value),
        (Type::Struct(name, _), _) => Err(format!("Expected Rpc.Dict when unmarshalling a '{name}'")),
        (Type::Variant(constructors), _) => variant(constructors, value),
        (Type::TextMap | Type::List(_) | Type::Tuple(_), _) => Err("Unhandled".to_owned()),
    }
}

fn expected(what: &str, value: &Value) -> String {
    format!("Expected {what}, got '{}'", String::from_utf8_lossy(&value.describe()))
}

/// An integer will do for a float; text will do for either.
#[expect(clippy::cast_precision_loss, reason = "so does the real one")]
fn float(value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(integer) => Ok(Value::Float(*integer as f64)),
        Value::Text(_) => {
            let number = value.text().and_then(|text| text.parse().ok());
            number.map(Value::Float).ok_or_else(|| "float_of_string".to_owned())
        }
        _ => Err(expected("float", value)),
    }
}

fn integer(name: &str, value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(_) => Ok(value.clone()),
        Value::Text(_) => {
            let number = value.text().and_then(|text| text.parse().ok());
            number.map(Value::Int).ok_or_else(|| format!("{name}_of_string"))
        }
        _ => Err(expected(name, value)),
    }
}

fn text_map(members: &[(Vec<u8>, Value)]) -> Result<Value, String> {
    let member = |(key, value): &(Vec<u8>, Value)| Ok((key.clone(), in_array(&Type::Text, value)?));
    members.iter().map(member).collect::<Result<_, String>>().map(Value::Dict)
}

fn in_array(ty: &Type, value: &Value) -> Result<Value, String> {
    unmarshal(ty, value).map_err(|error| {
        let value = value.describe();
        format!("Failed to unmarshal array: {error} (when unmarshalling: {})", String::from_utf8_lossy(&value))
    })
}

fn structure(name: &str, fields: &[Field], value: &Value) -> Result<Value, String> {
    let mut members = Vec::new();
    for field in fields {
        let member = match (value.get(field.name), &field.when_absent) {
            (Some(member), _) => unmarshal(field.ty, member)?,
            (None, Absent::Fine) => continue,
            (None, Absent::Means(text)) => json::parse(text.as_bytes()).unwrap_or(Value::Null),
            (None, Absent::Refused) => {
                return Err(format!("No value found for key: '{}' when unmarshalling '{name}'", field.name));
            }
        };
        members.push((field.name.as_bytes().to_vec(), member));
    }
    Ok(Value::Dict(members))
}

/// A constructor alone is its name; one that carries something is an array of both.
fn variant(constructors: &[(&str, Option<&'static Type>)], value: &Value) -> Result<Value, String> {
    let (name, carried) = match value {
        Value::Text(_) => (value, None),
        Value::List(items) => match items.as_slice() {
            [name, carried] => (name, Some(carried)),
            _ => return Err("Unhandled".to_owned()),
        },
        _ => return Err("Unhandled".to_owned()),
    };
    let name = name.text().ok_or_else(|| "Unhandled".to_owned())?;
    let found = constructors.iter().find(|(constructor, _)| constructor.eq_ignore_ascii_case(&name));
    match (found, carried) {
        (Some((_, Some(ty))), Some(carried)) => Ok(Value::List(vec![name.as_ref().into(), unmarshal(ty, carried)?])),
        (Some((_, None)), None) => Ok(value.clone()),
        _ => Err(format!("Unknown tag '{name}'")),
    }
}
