//! message-switch's HTTP (`ocaml/message-switch/core/protocol.ml`, `switch/mswitch.ml`): one login per connection, then
//! paths that say what to do. Left out: diagnostics, traces, names with `%` in them, and a connection with two logins.

use std::io::{BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use super::{Kind, address};
use crate::dom0::Dom0;
use crate::fault::{Fault, Service};
use crate::http::{self, Request};
use crate::wire::{Value, json};
use crate::xenopsd::rpc;

const OK: &str = "200 OK";

/// Serves a connection until its client leaves.
pub fn serve(dom0: &Arc<Dom0>, stream: UnixStream) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut connection = Connection { dom0, token: None };
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = http::read_request(&mut reader) {
        if !connection.exchange(&request, &mut writer) {
            break;
        }
    }
    if let Some(token) = connection.token {
        dom0.switch.log_out(&token);
    }
}

struct Connection<'a> {
    dom0: &'a Arc<Dom0>,
    /// Who has logged in.
    token: Option<String>,
}

impl Connection<'_> {
    /// Answers a request, rightly or as the fault in force has it. False: the connection is to be closed.
    fn exchange(&mut self, request: &Request, writer: &mut UnixStream) -> bool {
        let operation = request.path.split('/').nth(1).unwrap_or_default();
        let (bytes, keep) = match self.dom0.faults.of(Service::MessageSwitch, operation) {
            None | Some(Fault::ForwardedErrors) => {
                let reply = self.reply(request);
                self.dom0.faults.count(Service::MessageSwitch, operation);
                (reply, true)
            }
            Some(Fault::Slow(delay)) => {
                self.dom0.sleep(delay);
                (self.reply(request), true)
            }
            Some(Fault::Absent | Fault::Refuses) => (Vec::new(), false),
            Some(Fault::Hangs) => {
                if self.dom0.goes_on_after_hanging(Service::MessageSwitch, operation) {
                    (self.reply(request), true)
                } else {
                    (Vec::new(), false)
                }
            }
            Some(Fault::DropsReply) => {
                let reply = self.reply(request);
                (reply[..reply.len() * 2 / 3].to_vec(), false)
            }
            Some(Fault::Garbage) => (b"\x00\xff\xfe not HTTP at all\r\n\r\n".to_vec(), false),
            Some(Fault::NotJson) => (http::reply(OK, &[], b"<<< not JSON >>>"), true),
            Some(Fault::WrongShape) => (http::reply(OK, &[], b"{\"unexpected\":[1,2,3]}"), true),
            Some(Fault::Error(_)) => (internal_error(), true),
        };
        writer.write_all(&bytes).is_ok() && keep && !request.close
    }

    fn reply(&mut self, request: &Request) -> Vec<u8> {
        let path: Vec<&str> = request.path.split('/').skip(1).collect();
        let get = request.method == "GET";
        let switch = &self.dom0.switch;
        if let (true, ["login", token]) = (get, path.as_slice()) {
            switch.log_in(token);
            if let Some(former) = self.token.replace((*token).to_owned()) {
                switch.log_out(&former);
            }
            return http::reply(OK, &[], b"");
        }
        let known = matches!(
            (get, path.as_slice()),
            (true, ["persistent" | "transient" | "destroy" | "list", _] | ["list", "alive", _] | ["ack", _, _])
                | (false, ["transfer"] | ["request", _, _] | ["response", _, _, _])
        );
        if !known {
            return http::reply(
                "404 Not Found",
                &[],
                format!("Not found: //{}{}", request.host, request.path).as_bytes(),
            );
        }
        let Some(token) = self.token.clone() else { return http::reply("404 Not Found", &[], b"Please log in.") };
        match self.perform(&path, &token, &request.body) {
            Some(body) => http::reply(OK, &[], &body),
            None => internal_error(),
        }
    }

    /// Carries out a request of somebody who has logged in; `None` is an error of the switch's own.
    fn perform(&self, path: &[&str], token: &str, body: &[u8]) -> Option<Vec<u8>> {
        let switch = &self.dom0.switch;
        match path {
            ["persistent", name] => {
                switch.create(name, None);
                Some(name.as_bytes().to_vec())
            }
            ["transient", name] => {
                switch.create(name, Some(token));
                Some(name.as_bytes().to_vec())
            }
            ["destroy", name] => {
                switch.destroy(name);
                Some(Vec::new())
            }
            ["list", "alive", prefix] => Some(json::print(&Value::from(switch.list(prefix, true)))),
            ["ack", queue, id] => {
                switch.ack(queue, id.parse().ok()?);
                Some(Vec::new())
            }
            ["transfer"] => self.transfer(body),
            ["request", queue, reply_to] => Some(self.request(queue, reply_to, body)),
            ["response", queue, from, id] => {
                let kind = Kind::Response { queue: (*from).to_owned(), id: id.parse().ok()? };
                let sent = switch.send(queue, body.to_vec(), kind);
                Some(json::print(&Value::List(sent.iter().map(address).collect())))
            }
            ["list", prefix] => Some(json::print(&Value::from(switch.list(prefix, false)))),
            _ => None,
        }
    }

    fn transfer(&self, body: &[u8]) -> Option<Vec<u8>> {
        let asked = json::parse(body).ok()?;
        let timeout = match asked.get("timeout")? {
            Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok()?,
            Value::Int(seconds) => Duration::from_secs(u64::try_from(*seconds).ok()?),
            _ => return None,
        };
        let from = match asked.get("from") {
            Some(from) => from.text()?.parse().ok()?,
            None => -1,
        };
        let queues: Vec<String> =
            asked.get("queues")?.items().iter().filter_map(Value::text).map(std::borrow::Cow::into_owned).collect();
        let messages = self.dom0.switch.transfer(from, &queues, timeout, &self.dom0.life());
        let next = messages.iter().map(|((_, id), _)| *id).max().unwrap_or(from);
        let messages =
            messages.iter().map(|(at, message)| Value::List(vec![address(at), message.to_value()])).collect();
        Some(json::print(&Value::dict([("messages", Value::List(messages)), ("next", next.to_string().into())])))
    }

    /// Puts a request into its queue. If that is xenopsd's, a thread of xenopsd's takes it from there.
    fn request(&self, queue: &str, reply_to: &str, body: &[u8]) -> Vec<u8> {
        let switch = &self.dom0.switch;
        let is_xenopsd = queue == switch.xenopsd_queue;
        let xenopsd_is_absent =
            matches!(self.dom0.faults.of_service(Service::Xenopsd), Some(Fault::Absent | Fault::Refuses));
        if is_xenopsd && xenopsd_is_absent {
            return b"[]".to_vec();
        }
        let kind = Kind::Request { reply_to: reply_to.to_owned() };
        let sent = switch.send(queue, body.to_vec(), kind);
        if let Some((queue, id)) = sent.clone().filter(|_| is_xenopsd) {
            let (dom0, body, reply_to) = (Arc::clone(self.dom0), body.to_vec(), reply_to.to_owned());
            self.dom0.in_background(move || answer(&dom0, &body, &reply_to, queue, id));
        }
        json::print(&Value::List(sent.iter().map(address).collect()))
    }
}

fn answer(dom0: &Dom0, request: &[u8], reply_to: &str, queue: String, id: i64) {
    let method = rpc::method_of(request);
    let mut fault = dom0.faults.of(Service::Xenopsd, &method);
    if fault == Some(Fault::Hangs) && dom0.goes_on_after_hanging(Service::Xenopsd, &method) {
        // A request stays in its queue until xenopsd has taken it, also one that nobody waits for any more.
        fault = None;
    }
    let payload = match fault {
        None => {
            let answer = dom0.xenopsd.answer(request);
            dom0.faults.count(Service::Xenopsd, &method);
            Some(answer)
        }
        Some(fault) => {
            if let Fault::Slow(delay) = fault {
                dom0.sleep(delay);
            }
            dom0.xenopsd.misbehave(&fault, request)
        }
    };
    dom0.switch.ack(&queue, id);
    if let Some(payload) = payload {
        dom0.switch.send(reply_to, payload, Kind::Response { queue, id });
    }
}

fn internal_error() -> Vec<u8> {
    http::reply("500 Internal Server Error", &[], b"Error: Internal Server Error")
}
