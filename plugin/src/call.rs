//! What xapi hands to a plugin: one argument, an XML-RPC call with the caller's session and a struct of texts
//! (xapi-project/xen-api, `ocaml/xapi/xapi_plugins.ml`).

use std::collections::BTreeMap;
use std::str::FromStr;

use dxr::{MethodCall, Value};
use vgpu_config::Error;
use vgpu_config::model::InvalidValue;

/// A call: the function, in whose name, and its arguments.
#[derive(Debug)]
pub struct Call {
    /// The function.
    pub function: String,
    /// The caller's session.
    pub session: String,
    /// The arguments.
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
                session,
                arguments: Arguments(members.into_iter().map(text_member).collect::<Result<_, _>>()?),
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

/// A call's arguments. Each function takes out those that it knows; what is left over is an error.
#[derive(Debug)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// An argument that may be left out. `xe` cannot leave one out in a script without trouble, so an empty text is as
    /// good as none.
    pub fn optional<T: FromStr<Err = InvalidValue>>(&mut self, name: &str) -> Result<Option<T>, Error> {
        match self.0.remove(name) {
            Some(text) if !text.is_empty() => text.parse().map(Some).map_err(|invalid| Error::invalid(name, invalid)),
            _ => Ok(None),
        }
    }

    /// An argument that has to be there.
    pub fn required<T: FromStr<Err = InvalidValue>>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<T, Error> {
        self.optional(name)?.ok_or(Error::MissingParam { name, expected })
    }

    /// A text that may be left out.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|text| !text.is_empty())
    }

    /// A yes or no that is no when left out.
    pub fn flag(&mut self, name: &str) -> Result<bool, Error> {
        match self.optional_text(name).as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "no" | "0") => Ok(false),
            Some("true" | "yes" | "1") => Ok(true),
            Some(other) => Err(Error::InvalidParam {
                name: name.to_owned(),
                value: other.to_owned(),
                expected: "true or false".to_owned(),
            }),
        }
    }

    /// Refuses what nobody asked for: a mistyped name must not be taken for one left out.
    pub fn end(self, known: &[&str]) -> Result<(), Error> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((name, value)) => {
                let expected = match known {
                    [] => "no arguments".to_owned(),
                    _ => format!("only the arguments {}", known.join(", ")),
                };
                Err(Error::InvalidParam { name, value, expected })
            }
        }
    }
}
