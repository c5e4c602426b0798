//! The other hosts of the resource pool. An operation is carried out on one of them by its plugin, which XAPI calls
//! (`host.call_plugin`): xapi on whichever host brings the call there.

use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::paths::Root;
use crate::request::{Reply, Request};
use crate::xenapi::{self, HostRecord, Reference, Session, XapiError};

/// The plugin's name.
const PLUGIN: &str = "vgpu";
/// How long a request to another host may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a request may take that changes many VMs, or reboots one after the other.
const LONG_REQUEST_TIMEOUT: Duration = Duration::from_hours(24);
/// How long one host may take where all of them are asked.
const EVERY_HOST_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a text may be for a plugin, which gets it within one argument of a program: each of its quotes takes six bytes
/// there.
const LONGEST_TEXT: usize = 60_000;

/// Another host of the resource pool, or this one seen from outside. Requests go through its plugin.
#[derive(Debug)]
pub struct OtherHost {
    session: Session,
    host: Reference,
    name: String,
}

impl OtherHost {
    /// Finds a host by its UUID or its name.
    ///
    /// # Errors
    /// XAPI is away, or has no host of that name, or several.
    pub fn find(root: &Root, wanted: &str) -> Result<Self, Error> {
        let mut session = Session::log_in(&root.xapi_socket(), Deadline::after(REQUEST_TIMEOUT))?;
        let hosts = session.hosts()?;
        let is_meant = |host: &HostRecord| host.uuid.eq_ignore_ascii_case(wanted) || host.name_label == wanted;
        let mut found = hosts.iter().filter(|(_, host)| is_meant(host));
        match (found.next(), found.count()) {
            (Some((reference, host)), 0) => {
                Ok(Self { session, host: Reference::new(reference), name: host.name_label.clone() })
            }
            (Some(_), others) => Err(Error::AmbiguousHost { name: wanted.to_owned(), count: others + 1 }),
            (None, _) => {
                let mut names: Vec<_> = hosts.values().map(|host| host.name_label.as_str()).collect();
                names.sort_unstable();
                Err(Error::NoSuchHost { name: wanted.to_owned(), known: names.join(", ") })
            }
        }
    }

    /// Carries out a request there.
    ///
    /// # Errors
    /// As [`Self::execute_to_json`], or the reply cannot be understood.
    pub fn execute(&mut self, request: &Request) -> Result<Reply, Error> {
        let json = self.execute_to_json(request)?;
        self.read_reply(request, &json)
    }

    /// Carries out a request there; the reply is the plugin's, byte for byte.
    ///
    /// # Errors
    /// XAPI cannot reach the host, vgpu-config is not there, or the operation fails there.
    pub fn execute_to_json(&mut self, request: &Request) -> Result<String, Error> {
        let arguments = request.arguments();
        if let Some((name, text)) = arguments.iter().find(|(_, text)| text.len() > LONGEST_TEXT) {
            return Err(Error::InvalidParam {
                name: name.to_owned(),
                value: format!("{} bytes", text.len()),
                expected: format!("at most {LONGEST_TEXT} bytes with --host; import it here, every host gets it"),
            });
        }
        let timeout = if request.may_take_long() { LONG_REQUEST_TIMEOUT } else { REQUEST_TIMEOUT };
        self.session.set_deadline(Deadline::after(timeout));
        let arguments: Vec<_> = arguments.iter().collect();
        let answer = self.session.call_plugin(&self.host, PLUGIN, request.function(), &arguments);
        answer.map_err(|error| of_host(&self.name, error))
    }

    /// Reads the host's reply to a request.
    ///
    /// # Errors
    /// It cannot be understood.
    pub fn read_reply(&self, request: &Request, json: &str) -> Result<Reply, Error> {
        request.read_reply(json).map_err(|error| not_understood(&self.name, &error))
    }
}

fn not_understood(host: &str, error: &serde_json::Error) -> Error {
    Error::OtherAnswer { host: host.to_owned(), reason: error.to_string() }
}

fn of_host(host: &str, error: XapiError) -> Error {
    match error {
        XapiError::TimedOut => Error::NoAnswerYet { host: host.to_owned() },
        XapiError::Refused { code, params, .. } => Error::OtherHost { host: host.to_owned(), code, params },
        error => Error::Xapi(error),
    }
}

/// What one of all hosts has answered.
pub(super) struct Answered<T> {
    pub host: HostRecord,
    pub answer: Result<T, Error>,
}

/// Carries out a request on every host at once, this one included, in the session's name. A host that
/// hangs costs its own answer only. Sorted by name.
pub(super) fn on_every_host<T: DeserializeOwned + Send>(
    root: &Root,
    session: &mut Session,
    request: &Request,
) -> Result<Vec<Answered<T>>, XapiError> {
    let mut hosts: Vec<_> = session.hosts()?.into_iter().collect();
    hosts.sort_by(|(_, one), (_, other)| (&one.name_label, &one.uuid).cmp(&(&other.name_label, &other.uuid)));
    let token = session.token().clone();
    let arguments = request.arguments();
    let arguments: Vec<_> = arguments.iter().collect();
    let ask = |reference: String, name: &str| -> Result<T, Error> {
        let mut session = Session::of_caller(&root.xapi_socket(), token.clone(), Deadline::after(EVERY_HOST_TIMEOUT))?;
        let answer = session.call_plugin(&Reference::new(&reference), PLUGIN, request.function(), &arguments);
        let answer = answer.map_err(|error| of_host(name, error))?;
        serde_json::from_str(&answer).map_err(|error| not_understood(name, &error))
    };
    let ask = &ask;
    let answers = thread::scope(|scope| {
        let asked: Vec<_> = hosts
            .into_iter()
            .map(|(reference, host)| {
                let name = host.name_label.clone();
                (host, scope.spawn(move || ask(reference, &name)))
            })
            .collect();
        let collect = |(host, thread): (HostRecord, thread::ScopedJoinHandle<'_, Result<T, Error>>)| {
            let answer = thread.join().unwrap_or_else(|_| Err(Error::Internal("a panic, see the log".to_owned())));
            Answered { host, answer }
        };
        asked.into_iter().map(collect).collect()
    });
    // Whoever was slow has not used up the time of what comes after.
    session.set_deadline(Deadline::after(xenapi::TIMEOUT));
    Ok(answers)
}
