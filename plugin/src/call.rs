//! What xapi hands to a plugin: one argument, an XML-RPC call with the caller's session and a struct of texts
//! (xapi-project/xen-api, `ocaml/xapi/xapi_plugins.ml`).

use dxr::{MethodCall, Value};
use vgpu_config::request::Arguments;
use vgpu_config::xenapi::Token;

/// A call: the function, in whose name, and its arguments.
#[derive(Debug)]
pub struct Call {
    pub function: String,
    pub session: Token,
    pub arguments: Arguments,
}

impl Call {
    /// Parses the call. Broken UTF-8 in a value becomes U+FFFD, so that the value can at least be shown.
    ///
    /// # Errors
    /// It is no XML-RPC call of the form that xapi sends; says why.
    pub fn parse(xml: &[u8]) -> Result<Self, String> {
        let xml = named(&String::from_utf8_lossy(xml));
        let call = MethodCall::from_xml(&xml).map_err(|error| error.to_string())?;
        let mut params = call.params.into_iter();
        match (params.next(), params.next(), params.next()) {
            (Some(Value::String(session)), Some(Value::Struct(members)), None) => Ok(Self {
                function: unnamed(call.name.into_owned()),
                session: session.into(),
                arguments: members.into_iter().map(text_member).collect::<Result<_, _>>()?,
            }),
            _ => Err("expected two parameters, a session and a struct".to_owned()),
        }
    }
}

/// Stands for an empty name; no caller can send it, for xapi drops control characters.
const NO_NAME: &str = "\u{1}";

/// The call with names that the parser takes: xapi passes on empty ones, the parser misses their text. Where a value
/// holds such tags they are escaped.
fn named(xml: &str) -> String {
    ["methodName", "name"]
        .into_iter()
        .fold(xml.to_owned(), |xml, tag| xml.replace(&format!("<{tag}></{tag}>"), &format!("<{tag}>{NO_NAME}</{tag}>")))
}

fn unnamed(name: String) -> String {
    if name == NO_NAME { String::new() } else { name }
}

fn text_member((name, value): (String, Value)) -> Result<(String, String), String> {
    match value {
        Value::String(text) => Ok((unnamed(name), text)),
        other => Err(format!("expected a text as argument '{name}', got {other:?}")),
    }
}
