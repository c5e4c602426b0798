//! The plugin's output: one XML-RPC document that xapi accepts, for any content
//! (xapi-project/xen-api, `ocaml/xapi/xapi_plugins.ml`).

use quick_xml::escape::escape;
use vgpu_config::{Error, text};

#[derive(Debug)]
pub enum Answer {
    /// JSON.
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
    pub fn into_xml(self) -> String {
        // In alphabetical order, as XML-RPC libraries write a struct's members.
        let members = match self {
            Self::Success(json) => member("Status", &string("Success")) + &member("Value", &string(&text::json(json))),
            Self::Failure(code, params) => {
                let parts =
                    std::iter::once(code).chain(params).map(|part| string(&text::xml(&part))).collect::<String>();
                member("ErrorDescription", &format!("<value><array><data>{parts}</data></array></value>"))
                    + &member("Status", &string("Failure"))
            }
        };
        format!(
            "<methodResponse><params><param><value><struct>{members}</struct></value></param></params></methodResponse>"
        )
    }
}

fn member(name: &str, value: &str) -> String {
    format!("<member><name>{name}</name>{value}</member>")
}

fn string(text: &str) -> String {
    format!("<value><string>{}</string></value>", escape(text))
}
