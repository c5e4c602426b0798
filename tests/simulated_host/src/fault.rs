//! What a test lets go wrong.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::lock;

/// A part of the host that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// xapi, on its socket. Its methods are XenAPI's.
    Xapi,
    /// message-switch, on its socket. Its methods are the first words of its paths: `login`, `request`, `transfer`.
    MessageSwitch,
    /// xenopsd, behind message-switch. Its methods are `VM.stat`, `VM.add`, `VM.exists`.
    Xenopsd,
}

/// A way to fail. Faults touch only what goes over the sockets: the calls of [`crate::SimulatedHost`] itself, which
/// stand for what else happens on a host, always work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There is no socket; for xenopsd: its queue does not exist.
    Absent,
    /// The socket is there and nobody listens.
    Refuses,
    /// Connections are accepted, requests read and never answered.
    Hangs,
    /// The request is carried out and the connection cut in the middle of the reply.
    DropsReply,
    /// The reply is bytes that are no HTTP at all; for xenopsd: no text either.
    Garbage,
    /// The reply is good HTTP around a body that is not JSON (or XML).
    NotJson,
    /// The reply is good JSON (or XML) of a shape that nobody expects.
    WrongShape,
    /// The reply comes this much later.
    Slow(Duration),
    /// The call is refused with this error: its code, then its parameters.
    Error(Vec<String>),
    /// Errors come as arrays even in JSON-RPC 2.0, as from a member that forwarded the call to its coordinator.
    ForwardedErrors,
}

impl Fault {
    /// A refusal with an error's code and parameters.
    #[must_use]
    pub fn error(code: &str, params: &[&str]) -> Self {
        Self::Error(std::iter::once(&code).chain(params).map(|text| (*text).to_owned()).collect())
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<HashMap<(Service, Option<String>), Fault>>);

impl Faults {
    pub fn set(&self, service: Service, method: Option<&str>, fault: Fault) {
        lock(&self.0).insert((service, method.map(str::to_owned)), fault);
    }

    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The fault of one method, or else of the whole service.
    pub fn of(&self, service: Service, method: &str) -> Option<Fault> {
        let faults = lock(&self.0);
        faults.get(&(service, Some(method.to_owned()))).or_else(|| faults.get(&(service, None))).cloned()
    }

    /// The fault of the whole service.
    pub fn of_service(&self, service: Service) -> Option<Fault> {
        lock(&self.0).get(&(service, None)).cloned()
    }
}
