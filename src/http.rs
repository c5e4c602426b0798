//! A minimal HTTP/1.1 client for the unix sockets of xapi and message-switch: one request at a time, `Content-Length`,
//! keep-alive. Each request has a deadline, and a session with message-switch belongs to its connection; the common HTTP crates
//! hide connections in a pool.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::deadline::Deadline;

/// Far more than xapi's largest reply for a whole resource pool.
const LARGEST_REPLY: usize = 64 * 1024 * 1024;
const MOST_HEADERS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("{0}")]
    Unreachable(io::Error),
    #[error("no answer in time")]
    TimedOut,
    /// The connection broke, or the reply is not HTTP.
    #[error("{0}")]
    Broken(String),
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A connection for one request after the other.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    pub fn open(socket: &Path, deadline: Deadline) -> Result<Self, HttpError> {
        let address = SockAddr::unix(socket).map_err(HttpError::Unreachable)?;
        let connection = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(HttpError::Unreachable)?;
        // A blocking connect would wait forever for a server that no longer accepts connections.
        connection.set_nonblocking(true).map_err(HttpError::Unreachable)?;
        while let Err(error) = connection.connect(&address) {
            if error.kind() != io::ErrorKind::WouldBlock {
                return Err(HttpError::Unreachable(error));
            }
            deadline.remaining().ok_or(HttpError::TimedOut)?;
            thread::sleep(Duration::from_millis(10));
        }
        connection.set_nonblocking(false).map_err(HttpError::Unreachable)?;
        Ok(Self { stream: std::os::fd::OwnedFd::from(connection).into(), received: Vec::new() })
    }

    pub fn request(&mut self, method: &str, path: &str, body: &[u8], deadline: Deadline) -> Result<Reply, HttpError> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.send(&[head.as_bytes(), body].concat(), deadline)?;
        self.receive(deadline)
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> Result<(), HttpError> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(deadline.remaining().ok_or(HttpError::TimedOut)?)).map_err(broken)?;
            match self.stream.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) => retry_or_fail(&error)?,
            }
        }
        Ok(())
    }

    fn receive(&mut self, deadline: Deadline) -> Result<Reply, HttpError> {
        let (head_length, status, body_length) = loop {
            if let Some(head) = parse_head(&self.received)? {
                break head;
            }
            self.receive_more(deadline)?;
        };
        while self.received.len() < head_length + body_length {
            self.receive_more(deadline)?;
        }
        let rest = self.received.split_off(head_length + body_length);
        let mut body = std::mem::replace(&mut self.received, rest);
        body.drain(..head_length);
        Ok(Reply { status, body })
    }

    fn receive_more(&mut self, deadline: Deadline) -> Result<(), HttpError> {
        self.stream.set_read_timeout(Some(deadline.remaining().ok_or(HttpError::TimedOut)?)).map_err(broken)?;
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(HttpError::Broken("the connection was closed before the end of the reply".to_owned())),
            Ok(count) => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) => retry_or_fail(&error),
        }
    }
}

fn broken(error: impl std::fmt::Display) -> HttpError {
    HttpError::Broken(error.to_string())
}

fn retry_or_fail(error: &io::Error) -> Result<(), HttpError> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(HttpError::TimedOut),
        _ => Err(broken(error)),
    }
}

/// The length of the head, the status and the length of the body, once the head is complete.
fn parse_head(received: &[u8]) -> Result<Option<(usize, u16, usize)>, HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let head_length = match response.parse(received) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if received.len() < LARGEST_REPLY => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(broken("the reply's head does not end")),
        Err(error) => return Err(HttpError::Broken(format!("the reply is not HTTP: {error}"))),
    };
    let body_length = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
        .ok_or_else(|| broken("the reply has no valid Content-Length"))?;
    if body_length > LARGEST_REPLY {
        return Err(HttpError::Broken(format!(
            "the reply is {body_length} bytes long, more than the limit of {LARGEST_REPLY}"
        )));
    }
    Ok(Some((head_length, response.code.unwrap_or_default(), body_length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(content_length: &str) -> String {
        let head = format!("HTTP/1.1 200 OK\r\n{content_length}\r\n\r\n");
        parse_head(head.as_bytes()).map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
    }

    #[test]
    fn a_reply_that_is_too_long_is_called_that() {
        let said = refused("Content-Length: 67108865");
        assert!(said.contains("67108865 bytes long") && said.contains("67108864"), "{said}");
        assert_eq!(refused("Content-Length: 67108864"), "nothing");
    }

    #[test]
    fn a_reply_without_a_length_is_called_that() {
        for header in ["Server: x", "Content-Length: many", "Content-Length: -1"] {
            assert_eq!(refused(header), "the reply has no valid Content-Length", "{header}");
        }
    }
}
