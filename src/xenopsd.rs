//! A client of xenopsd, through message-switch.
//!
//! xapi passes a VM's metadata to xenopsd before vm-pre-start runs, and xenopsd reads it again when it creates the
//! domain: `VM.stat` returns the metadata, and `VM.add` changes it for this boot (xapi-project/xen-api,
//! `ocaml/xenopsd/lib/xenops_server.ml`). All fields but one are passed back unchanged.

use std::path::Path;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::deadline::Deadline;
use crate::http::{Connection, HttpError};
use crate::model::VmUuid;

/// xenopsd's queue (xapi-project/xcp-idl, `xen/xenops_interface.ml`).
const QUEUE: &str = "org.xen.xapi.xenops.classic";
/// The field of the metadata that holds the platform map.
const PLATFORM_DATA: &str = "platformdata";

#[derive(Debug, thiserror::Error)]
pub enum XenopsdError {
    #[error("xenopsd cannot be reached: message-switch does not answer ({0})")]
    Unreachable(String),
    #[error("xenopsd is not running: message-switch has no queue {QUEUE}")]
    NotRunning,
    #[error("xenopsd did not answer in time")]
    TimedOut,
    #[error("xenopsd's answer to {call} cannot be read: {reason}")]
    Nonsense { call: String, reason: String },
    #[error("xenopsd refused {call}: {error}")]
    Refused { call: String, error: String },
}

/// A VM that xenopsd is about to boot, or runs.
#[derive(Debug)]
pub struct VmMetadata {
    /// The unparsed fields: xenopsd distinguishes `1` and `1.0`.
    fields: IndexMap<String, Box<RawValue>>,
    platform: IndexMap<String, String>,
    /// Without a domain, the VM is about to boot. The power state does not show this: during a reboot, xenopsd always reports
    /// "Running" (`stat'` in `xenops_server.ml`).
    pub has_domain: bool,
    /// Its domains: one, unless it is being moved or rebooted.
    pub domids: Vec<i64>,
}

impl VmMetadata {
    #[must_use]
    pub fn platform(&self, key: &str) -> Option<&str> {
        self.platform.get(key).map(String::as_str)
    }

    /// `None` removes the key.
    pub fn set_platform(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => drop(self.platform.insert(key.to_owned(), value.to_owned())),
            None => drop(self.platform.shift_remove(key)),
        }
    }

    fn to_raw(&self) -> serde_json::Result<Box<RawValue>> {
        let mut fields = self.fields.clone();
        fields.insert(PLATFORM_DATA.to_owned(), serde_json::value::to_raw_value(&self.platform)?);
        serde_json::value::to_raw_value(&fields)
    }
}

#[derive(Deserialize)]
struct VmState {
    #[serde(default)]
    domids: Vec<i64>,
}

#[derive(Debug)]
pub struct Xenopsd {
    connection: Connection,
    deadline: Deadline,
    reply_queue: String,
    last_seen: Option<String>,
}

impl Xenopsd {
    /// Connects to message-switch, logs in and creates a queue for the replies, which is deleted with the connection.
    ///
    /// # Errors
    /// message-switch is away.
    pub fn connect(socket: &Path, deadline: Deadline) -> Result<Self, XenopsdError> {
        let connection = Connection::open(socket, deadline).map_err(|error| transport("connect", error))?;
        // The name must not contain a slash and must be unique: two programs with the same name would share a queue.
        let reply_queue = format!("vgpu-hook:{}", std::process::id());
        let mut client = Self { connection, deadline, reply_queue, last_seen: None };
        let (login, queue) = (format!("/login/{}", client.reply_queue), format!("/transient/{}", client.reply_queue));
        client.http("login", "GET", &login, &[])?;
        client.http("transient", "GET", &queue, &[])?;
        Ok(client)
    }

    /// `None` if xenopsd does not know the VM, because it is halted.
    ///
    /// # Errors
    /// xenopsd is away or refuses.
    pub fn stat(&mut self, uuid: &VmUuid) -> Result<Option<VmMetadata>, XenopsdError> {
        let reply = self.call("VM.stat", &json!({"debug_info": "vgpu-hook", "id": uuid}))?;
        if reply.error.as_deref().is_some_and(is_does_not_exist) {
            return Ok(None);
        }
        let nonsense =
            |error: serde_json::Error| XenopsdError::Nonsense { call: "VM.stat".to_owned(), reason: error.to_string() };
        let result = reply.result("VM.stat")?;
        let (fields, state): (IndexMap<String, Box<RawValue>>, VmState) =
            serde_json::from_str(result.get()).map_err(nonsense)?;
        let platform = match fields.get(PLATFORM_DATA) {
            Some(raw) => serde_json::from_str(raw.get()).map_err(nonsense)?,
            None => IndexMap::new(),
        };
        Ok(Some(VmMetadata { fields, platform, has_domain: !state.domids.is_empty(), domids: state.domids }))
    }

    /// Replaces a VM's metadata, for the boot in progress. Has a deadline of its own, because other steps since `stat` may have
    /// taken long.
    ///
    /// # Errors
    /// xenopsd is away or refuses.
    pub fn add(&mut self, uuid: &VmUuid, metadata: &VmMetadata, deadline: Deadline) -> Result<(), XenopsdError> {
        self.deadline = deadline;
        let vm = metadata
            .to_raw()
            .map_err(|error| XenopsdError::Nonsense { call: "VM.add".to_owned(), reason: error.to_string() })?;
        let reply = self.call("VM.add", &AddParams { debug_info: "vgpu-hook", vm: &vm })?;
        let added = reply.result("VM.add")?;
        // xenopsd returns the VM's id.
        if serde_json::from_str::<VmUuid>(added.get()).is_ok_and(|added| added == *uuid) {
            return Ok(());
        }
        let reason = format!("expected the VM's id, got {}", added.get().chars().take(200).collect::<String>());
        Err(XenopsdError::Nonsense { call: "VM.add".to_owned(), reason })
    }

    /// Sends the request to xenopsd's queue, and waits for the reply in our own.
    fn call(&mut self, method: &str, params: &impl Serialize) -> Result<RpcReply, XenopsdError> {
        let nonsense = |reason: String| XenopsdError::Nonsense { call: method.to_owned(), reason };
        let request = serde_json::to_vec(&RpcRequest { method, params: [params], id: 1 })
            .map_err(|error| nonsense(error.to_string()))?;
        let path = format!("/request/{QUEUE}/{}", self.reply_queue);
        let sent = self.http(method, "POST", &path, &request)?;
        let accepted: Vec<MessageId> = serde_json::from_slice(&sent).map_err(|error| nonsense(error.to_string()))?;
        let request_id = accepted.into_iter().next().ok_or(XenopsdError::NotRunning)?;
        loop {
            for (id, message) in self.transfer(method)? {
                self.http("ack", "GET", &format!("/ack/{}/{}", id.0, id.1), &[])?;
                // The JSON-RPC id of replies is always 0, so replies are matched by message-switch's own id.
                if message.kind == json!(["Response", request_id]) {
                    return parse_reply(method, &message.payload);
                }
            }
        }
    }

    /// Waits for messages in our queue.
    fn transfer(&mut self, call: &str) -> Result<Vec<(MessageId, Message)>, XenopsdError> {
        let timeout = self.deadline.remaining().ok_or(XenopsdError::TimedOut)?.as_secs_f64();
        let mut request = json!({"timeout": timeout, "queues": [self.reply_queue]});
        if let Some(last_seen) = &self.last_seen {
            request["from"] = json!(last_seen);
        }
        let reply = self.http(call, "POST", "/transfer", request.to_string().as_bytes())?;
        let transfer: Transfer = serde_json::from_slice(&reply)
            .map_err(|error| XenopsdError::Nonsense { call: call.to_owned(), reason: error.to_string() })?;
        self.last_seen = Some(transfer.next);
        Ok(transfer.messages)
    }

    fn http(&mut self, call: &str, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, XenopsdError> {
        let reply =
            self.connection.request(method, path, body, self.deadline).map_err(|error| transport(call, error))?;
        if reply.status == 200 {
            return Ok(reply.body);
        }
        let text = String::from_utf8_lossy(&reply.body);
        Err(XenopsdError::Nonsense {
            call: call.to_owned(),
            reason: format!("HTTP status {}: {}", reply.status, text.trim()),
        })
    }
}

fn transport(call: &str, error: HttpError) -> XenopsdError {
    match error {
        HttpError::Unreachable(reason) => XenopsdError::Unreachable(reason.to_string()),
        HttpError::TimedOut => XenopsdError::TimedOut,
        HttpError::Broken(reason) => XenopsdError::Nonsense { call: call.to_owned(), reason },
    }
}

/// An unexpected exception in xenopsd is returned as OCaml's text instead of JSON.
fn parse_reply(call: &str, payload: &str) -> Result<RpcReply, XenopsdError> {
    serde_json::from_str(payload).map_err(|_| {
        let text: String = payload.chars().take(200).collect();
        XenopsdError::Refused { call: call.to_owned(), error: text }
    })
}

/// `["Does_not_exist",["VM","UUID/config"]]`
fn is_does_not_exist(error: &RawValue) -> bool {
    serde_json::from_str::<(String, serde_json::Value)>(error.get()).is_ok_and(|(name, _)| name == "Does_not_exist")
}

#[derive(Serialize)]
struct RpcRequest<'a, P> {
    method: &'a str,
    params: [&'a P; 1],
    id: u32,
}

#[derive(Serialize)]
struct AddParams<'a> {
    debug_info: &'a str,
    vm: &'a RawValue,
}

#[derive(Deserialize)]
struct RpcReply {
    result: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

impl RpcReply {
    fn result(self, call: &str) -> Result<Box<RawValue>, XenopsdError> {
        match (self.error, self.result) {
            (Some(error), _) => Err(XenopsdError::Refused { call: call.to_owned(), error: error.get().to_owned() }),
            (None, Some(result)) => Ok(result),
            (None, None) => Err(XenopsdError::Nonsense {
                call: call.to_owned(),
                reason: "neither a result nor an error".to_owned(),
            }),
        }
    }
}

/// A queue and a number in it.
#[derive(Debug, Serialize, Deserialize)]
struct MessageId(String, u64);

#[derive(Deserialize)]
struct Transfer {
    messages: Vec<(MessageId, Message)>,
    next: String,
}

#[derive(Deserialize)]
struct Message {
    payload: String,
    /// `["Response",["QUEUE",NUMBER]]` or `["Request","QUEUE"]`
    kind: serde_json::Value,
}
