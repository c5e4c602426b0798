//! xapi's call of a plugin: one argument, an XML-RPC call with the caller's session and a struct of strings
//! (xapi-project/xen-api, `ocaml/xapi/xapi_plugins.ml`).

use roxmltree::{Document, Node};
use vgpu_config::request::Arguments;
use vgpu_config::xenapi::Token;

#[derive(Debug)]
pub struct Call {
    pub function: String,
    /// The caller's.
    pub session: Token,
    pub arguments: Arguments,
}

impl Call {
    /// Invalid UTF-8 in a value becomes U+FFFD, so that the value can at least be shown.
    ///
    /// # Errors
    /// It is not an XML-RPC call in the form that xapi sends.
    pub fn parse(xml: &[u8]) -> Result<Self, String> {
        let xml = String::from_utf8_lossy(xml);
        let document = Document::parse(&xml).map_err(|error| error.to_string())?;
        let call = Some(document.root_element()).filter(|root| root.has_tag_name("methodCall"));
        let call = call.ok_or("expected a methodCall")?;
        let params = child(call, "params")?;
        let mut params = params.children().filter(Node::is_element).map(|param| child(param, "value"));
        match (params.next(), params.next(), params.next()) {
            (Some(session), Some(arguments), None) => Ok(Self {
                function: text(child(call, "methodName")?),
                session: string(session?)?.into(),
                arguments: members(arguments?)?,
            }),
            _ => Err("expected two parameters, a session and a struct".to_owned()),
        }
    }
}

fn members(value: Node<'_, '_>) -> Result<Arguments, String> {
    let member = |member: Node<'_, '_>| Ok((text(child(member, "name")?), string(child(member, "value")?)?));
    child(value, "struct")?.children().filter(Node::is_element).map(member).collect()
}

/// XML-RPC's string, with or without its tag.
fn string(value: Node<'_, '_>) -> Result<String, String> {
    match value.first_element_child() {
        None => Ok(text(value)),
        Some(string) if string.has_tag_name("string") => Ok(text(string)),
        Some(other) => Err(format!("expected a string, got {}", other.tag_name().name())),
    }
}

fn text(node: Node<'_, '_>) -> String {
    node.children().filter_map(|child| child.text()).collect()
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Result<Node<'a, 'input>, String> {
    let found = node.children().find(|child| child.has_tag_name(name));
    found.ok_or_else(|| format!("{} has no {name}", node.tag_name().name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_printed_for_debugging_does_not_show_its_session() {
        let xml = "<methodCall><methodName>show_vm</methodName><params><param><value>OpaqueRef:secret</value></param>\
            <param><value><struct><member><name>vm_name</name><value>web01</value></member></struct></value></param>\
            </params></methodCall>";
        let call = Call::parse(xml.as_bytes()).unwrap();
        let printed = format!("{call:?}");
        assert!(printed.contains("show_vm") && printed.contains("web01"), "{printed}");
        assert!(!printed.contains("secret"), "{printed}");
    }
}
