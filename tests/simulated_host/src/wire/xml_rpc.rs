//! XML-RPC as xapi speaks it to its clients (mirage/ocaml-rpc, `src/lib/xmlrpc.ml`).

use super::xml::{self, Node};
use super::{Value, ocaml_quoted};

/// Reads a call; otherwise gives the exception that the real reader raises.
pub fn parse_call(text: &[u8]) -> Result<(String, Vec<Value>), String> {
    let root = xml::parse(text).map_err(|error| error.as_exception())?;
    let name = child(&root, "methodName").and_then(data_of).ok_or_else(|| malformed("methodName"))?;
    let params = children(child(&root, "params").ok_or_else(|| malformed("params"))?);
    let params = params.iter().filter_map(|param| child(param, "value")).map(value).collect::<Result<_, _>>()?;
    Ok((String::from_utf8_lossy(&name).into_owned(), params))
}

fn malformed(what: &str) -> String {
    format!("Rpclib.Xmlrpc.Parse_error({}, \"\", _)", ocaml_quoted(what.as_bytes()))
}

fn children(node: &Node) -> &[Node] {
    match node {
        Node::Element { children, .. } => children,
        Node::Data(_) => &[],
    }
}

fn child<'a>(node: &'a Node, wanted: &str) -> Option<&'a Node> {
    children(node).iter().find(|node| matches!(node, Node::Element { name, .. } if name == wanted))
}

/// The text inside an element that holds nothing else.
fn data_of(node: &Node) -> Option<Vec<u8>> {
    match children(node) {
        [] => Some(Vec::new()),
        [Node::Data(data)] => Some(data.clone()),
        _ => None,
    }
}

fn value(node: &Node) -> Result<Value, String> {
    let typed = match children(node) {
        [] => return Ok("".into()),
        [Node::Data(data)] => return Ok(Value::Text(data.clone())),
        [typed @ Node::Element { name, .. }] => (name.as_str(), typed),
        _ => return Err(malformed("value")),
    };
    let data = || data_of(typed.1).map(|data| String::from_utf8_lossy(&data).into_owned()).unwrap_or_default();
    Ok(match typed.0 {
        "string" => Value::Text(data_of(typed.1).unwrap_or_default()),
        "int" | "i4" | "i8" => Value::Int(data().trim().parse().map_err(|_| malformed("int"))?),
        "boolean" => Value::Bool(data().trim() != "0"),
        "double" => Value::Float(data().trim().parse().map_err(|_| malformed("double"))?),
        "dateTime.iso8601" => Value::DateTime(data()),
        "nil" => Value::Null,
        "array" => {
            let items = child(typed.1, "data").map(children).unwrap_or_default();
            Value::List(items.iter().map(value).collect::<Result<_, _>>()?)
        }
        "struct" => Value::Dict(children(typed.1).iter().map(member).collect::<Result<_, _>>()?),
        _ => return Err(malformed("value")),
    })
}

fn member(node: &Node) -> Result<(Vec<u8>, Value), String> {
    let name = child(node, "name").and_then(data_of).ok_or_else(|| malformed("name"))?;
    Ok((name, value(child(node, "value").ok_or_else(|| malformed("member"))?)?))
}

/// Writes a reply that brings a result.
pub fn success(result: Value) -> Vec<u8> {
    response(&Value::dict([("Status", "Success".into()), ("Value", result)]))
}

/// Writes the reply to `system.listMethods`, which has no status (`ocaml/xapi/api_server.ml`).
pub fn bare(result: &Value) -> Vec<u8> {
    response(result)
}

/// Writes a reply that brings an API error.
pub fn failure(code: &str, params: &[Vec<u8>]) -> Vec<u8> {
    let params = params.iter().map(|param| Value::Text(param.clone()));
    let description = Value::List(std::iter::once(Value::from(code)).chain(params).collect());
    response(&Value::dict([("Status", "Failure".into()), ("ErrorDescription", description)]))
}

fn response(contents: &Value) -> Vec<u8> {
    let mut out = b"<?xml version=\"1.0\"?><methodResponse><params><param>".to_vec();
    write(contents, &mut out);
    out.extend_from_slice(b"</param></params></methodResponse>");
    out
}

/// Writes a value, as a reply and a task's result have it.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<value>");
    match value {
        Value::Null => out.extend_from_slice(b"<nil/>"),
        Value::Bool(value) => out.extend_from_slice(format!("<boolean>{}</boolean>", u8::from(*value)).as_bytes()),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Int32(value) => out.extend_from_slice(format!("<i4>{value}</i4>").as_bytes()),
        Value::Float(value) => out.extend_from_slice(format!("<double>{value}</double>").as_bytes()),
        Value::Text(bytes) => xml::escape(bytes, out),
        Value::DateTime(text) => {
            out.extend_from_slice(format!("<dateTime.iso8601>{text}</dateTime.iso8601>").as_bytes());
        }
        Value::List(items) => {
            out.extend_from_slice(b"<array><data>");
            for item in items {
                write(item, out);
            }
            out.extend_from_slice(b"</data></array>");
        }
        Value::Dict(members) => {
            out.extend_from_slice(b"<struct>");
            for (key, value) in members {
                // Not escaped: neither does the real one.
                out.extend_from_slice(b"<member><name>");
                out.extend_from_slice(key);
                out.extend_from_slice(b"</name>");
                write(value, out);
                out.extend_from_slice(b"</member>");
            }
            out.extend_from_slice(b"</struct>");
        }
    }
    out.extend_from_slice(b"</value>");
}
