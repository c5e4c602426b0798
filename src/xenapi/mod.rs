//! A XenAPI client: JSON-RPC on xapi's local unix socket.
//!
//! On a member of a resource pool the socket forwards everything to the coordinator, so one client serves every host
//! (xapi-project/xen-api, `ocaml/xapi/api_server.ml`).

mod calls;
mod gpus;
mod map_change;
mod records;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::http::{Connection, HttpError};

pub use gpus::XapiGpu;
pub use map_change::MapChange;
pub use records::{HostRecord, MapField, PUT_ASIDE_KEY, RebootKind, Reference, TaskRecord, VmRecord, XapiVm};

/// How long the CLI and the plugin wait for XAPI in one operation. Calls take 1 to 50 ms, but block for long after the
/// coordinator is lost.
pub const XAPI_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum XapiError {
    #[error("XAPI cannot be reached ({0}): is the toolstack running? (systemctl status xapi)")]
    Unreachable(String),
    /// Whoever uses this library works on the database alone.
    #[error("XAPI was not asked")]
    NotAsked,
    #[error("XAPI did not answer in time: is the coordinator reachable? (xe host-list)")]
    TimedOut,
    #[error("XAPI's answer to {call} cannot be read: {reason}")]
    Nonsense { call: String, reason: String },
    #[error("XAPI refused {call}: {code}{}", in_brackets(params))]
    Refused { call: String, code: String, params: Vec<String> },
}

impl XapiError {
    /// Whether XAPI could not look at the request at all, as opposed to refusing it. A host in emergency mode, or one whose
    /// coordinator is lost, answers with an error of its own.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::NotAsked | Self::Unreachable(_) | Self::TimedOut | Self::Nonsense { .. } => true,
            Self::Refused { code, .. } => matches!(
                code.as_str(),
                "HOST_STILL_BOOTING" | "HOST_UNKNOWN_TO_MASTER" | "HOST_OFFLINE" | "CANNOT_CONTACT_HOST"
            ),
        }
    }

    /// From XAPI's form: the code, then its parameters.
    pub(crate) fn refused(call: &str, mut error: Vec<String>) -> Self {
        let code = if error.is_empty() { "INTERNAL_ERROR".to_owned() } else { error.remove(0) };
        Self::Refused { call: call.to_owned(), code, params: error }
    }

    pub(crate) fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

fn in_brackets(params: &[String]) -> String {
    if params.is_empty() { String::new() } else { format!(" ({})", params.join(", ")) }
}

/// A session's reference. It grants the same access as a password, so no log and no message shows it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// A session: one that this program opened, or a caller's.
pub struct Session {
    socket: PathBuf,
    /// None after a call that failed on the connection: its reply may still arrive, and would be mistaken for the next one.
    connection: Option<Connection>,
    deadline: Deadline,
    token: Token,
    /// A plugin uses its caller's session: ending it would log the caller out.
    is_ours: bool,
}

impl Session {
    /// Logs in. The local socket needs no password, and gives a superuser's session.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn log_in(socket: &Path, deadline: Deadline) -> Result<Self, XapiError> {
        let mut session = Self::of_caller(socket, Token::default(), deadline)?;
        session.token = session.call(
            "session.login_with_password",
            &json!(["root", "", "1.0", concat!("vgpu-config/", env!("CARGO_PKG_VERSION"))]),
        )?;
        session.is_ours = true;
        Ok(session)
    }

    /// Uses a session that the caller has opened and will close.
    ///
    /// # Errors
    /// XAPI is away.
    pub fn of_caller(socket: &Path, token: Token, deadline: Deadline) -> Result<Self, XapiError> {
        let connection = Connection::open(socket, deadline).map_err(|error| transport("connect", &error))?;
        Ok(Self { socket: socket.to_owned(), connection: Some(connection), deadline, token, is_ours: false })
    }

    /// For further sessions that make calls at the same time.
    pub(crate) fn token(&self) -> &Token {
        &self.token
    }

    /// Sets the deadline of all further calls.
    pub fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    fn call<T: DeserializeOwned>(&mut self, method: &str, params: &Value) -> Result<T, XapiError> {
        let nonsense = |reason: String| XapiError::Nonsense { call: method.to_owned(), reason };
        let request = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string();
        let lost = |error: HttpError| transport(method, &error);
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.socket, self.deadline).map_err(lost)?,
        };
        let reply = connection.request("POST", "/jsonrpc", request.as_bytes(), self.deadline).map_err(lost)?;
        if reply.status != 200 {
            return Err(nonsense(format!("HTTP status {}", reply.status)));
        }
        let envelope = Envelope::read(&reply.body).map_err(|error| nonsense(error.to_string()))?;
        self.connection = Some(connection);
        match (envelope.error, envelope.result) {
            (Some(RpcError::Object { message, data }), _) => {
                Err(XapiError::Refused { call: method.to_owned(), code: message, params: data.into() })
            }
            (Some(RpcError::Array(parts)), _) if !parts.is_empty() => Err(XapiError::refused(method, parts)),
            (None, Some(result)) => Ok(result),
            _ => Err(nonsense("neither a result nor an error".to_owned())),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Session").field("is_ours", &self.is_ours).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = self.call::<String>("session.logout", &json!([self.token]))
        {
            log::debug!("cannot log out, the session stays open until XAPI ends it: {error}");
        }
    }
}

fn transport(call: &str, error: &HttpError) -> XapiError {
    match error {
        HttpError::Unreachable(reason) => XapiError::Unreachable(reason.to_string()),
        HttpError::TimedOut => XapiError::TimedOut,
        HttpError::Broken(reason) => XapiError::Nonsense { call: call.to_owned(), reason: reason.clone() },
    }
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(default = "Option::default")]
    result: Option<T>,
    #[serde(default)]
    error: Option<RpcError>,
}

impl<T: DeserializeOwned> Envelope<T> {
    fn read(body: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(body).or_else(|error| {
            // With an error, the result can be of any type.
            let refusal: Envelope<IgnoredAny> = serde_json::from_slice(body)?;
            if refusal.error.is_some() { Ok(Self { result: None, error: refusal.error }) } else { Err(error) }
        })
    }
}

/// An error is an object in JSON-RPC 2.0. It is an array in 1.0, and even in 2.0 if a member forwarded the call, or if the
/// error occurred before the call was parsed.
#[derive(Deserialize)]
#[serde(untagged)]
enum RpcError {
    Object {
        message: String,
        #[serde(default)]
        data: ErrorData,
    },
    Array(Vec<String>),
}

/// The parameters, usually an array of strings.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum ErrorData {
    Texts(Vec<String>),
    Other(Value),
    #[default]
    Nothing,
}

impl From<ErrorData> for Vec<String> {
    fn from(data: ErrorData) -> Self {
        match data {
            ErrorData::Texts(texts) => texts,
            ErrorData::Other(value) => vec![value.to_string()],
            ErrorData::Nothing => Vec::new(),
        }
    }
}
