//! JSON-RPC 1.0 and 2.0 as xapi and xenopsd speak it (mirage/ocaml-rpc, `src/lib/jsonrpc.ml`).

use super::{Value, json, ocaml_quoted};

/// Which of the two envelopes a call came in; its reply goes back in the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// A call.
#[derive(Debug)]
pub struct Call {
    pub version: Version,
    pub id: Value,
    pub method: String,
    pub params: Vec<Value>,
}

/// Reads a call; otherwise gives the exception that the real reader raises.
pub fn parse_call(text: &[u8]) -> Result<Call, String> {
    let call = json::parse(text).map_err(|error| error.as_exception())?;
    let version = if call.get("jsonrpc").is_some() { Version::V2 } else { Version::V1 };
    let member = |name: &str| call.get(name).cloned().ok_or_else(|| missing(name));
    let method = member("method")?;
    let Some(method) = method.text() else {
        return Err("Rpclib.Jsonrpc.Malformed_method_request(\"Invalid field 'method' in request\")".to_owned());
    };
    let params = match call.get("params") {
        Some(Value::List(params)) => params.clone(),
        Some(params @ Value::Dict(_)) => vec![params.clone()],
        Some(_) => {
            return Err("Rpclib.Jsonrpc.Malformed_method_request(\"Invalid field 'params' in request\")".to_owned());
        }
        None if version == Version::V2 => Vec::new(),
        None => return Err(missing("params")),
    };
    Ok(Call { version, id: member("id")?, method: method.into_owned(), params })
}

fn missing(field: &str) -> String {
    format!("Rpclib.Jsonrpc.Malformed_method_request({})", ocaml_quoted(format!("Missing field '{field}'").as_bytes()))
}

/// Writes a reply that brings a result.
pub fn success(version: Version, id: &Value, result: Value) -> Vec<u8> {
    json::print(&match version {
        Version::V1 => Value::dict([("result", result), ("error", Value::Null), ("id", id.clone())]),
        Version::V2 => Value::dict([("jsonrpc", "2.0".into()), ("result", result), ("id", id.clone())]),
    })
}

/// Writes a reply that brings an error, whatever its shape.
pub fn failure(version: Version, id: &Value, error: Value) -> Vec<u8> {
    json::print(&match version {
        Version::V1 => Value::dict([("result", Value::Null), ("error", error), ("id", id.clone())]),
        Version::V2 => Value::dict([("jsonrpc", "2.0".into()), ("error", error), ("id", id.clone())]),
    })
}

/// An API error in the shape that its envelope asks for: an array in 1.0, an object in 2.0.
pub fn error_of(version: Version, code: &str, params: &[Vec<u8>]) -> Value {
    let params = params.iter().map(|param| Value::Text(param.clone()));
    match version {
        Version::V1 => error_array(code, params),
        Version::V2 => {
            Value::dict([("code", Value::Int(1)), ("message", code.into()), ("data", Value::List(params.collect()))])
        }
    }
}

/// An API error as an array, which is how 1.0 has it, and 2.0 when the coordinator said it to a member.
pub fn error_array(code: &str, params: impl Iterator<Item = Value>) -> Value {
    Value::List(std::iter::once(Value::from(code)).chain(params).collect())
}
