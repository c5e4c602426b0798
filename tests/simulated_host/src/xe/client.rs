//! `xe`'s connection to xapi.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::Failure;
use crate::wire::{Value, json};

/// A connection with a session.
pub struct Client {
    stream: BufReader<UnixStream>,
    session: Value,
}

impl Client {
    pub fn log_in(root: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(root.join("var/lib/xcp/xapi"));
        // As `newcli.ml` prints it, with the words of the system alone.
        let stream = stream.map_err(|error| {
            let error = error.to_string();
            let words = error.split(" (os error").next().unwrap_or_default();
            Failure::Plain(format!("Error: {words} (calling connect )"))
        })?;
        let mut client = Self { stream: BufReader::new(stream), session: Value::Null };
        let params = ["root", "", "1.0", "cli"].map(Value::from).to_vec();
        client.session = client.exchange("session.login_with_password", params)?;
        Ok(client)
    }

    pub fn log_out(mut self) {
        let _ = self.call("session.logout", []);
    }

    /// Calls a method in the session.
    pub fn call<const N: usize>(&mut self, method: &str, params: [Value; N]) -> Result<Value, Failure> {
        let params = std::iter::once(self.session.clone()).chain(params).collect();
        self.exchange(method, params)
    }

    fn exchange(&mut self, method: &str, params: Vec<Value>) -> Result<Value, Failure> {
        let call = Value::dict([
            ("jsonrpc", "2.0".into()),
            ("method", method.into()),
            ("params", Value::List(params)),
            ("id", Value::Int(1)),
        ]);
        // The real one sends its words to `/cli`; what it says where that ends or is garbled, but for an end, is a guess.
        let reply = self.post(&json::print(&call)).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Failure::Plain("Lost connection to the server.".to_owned()),
            _ => Failure::Plain(format!("Error: {error}")),
        })?;
        let reply = json::parse(&reply).map_err(|error| Failure::Plain(error.as_exception()))?;
        if let Some(result) = reply.get("result").filter(|result| **result != Value::Null) {
            return Ok(result.clone());
        }
        Err(failure_of(reply.get("error").unwrap_or(&Value::Null)))
    }

    fn post(&mut self, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let head = format!("POST /jsonrpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let socket = self.stream.get_mut();
        socket.write_all(head.as_bytes())?;
        socket.write_all(body)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or_default();
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut reply = vec![0; length];
        self.stream.read_exact(&mut reply)?;
        Ok(reply)
    }

    /// An object's UUID in place of its reference, as lists show it; anything else as it is.
    pub fn uuid_of(&mut self, value: Vec<u8>) -> Vec<u8> {
        if !value.starts_with(b"OpaqueRef:") {
            return value;
        }
        let uuid = ["VM", "host", "pool"].iter().find_map(|class| {
            let uuid = self.call(&format!("{class}.get_uuid"), [Value::Text(value.clone())]);
            uuid.ok()?.bytes().map(<[u8]>::to_vec)
        });
        uuid.unwrap_or_else(|| b"<not in database>".to_vec())
    }

    /// An object's UUID and name in place of its reference; anything else as it is.
    pub fn name_of(&mut self, param: &[u8]) -> Vec<u8> {
        if !param.starts_with(b"OpaqueRef:") {
            return param.to_vec();
        }
        for class in ["VM", "host", "pool"] {
            let record = self.call(&format!("{class}.get_record"), [Value::Text(param.to_vec())]);
            if let Ok(record) = record {
                let field = |name: &str| record.get(name).and_then(Value::bytes).unwrap_or_default().to_vec();
                return [field("uuid"), b" (".to_vec(), field("name_label"), b")".to_vec()].concat();
            }
        }
        param.to_vec()
    }
}

/// A connection for the `simulated.` methods, for stand-ins for dom0's programs that do not use the XenAPI.
pub struct Control(Client);

impl Control {
    pub fn connect(root: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(root.join("var/run/simulated-host/control"))?;
        Ok(Self(Client { stream: BufReader::new(stream), session: Value::Null }))
    }

    /// Calls a method that returns nothing.
    pub fn call(&mut self, method: &str) -> io::Result<()> {
        let call = Value::dict([("method", method.into()), ("params", Value::List(Vec::new())), ("id", Value::Int(1))]);
        let reply =
            json::parse(&self.0.post(&json::print(&call))?).map_err(|error| io::Error::other(error.as_exception()))?;
        match reply.get("error") {
            None | Some(Value::Null) => Ok(()),
            Some(error) => Err(io::Error::other(String::from_utf8_lossy(&json::print(error)).into_owned())),
        }
    }
}

/// An error in either of the shapes that xapi gives it.
fn failure_of(error: &Value) -> Failure {
    let bytes = |value: &Value| value.bytes().unwrap_or_default().to_vec();
    match (error, error.get("message")) {
        (Value::List(items), _) => match items.split_first() {
            Some((code, params)) => Failure::Api(bytes(code), params.iter().map(bytes).collect()),
            None => Failure::Plain("Error: no error".to_owned()),
        },
        (_, Some(code)) => {
            let params = error.get("data").map(Value::items).unwrap_or_default();
            Failure::Api(bytes(code), params.iter().map(bytes).collect())
        }
        _ => Failure::Plain("Error: neither a result nor an error".to_owned()),
    }
}
