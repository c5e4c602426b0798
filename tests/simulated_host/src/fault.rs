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
    /// Connections are accepted, requests read and not answered: the process is stopped, or stuck. Once it works again it
    /// carries them out, also for a caller that has gone; if it fails in another way first, it does not.
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

/// The faults in force, and how often a service has ended because of one.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<HashMap<Scope, Pending>>, Mutex<HashMap<Service, usize>>);

/// What a fault is about: a service, or one method of it.
type Scope = (Service, Option<String>);

/// A fault, and how many calls succeed before it comes into force.
#[derive(Debug)]
struct Pending {
    fault: Fault,
    after: usize,
}

impl Faults {
    pub fn set(&self, service: Service, method: Option<&str>, after: usize, fault: Fault) {
        lock(&self.0).insert((service, method.map(str::to_owned)), Pending { fault, after });
    }

    pub fn clear(&self) {
        lock(&self.0).clear();
    }

    /// A service ends, and with it whatever it had begun.
    pub fn end(&self, service: Service) {
        *lock(&self.1).entry(service).or_default() += 1;
    }

    pub fn ends(&self, service: Service) -> usize {
        lock(&self.1).get(&service).copied().unwrap_or_default()
    }

    /// The fault of one method, or else of the whole service.
    pub fn of(&self, service: Service, method: &str) -> Option<Fault> {
        let faults = lock(&self.0);
        let in_force = |method: Option<String>| faults.get(&(service, method)).and_then(Pending::in_force);
        in_force(Some(method.to_owned())).or_else(|| in_force(None))
    }

    /// Takes note of a call that succeeded.
    pub fn count(&self, service: Service, method: &str) {
        let mut faults = lock(&self.0);
        for method in [Some(method.to_owned()), None] {
            if let Some(pending) = faults.get_mut(&(service, method)) {
                pending.after = pending.after.saturating_sub(1);
            }
        }
    }

    /// The fault of the whole service.
    pub fn of_service(&self, service: Service) -> Option<Fault> {
        lock(&self.0).get(&(service, None)).and_then(Pending::in_force)
    }
}

impl Pending {
    fn in_force(&self) -> Option<Fault> {
        (self.after == 0).then(|| self.fault.clone())
    }
}
