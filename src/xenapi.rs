//! A XenAPI client: JSON-RPC on xapi's local unix socket.
//!
//! On a member of a resource pool the socket forwards everything to the coordinator, so one client serves every host
//! (xapi-project/xen-api, `ocaml/xapi/api_server.ml`).

use std::fmt;
use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::deadline::Deadline;
use crate::http::{Connection, HttpError};
use crate::model::VmUuid;

/// How long the CLI and the plugin wait for XAPI in one operation. Calls take 1 to 50 ms; a coordinator that was just
/// lost lets them block.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Why XAPI did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum XapiError {
    /// xapi is not there.
    #[error("XAPI cannot be reached ({0}): is the toolstack running? (systemctl status xapi)")]
    Unreachable(String),
    /// xapi did not answer in time.
    #[error("XAPI did not answer in time: is the coordinator reachable? (xe host-list)")]
    TimedOut,
    /// What xapi answered cannot be understood.
    #[error("XAPI's answer to {call} cannot be understood: {reason}")]
    Nonsense {
        /// The call.
        call: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// xapi refused.
    #[error("XAPI refused {call}: {code}{}", in_brackets(params))]
    Refused {
        /// The call.
        call: String,
        /// XAPI's error code.
        code: String,
        /// Its parameters.
        params: Vec<String>,
    },
}

impl XapiError {
    /// Whether XAPI is away, rather than of another opinion: nothing is known about what it has or would have said.
    /// A host in emergency mode, or one whose coordinator is lost, answers with an error of its own.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut | Self::Nonsense { .. } => true,
            Self::Refused { code, .. } => matches!(
                code.as_str(),
                "HOST_STILL_BOOTING" | "HOST_UNKNOWN_TO_MASTER" | "HOST_OFFLINE" | "CANNOT_CONTACT_HOST"
            ),
        }
    }

    fn has_code(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

fn in_brackets(params: &[String]) -> String {
    if params.is_empty() { String::new() } else { format!(" ({})", params.join(", ")) }
}

/// XAPI's reference to an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Reference(String);

impl Reference {
    /// A reference that XAPI has given.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The reference as XAPI writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A map of XAPI's of which we own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapField {
    /// A VM's `platform`.
    VmPlatform,
    /// The resource pool's `other_config`.
    PoolOtherConfig,
}

impl MapField {
    fn add(self) -> &'static str {
        match self {
            Self::VmPlatform => "VM.add_to_platform",
            Self::PoolOtherConfig => "pool.add_to_other_config",
        }
    }

    fn remove(self) -> &'static str {
        match self {
            Self::VmPlatform => "VM.remove_from_platform",
            Self::PoolOtherConfig => "pool.remove_from_other_config",
        }
    }
}

/// What we need to know of a VM.
#[derive(Debug, Clone, Deserialize)]
pub struct VmRecord {
    /// Its UUID.
    pub uuid: String,
    /// Its name.
    pub name_label: String,
    /// Halted, Running, Paused or Suspended.
    pub power_state: String,
    /// Whether it is a template.
    pub is_a_template: bool,
    /// Whether it is a snapshot, which is never started.
    pub is_a_snapshot: bool,
    /// Whether it is dom0 itself.
    pub is_control_domain: bool,
    /// The host on which it runs.
    pub resident_on: Reference,
    /// What goes to the device model, and more.
    pub platform: IndexMap<String, String>,
}

impl VmRecord {
    /// Whether it is a VM that can be started: no template, no snapshot, not dom0.
    #[must_use]
    pub fn is_a_vm(&self) -> bool {
        !(self.is_a_template || self.is_a_snapshot || self.is_control_domain)
    }
}

/// What we need to know of a host.
#[derive(Debug, Clone, Deserialize)]
pub struct HostRecord {
    /// Its UUID.
    pub uuid: String,
    /// Its name.
    pub name_label: String,
}

/// A session, ours or a caller's.
pub struct Session {
    connection: Connection,
    deadline: Deadline,
    token: String,
    /// A plugin's session is its caller's: ending it would throw the caller out.
    is_ours: bool,
}

impl Session {
    /// Logs in. On the local socket no password is asked for, and the session is a superuser's.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn log_in(socket: &Path, deadline: Deadline) -> Result<Self, XapiError> {
        let mut session = Self::of_caller(socket, String::new(), deadline)?;
        session.token = session.call(
            "session.login_with_password",
            &json!(["root", "", "1.0", concat!("vgpu-config/", env!("CARGO_PKG_VERSION"))]),
        )?;
        session.is_ours = true;
        Ok(session)
    }

    /// Works with a session that somebody else opened and will close.
    ///
    /// # Errors
    /// XAPI is away.
    pub fn of_caller(socket: &Path, token: String, deadline: Deadline) -> Result<Self, XapiError> {
        let connection = Connection::open(socket, deadline).map_err(|error| transport("connect", &error))?;
        Ok(Self { connection, deadline, token, is_ours: false })
    }

    /// Makes sure that XAPI answers, and that the session is one.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn ping(&mut self) -> Result<(), XapiError> {
        self.call::<Reference>("session.get_this_host", &json!([self.token, self.token])).map(drop)
    }

    /// Makes sure that the session's role may change the resource pool's configuration, which is what a change of GPU
    /// settings is. Not every change makes XAPI write anything, so its refusal cannot be waited for: this asks it to
    /// remove a key that is not there, which does nothing and is refused to everybody below pool-operator.
    ///
    /// # Errors
    /// XAPI is away, or refuses with its own `RBAC_PERMISSION_DENIED`.
    pub fn prove_pool_operator(&mut self) -> Result<(), XapiError> {
        let pools: Vec<Reference> = self.call("pool.get_all", &json!([self.token]))?;
        for pool in pools {
            self.call::<String>("pool.remove_from_other_config", &json!([self.token, pool.0, "vgpu:permission"]))?;
        }
        Ok(())
    }

    /// A VM's reference.
    ///
    /// # Errors
    /// XAPI is away or refuses; `None` means that it knows no such VM.
    pub fn vm_by_uuid(&mut self, uuid: &VmUuid) -> Result<Option<Reference>, XapiError> {
        match self.call("VM.get_by_uuid", &json!([self.token, uuid])) {
            Err(error) if error.has_code("UUID_INVALID") => Ok(None),
            other => other.map(Some),
        }
    }

    /// A VM's record.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn vm_record(&mut self, vm: &Reference) -> Result<VmRecord, XapiError> {
        self.call("VM.get_record", &json!([self.token, vm.0]))
    }

    /// Every VM's record.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn vm_records(&mut self) -> Result<Vec<(Reference, VmRecord)>, XapiError> {
        let records: IndexMap<String, VmRecord> = self.call("VM.get_all_records", &json!([self.token]))?;
        Ok(records.into_iter().map(|(reference, record)| (Reference(reference), record)).collect())
    }

    /// The hosts of the resource pool, by their references.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn hosts(&mut self) -> Result<IndexMap<String, HostRecord>, XapiError> {
        self.call("host.get_all_records", &json!([self.token]))
    }

    /// The resource pool, and its `other_config`.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn pool_other_config(&mut self) -> Result<(Reference, IndexMap<String, String>), XapiError> {
        let pools: Vec<Reference> = self.call("pool.get_all", &json!([self.token]))?;
        let pool = pools.into_iter().next().ok_or_else(|| XapiError::Nonsense {
            call: "pool.get_all".to_owned(),
            reason: "there is no pool".to_owned(),
        })?;
        let other_config = self.call("pool.get_other_config", &json!([self.token, pool.0]))?;
        Ok((pool, other_config))
    }

    /// Sets a key of one of XAPI's maps, or removes it, as `xe vm-param-set` does: remove, then add. Should the second
    /// half fail, the value that was there is put back.
    ///
    /// # Errors
    /// XAPI is away or refuses; the value is then what it was, unless XAPI went away in between.
    pub fn set_map_key(
        &mut self,
        map: MapField,
        object: &Reference,
        key: &str,
        old: Option<&str>,
        new: Option<&str>,
    ) -> Result<(), XapiError> {
        if old == new {
            return Ok(());
        }
        if old.is_some() {
            self.remove_from(map, object, key)?;
        }
        let Some(new) = new else { return Ok(()) };
        let mut outcome = self.add_to(map, object, key, new);
        if outcome.as_ref().is_err_and(|error| error.has_code("MAP_DUPLICATE_KEY")) {
            // Somebody else set it between our two calls: the later one counts.
            self.remove_from(map, object, key)?;
            outcome = self.add_to(map, object, key, new);
        }
        let Err(error) = outcome else { return Ok(()) };
        if let Some(old) = old
            && let Err(second) = self.add_to(map, object, key, old)
        {
            log::error!("{key} could not be put back to '{old}': {second}");
        }
        Err(error)
    }

    fn add_to(&mut self, map: MapField, object: &Reference, key: &str, value: &str) -> Result<(), XapiError> {
        self.call::<String>(map.add(), &json!([self.token, object.0, key, value])).map(drop)
    }

    fn remove_from(&mut self, map: MapField, object: &Reference, key: &str) -> Result<(), XapiError> {
        self.call::<String>(map.remove(), &json!([self.token, object.0, key])).map(drop)
    }

    fn call<T: DeserializeOwned>(&mut self, method: &str, params: &Value) -> Result<T, XapiError> {
        let nonsense = |reason: String| XapiError::Nonsense { call: method.to_owned(), reason };
        let request = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).to_string();
        let reply = self
            .connection
            .request("POST", "/jsonrpc", request.as_bytes(), self.deadline)
            .map_err(|error| transport(method, &error))?;
        if reply.status != 200 {
            return Err(nonsense(format!("HTTP status {}", reply.status)));
        }
        let envelope: Envelope = serde_json::from_slice(&reply.body).map_err(|error| nonsense(error.to_string()))?;
        match (envelope.error, envelope.result) {
            (Some(RpcError::Object { message, data }), _) => {
                Err(XapiError::Refused { call: method.to_owned(), code: message, params: data.into() })
            }
            (Some(RpcError::Array(mut parts)), _) if !parts.is_empty() => {
                Err(XapiError::Refused { call: method.to_owned(), code: parts.remove(0), params: parts })
            }
            (None, Some(result)) => serde_json::from_value(result).map_err(|error| nonsense(error.to_string())),
            _ => Err(nonsense("neither a result nor an error".to_owned())),
        }
    }
}

/// A token is as good as a password and stays out of every log.
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
            log::debug!("the session stays open until XAPI ends it: {error}");
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
struct Envelope {
    #[serde(default)]
    result: Option<Value>,
    #[serde(default)]
    error: Option<RpcError>,
}

/// An error is an object in JSON-RPC 2.0; an array in 1.0, and even in 2.0 where a member forwarded the call or the
/// error came before the call was looked at.
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

/// The parameters: an array of texts, as a rule.
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
