//! What xapi and a plugin say to each other: the one argument, and the document on standard output
//! (`ocaml/libs/http-lib/xMLRPC.ml`).

use super::ocaml_quoted;
use super::xml::{self, Node};

/// What a plugin's document says.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Success(Vec<u8>),
    Failure(Vec<u8>, Vec<Vec<u8>>),
    Fault(i32, Vec<u8>),
}

/// Why a plugin's document says nothing.
#[derive(Debug, PartialEq, Eq)]
pub enum Nonsense {
    /// It is not XML; the reader's words.
    NotXml(String),
    /// It is XML of another shape; the exception that xapi then raises.
    WrongShape(String),
}

/// The argument that a plugin is called with.
pub fn request(function: &[u8], session: &str, args: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"<methodCall><methodName>".to_vec();
    xml::escape(function, &mut out);
    out.extend_from_slice(b"</methodName><params><param><value>");
    xml::escape(session.as_bytes(), &mut out);
    out.extend_from_slice(b"</value></param><param><value>");
    if args.is_empty() {
        out.extend_from_slice(b"<struct/>");
    } else {
        out.extend_from_slice(b"<struct>");
        for (key, value) in args {
            member(key, value, &mut out);
        }
        out.extend_from_slice(b"</struct>");
    }
    out.extend_from_slice(b"</value></param></params></methodCall>");
    out
}

fn member(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"<member><name>");
    xml::escape(key, out);
    out.extend_from_slice(b"</name>");
    if value.is_empty() {
        out.extend_from_slice(b"<value/>");
    } else {
        out.extend_from_slice(b"<value>");
        xml::escape(value, out);
        out.extend_from_slice(b"</value>");
    }
    out.extend_from_slice(b"</member>");
}

/// Reads what a plugin printed.
pub fn answer(output: &[u8]) -> Result<Answer, Nonsense> {
    let root =
        xml::parse(output).map_err(|error| Nonsense::NotXml(format!("{} line {}", error.message, error.line)))?;
    let response = singleton(&["methodResponse"], &root)?;
    match response {
        Node::Element { name, .. } if name == "params" => match unbox(&["params"], response)? {
            [param] => status(singleton(&["param"], param)?),
            _ => Err(wrong("Expected single return value (struct status)")),
        },
        Node::Element { name, .. } if name == "fault" => fault(response),
        _ => Err(wrong("response")),
    }
}

fn status(result: &Node) -> Result<Answer, Nonsense> {
    let members = structure(result)?;
    let find = |wanted: &str| {
        members
            .iter()
            .find(|(name, _)| name == wanted.as_bytes())
            .map(|(_, value)| *value)
            .ok_or_else(|| wrong("Status"))
    };
    match string(find("Status")?)?.as_slice() {
        b"Success" => Ok(Answer::Success(string(find("Value")?)?)),
        b"Failure" => {
            let array = singleton(&["value"], find("ErrorDescription")?)?;
            let items = unbox(&["data"], singleton(&["array"], array)?)?;
            let (code, params) = items.split_first().ok_or_else(|| wrong("Empty array of error strings"))?;
            Ok(Answer::Failure(string(code)?, params.iter().map(string).collect::<Result<_, _>>()?))
        }
        _ => Err(wrong("Status")),
    }
}

fn fault(node: &Node) -> Result<Answer, Nonsense> {
    let members = structure(singleton(&["fault"], node)?)?;
    let find = |wanted: &str| {
        let found = members.iter().find(|(name, _)| name == wanted.as_bytes());
        found.map(|(_, value)| *value).ok_or_else(|| Nonsense::WrongShape("Not_found".to_owned()))
    };
    let code = match singleton(&["i4", "int"], singleton(&["value"], find("faultCode")?)?)? {
        Node::Data(digits) => String::from_utf8_lossy(digits).parse().ok(),
        Node::Element { .. } => return Err(wrong("pcdata")),
    };
    let code = code.ok_or_else(|| Nonsense::WrongShape("Failure(\"Int32.of_string\")".to_owned()))?;
    Ok(Answer::Fault(code, string(find("faultString")?)?))
}

fn structure(node: &Node) -> Result<Vec<(Vec<u8>, &Node)>, Nonsense> {
    let members = unbox(&["struct"], singleton(&["value"], node)?)?;
    members
        .iter()
        .map(|member| match unbox(&["member"], member)? {
            [name, value] => Ok((member_name(name)?, value)),
            _ => Err(wrong("pair ")),
        })
        .collect()
}

fn member_name(node: &Node) -> Result<Vec<u8>, Nonsense> {
    match unbox(&["name"], node)? {
        [] => Ok(Vec::new()),
        [Node::Data(name)] => Ok(name.clone()),
        _ => Err(wrong("From.name: should contain PCData")),
    }
}

/// A string, with or without `<string>` around it.
fn string(node: &Node) -> Result<Vec<u8>, Nonsense> {
    if let Node::Element { name, attributes: 0, children } = node
        && name == "value"
    {
        match children.as_slice() {
            [] => return Ok(Vec::new()),
            [Node::Data(data)] => return Ok(data.clone()),
            [Node::Element { name, attributes: 0, children }] if name == "string" && children.is_empty() => {
                return Ok(Vec::new());
            }
            _ => {}
        }
    }
    match singleton(&["string"], singleton(&["value"], node)?)? {
        Node::Data(data) => Ok(data.clone()),
        Node::Element { .. } => Err(wrong("pcdata")),
    }
}

fn singleton<'a>(wanted: &[&str], node: &'a Node) -> Result<&'a Node, Nonsense> {
    match unbox(wanted, node)? {
        [only] => Ok(only),
        several => {
            let several: Vec<String> = several.iter().map(pretty).collect();
            let message = format!("singleton: {{{}}} should be the singleton {{{}}}", several.join(", "), wanted[0]);
            Err(wrong(&message))
        }
    }
}

/// The children of an element of that name without attributes.
fn unbox<'a>(wanted: &[&str], node: &'a Node) -> Result<&'a [Node], Nonsense> {
    match node {
        Node::Element { name, attributes: 0, children } if wanted.contains(&name.as_str()) => Ok(children),
        _ => Err(wrong(&format!("unbox: {} should contain '{}'", pretty(node), wanted[0]))),
    }
}

fn pretty(node: &Node) -> String {
    match node {
        Node::Element { name, .. } => format!("Element={name}"),
        Node::Data(data) => format!("PCData={}", String::from_utf8_lossy(data).escape_default()),
    }
}

fn wrong(message: &str) -> Nonsense {
    Nonsense::WrongShape(format!("XMLRPC.RunTimeTypeError({}, _)", ocaml_quoted(message.as_bytes())))
}
