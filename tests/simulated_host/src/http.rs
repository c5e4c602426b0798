//! The server's side of HTTP, as far as xapi and message-switch need it.

use std::io::{self, BufRead};

/// A request.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub host: String,
    /// Whether the client asked for the connection to be closed after the reply.
    pub close: bool,
    pub content_length: Option<usize>,
    pub body: Vec<u8>,
}

/// The longest body that xapi accepts (`ocaml/xapi-consts/constants.ml`).
pub const BODY_LIMIT: usize = 300 * 1024;

/// The longest head that is read before giving up on a client.
const HEAD_LIMIT: usize = 64 * 1024;

/// Reads a request; `None` when the client has closed the connection. A body beyond the limit is left unread.
pub fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_LIMIT || stream.read_until(b'\n', &mut head)? == 0 {
            return Ok(None);
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(&head).map_err(io::Error::other)?;
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).trim().to_owned())
    };
    let content_length = header("content-length").and_then(|length| length.parse().ok());
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        path: parsed.path.unwrap_or_default().to_owned(),
        host: header("host").unwrap_or_default(),
        close: header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        content_length,
        body: Vec::new(),
    };
    if let Some(length) = content_length.filter(|&length| length <= BODY_LIMIT) {
        request.body.resize(length, 0);
        stream.read_exact(&mut request.body)?;
    }
    Ok(Some(request))
}

/// A reply: a status line's end, headers in the order given after `content-length`, and a body.
pub fn reply(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}
