//! The plugin's output: one XML-RPC document that xapi accepts, for any content
//! (xapi-project/xen-api, `ocaml/xapi/xapi_plugins.ml`).

use std::collections::BTreeMap;

use dxr::{MethodResponse, Value};
use vgpu_config::{Error, text};

#[derive(Debug)]
pub enum Answer {
    /// A text, JSON as a rule.
    Success(String),
    /// A XAPI error: a code and its parameters.
    Failure(String, Vec<String>),
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self::Failure(error.code().to_owned(), error.params())
    }
}

impl Answer {
    #[must_use]
    pub fn to_xml(&self) -> String {
        let string = |text: &str| Value::String(text.to_owned());
        let members = match self {
            Self::Success(json) => [("Status", string("Success")), ("Value", Value::String(text::json(json.clone())))],
            Self::Failure(code, params) => {
                let parts = std::iter::once(code).chain(params);
                let description = parts.map(|part| Value::String(text::xml(part))).collect();
                [("Status", string("Failure")), ("ErrorDescription", Value::Array(description))]
            }
        };
        let members: BTreeMap<_, _> = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        MethodResponse { value: Value::Struct(members) }.to_xml().unwrap_or_else(|_| UNPRINTABLE.to_owned())
    }
}

/// For the case that cannot be: no text that is printable is beyond XML.
const UNPRINTABLE: &str = "<methodResponse><params><param><value><struct><member><name>Status</name><value>Failure</value>\
    </member><member><name>ErrorDescription</name><value><array><data><value>VGPU_INTERNAL_ERROR</value></data></array>\
    </value></member></struct></value></param></params></methodResponse>";
