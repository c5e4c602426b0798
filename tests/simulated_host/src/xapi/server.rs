//! xapi's HTTP (`ocaml/libs/http-lib/http_svr.ml`, `ocaml/xapi/api_server.ml`).

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::forwarding::{self, Route};
use super::{call, methods, private};
use crate::dom0::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::fault::{Fault, Service};
use crate::http::{self, BODY_LIMIT, Request};
use crate::wire::json_rpc::{self, Version};
use crate::wire::{Value, xml, xml_rpc};

/// Serves a connection until its client leaves.
pub fn serve(dom0: &Arc<Dom0>, stream: UnixStream) {
    converse(stream, |request| exchange(dom0, request));
}

/// Serves a connection of the control socket, which knows no faults.
pub fn serve_control(dom0: &Arc<Dom0>, stream: UnixStream) {
    converse(stream, |request| match Incoming::read(request) {
        Ok(incoming) => kept(incoming.answer(dom0, request, false)),
        Err(page) => (page, false),
    });
}

/// Reads requests and writes what `answer` makes of them, until it says that the connection ends.
fn converse(stream: UnixStream, answer: impl Fn(&Request) -> (Vec<u8>, bool)) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = http::read_request(&mut reader) {
        let (bytes, keep) = answer(&request);
        if writer.write_all(&bytes).is_err() || !keep || request.close {
            return;
        }
    }
}

/// A call that is being carried out.
struct InProgress<'a>(&'a AtomicUsize);

impl<'a> InProgress<'a> {
    fn begin(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::SeqCst);
        Self(calls)
    }
}

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers a request, rightly or as the fault in force has it, and says whether the connection goes on. What a fault makes
/// of a reply is a test's doing, not a recording.
fn exchange(dom0: &Arc<Dom0>, request: &Request) -> (Vec<u8>, bool) {
    let _in_progress = InProgress::begin(&dom0.calls_in_progress);
    let incoming = match Incoming::read(request) {
        Ok(incoming) => incoming,
        Err(page) => return (page, false),
    };
    let fault = dom0.faults.of(Service::Xapi, &incoming.method);
    let fault = fault.filter(|_| !incoming.method.starts_with(private::PREFIX));
    let ok = |body: &[u8]| http::reply("200 OK", &incoming.headers(request), body);
    match fault {
        None => kept(incoming.answer(dom0, request, false)),
        Some(Fault::ForwardedErrors) => kept(incoming.answer(dom0, request, true)),
        Some(Fault::Slow(delay)) => {
            dom0.sleep(delay);
            kept(incoming.answer(dom0, request, false))
        }
        Some(Fault::Absent | Fault::Refuses) => (Vec::new(), false),
        Some(Fault::Hangs) => {
            if dom0.goes_on_after_hanging(Service::Xapi, &incoming.method) {
                kept(incoming.answer(dom0, request, false))
            } else {
                (Vec::new(), false)
            }
        }
        Some(Fault::DropsReply) => {
            let reply = incoming.answer(dom0, request, false).unwrap_or_default();
            (reply[..reply.len() * 3 / 4].to_vec(), false)
        }
        Some(Fault::Garbage) => (b"\x00\xff\xfe not HTTP at all\r\n\r\n".to_vec(), false),
        Some(Fault::NotJson) => (ok(b"<<< neither JSON nor XML >>>"), true),
        Some(Fault::WrongShape) => match incoming.envelope {
            Envelope::Xml => (ok(&xml_rpc::success(Value::dict([("unexpected", Value::Null)]))), true),
            Envelope::Json(..) => (ok(b"{\"unexpected\":[1,2,3]}"), true),
        },
        Some(Fault::Error(error)) => {
            dom0.pool.note_call(&incoming.method);
            let (code, params) = error.split_first().map_or(("", &[][..]), |(code, params)| (code.as_str(), params));
            let params: Vec<&str> = params.iter().map(String::as_str).collect();
            (ok(&incoming.envelope.body(Err(ApiError::new(code, &params)), false)), true)
        }
    }
}

/// A reply after which the connection goes on; without one, it does not.
fn kept(reply: Option<Vec<u8>>) -> (Vec<u8>, bool) {
    reply.map_or((Vec::new(), false), |reply| (reply, true))
}

/// The notation that a call came in, and its reply goes out in.
enum Envelope {
    Xml,
    Json(Version, Value),
}

impl Envelope {
    fn body(&self, outcome: ApiResult<Value>, forwarded: bool) -> Vec<u8> {
        match (self, outcome) {
            (Self::Xml, Ok(result)) => xml_rpc::success(result),
            (Self::Xml, Err(error)) => xml_rpc::failure(&error.code, error.bytes()),
            (Self::Json(version, id), Ok(result)) => json_rpc::success(*version, id, result),
            (Self::Json(version, id), Err(error)) => {
                let shape = if forwarded { Version::V1 } else { *version };
                json_rpc::failure(*version, id, json_rpc::error_of(shape, &error.code, error.bytes()))
            }
        }
    }
}

/// A call that has been read.
struct Incoming {
    method: String,
    params: Vec<Value>,
    envelope: Envelope,
}

impl Incoming {
    /// Reads a call, or gives the page that says why it cannot be one.
    fn read(request: &Request) -> Result<Self, Vec<u8>> {
        let path = request.path.split('?').next().unwrap_or_default();
        // `/RPC2` is where clients go that are given no path, as Python's (`http_actions` in `ocaml/idl/datamodel.ml`).
        if request.method != "POST" || !["/", "/RPC2", "/jsonrpc"].contains(&path) {
            return Err(forbidden());
        }
        match request.content_length {
            None => return Err(internal_error("Failure(\"We require a content-length: HTTP header\")")),
            Some(length) if length > BODY_LIMIT => {
                return Err(internal_error("Http_svr.Client_requested_size_over_limit"));
            }
            Some(_) => {}
        }
        if path != "/jsonrpc" {
            let (method, params) = xml_rpc::parse_call(&request.body).map_err(|error| internal_error(&error))?;
            return Ok(Self { method, params, envelope: Envelope::Xml });
        }
        let call = json_rpc::parse_call(&request.body).map_err(|error| internal_error(&error))?;
        Ok(Self { method: call.method, params: call.params, envelope: Envelope::Json(call.version, call.id) })
    }

    fn headers(&self, request: &Request) -> [(&'static str, &'static str); 5] {
        let content_type = match self.envelope {
            Envelope::Xml => "text/xml",
            Envelope::Json(..) => "application/json",
        };
        [
            ("connection", if request.close { "close" } else { "keep-alive" }),
            ("cache-control", "no-cache, no-store"),
            ("content-type", content_type),
            ("Access-Control-Allow-Origin", "*"),
            ("Access-Control-Allow-Headers", "X-Requested-With"),
        ]
    }

    /// Answers; `None` is no answer, as the coordinator was away until the host ended or it came back.
    fn answer(&self, dom0: &Arc<Dom0>, request: &Request, forwarded: bool) -> Option<Vec<u8>> {
        let headers = self.headers(request);
        if self.method.starts_with(private::PREFIX) {
            let outcome = private::perform(dom0, &self.method, &self.params);
            return Some(http::reply("200 OK", &headers, &self.envelope.body(outcome, false)));
        }
        // Refused before the call is looked at: in 1.0's envelope, with an id of 0, and with fewer headers.
        let refused = |error: ApiError| {
            let envelope = match self.envelope {
                Envelope::Xml => Envelope::Xml,
                Envelope::Json(..) => Envelope::Json(Version::V1, Value::Int(0)),
            };
            Some(http::reply("200 OK", &headers[..3], &envelope.body(Err(error), false)))
        };
        let route = forwarding::route(dom0, &self.method);
        if let Route::Refused(error) = route {
            return refused(error);
        }
        if let Some(error) = call::invalid_text(&self.params) {
            return refused(error);
        }
        let (by, forwarded) = match route {
            Route::Here => (Arc::clone(dom0), forwarded),
            Route::Coordinator(coordinator) => (coordinator, true),
            Route::Refused(_) | Route::Nowhere => return None,
        };
        let outcome = call::perform(dom0, &by, &self.method, &self.params);
        if outcome.is_ok() {
            dom0.faults.count(Service::Xapi, &self.method);
        }
        if let (Envelope::Xml, methods::LIST, Ok(names)) = (&self.envelope, self.method.as_str(), &outcome) {
            return Some(http::reply("200 OK", &headers, &xml_rpc::bare(names)));
        }
        Some(http::reply("200 OK", &headers, &self.envelope.body(outcome, forwarded)))
    }
}

fn internal_error(exception: &str) -> Vec<u8> {
    let mut body = b"<html><body><h1>HTTP 500 internal server error</h1>An unexpected error occurred; please wait a \
        while and try again. If the problem persists, please contact your support representative.\
        <h1> Additional information </h1>"
        .to_vec();
    // Here, and only here, apostrophes are escaped too.
    let mut escaped = Vec::new();
    xml::escape(exception.as_bytes(), &mut escaped);
    body.extend_from_slice(String::from_utf8_lossy(&escaped).replace('\'', "&apos;").as_bytes());
    body.extend_from_slice(b"</body></html>");
    page("500 Internal Error", &body)
}

fn forbidden() -> Vec<u8> {
    let body = b"<html><body><h1>HTTP 403 forbidden</h1>Access to the requested resource is forbidden.</body></html>";
    page("403 Forbidden", body)
}

fn page(status: &str, body: &[u8]) -> Vec<u8> {
    let headers = [("content-type", "text/html"), ("connection", "close"), ("cache-control", "no-cache, no-store")];
    http::reply(status, &headers, body)
}
