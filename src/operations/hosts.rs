//! Runs operations on the other hosts of the resource pool, through their plugins (`host.call_plugin`).

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use indexmap::IndexMap;
use serde::de::DeserializeOwned;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::model::HostUuid;
use crate::paths::Root;
use crate::progress::Progress;
use crate::reply::VersionReply;
use crate::request::{Reply, Request};
use crate::xenapi::{self, HostRecord, Reference, Session, Token, XapiError};

const PLUGIN: &str = "vgpu";
/// How long a request to another host may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
/// For a request that changes or reboots many VMs, one after the other.
const LONG_REQUEST_TIMEOUT: Duration = Duration::from_hours(24);
/// For one host, if all are asked.
pub(super) const EVERY_HOST_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest text for a plugin, in bytes. XAPI passes it in one program argument, where each quote takes six bytes.
const LONGEST_TEXT: usize = 60_000;

/// A host of the resource pool, used through its plugin.
#[derive(Debug)]
pub struct OtherHost {
    session: Session,
    host: Reference,
    name: String,
}

impl OtherHost {
    /// `wanted` is a UUID or a name.
    ///
    /// # Errors
    /// XAPI is away, or has no host of that name, or several.
    pub fn find(root: &Root, wanted: &str) -> Result<Self, Error> {
        let mut session = Session::log_in(&root.xapi_socket(), Deadline::after(REQUEST_TIMEOUT))?;
        let hosts = session.hosts()?;
        let (reference, host) = find_host(&hosts, wanted)?;
        let (host, name) = (Reference::new(reference), host.name_label.clone());
        Ok(Self { session, host, name })
    }

    /// # Errors
    /// Those of [`Self::execute_to_json`], or the reply cannot be read.
    pub fn execute(&mut self, request: &Request) -> Result<Reply, Error> {
        let json = self.execute_to_json(request)?;
        self.read_reply(request, &json)
    }

    /// Returns the plugin's reply, byte for byte.
    ///
    /// # Errors
    /// XAPI cannot reach the host, vgpu-config is not installed there, or the operation fails.
    pub fn execute_to_json(&mut self, request: &Request) -> Result<String, Error> {
        let arguments = request.arguments();
        if let Some((name, text)) = arguments.iter().find(|(_, text)| text.len() > LONGEST_TEXT) {
            return Err(Error::InvalidParam {
                name: name.to_owned(),
                value: format!("{} bytes", text.len()),
                expected: format!(
                    "at most {LONGEST_TEXT} bytes with --host: run it on this host, the others take over what it changes"
                ),
            });
        }
        let timeout = if request.may_take_long() { LONG_REQUEST_TIMEOUT } else { REQUEST_TIMEOUT };
        self.session.set_deadline(Deadline::after(timeout));
        let arguments: Vec<_> = arguments.iter().collect();
        let answer = self.session.call_plugin(&self.host, PLUGIN, request.function(), &arguments);
        answer.map_err(|error| self.explained(of_host(&self.name, error)))
    }

    /// Another version may not know an argument.
    fn explained(&mut self, error: Error) -> Error {
        let Error::OtherHost { host, code, mut params } = error else { return error };
        if let ("VGPU_INVALID_PARAM", [_, _, expected]) = (code.as_str(), params.as_mut_slice())
            && let Some(version) = self.version()
            && version != crate::VERSION
        {
            // Writing to a string does not fail.
            let _ = write!(expected, "; host {host} has vgpu-config {version}, and this host {}", crate::VERSION);
        }
        Error::OtherHost { host, code, params }
    }

    fn version(&mut self) -> Option<String> {
        self.session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
        let answer = self.session.call_plugin(&self.host, PLUGIN, Request::Version {}.function(), &[]).ok()?;
        Some(serde_json::from_str::<VersionReply>(&answer).ok()?.version)
    }

    /// # Errors
    /// The reply cannot be read.
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

/// The host with a UUID or a name, and its reference.
///
/// # Errors
/// There is none, or several have the name.
pub(super) fn find_host<'h>(
    hosts: &'h IndexMap<String, HostRecord>,
    wanted: &str,
) -> Result<(&'h str, &'h HostRecord), Error> {
    let is_meant = |host: &HostRecord| host.uuid.eq_ignore_ascii_case(wanted) || host.name_label == wanted;
    let mut found = hosts.iter().filter(|(_, host)| is_meant(host));
    match (found.next(), found.count()) {
        (Some((reference, host)), 0) => Ok((reference, host)),
        (Some(_), others) => Err(Error::AmbiguousHost { name: wanted.to_owned(), count: others + 1 }),
        (None, _) => {
            let mut names: Vec<_> = hosts.values().map(|host| host.name_label.as_str()).collect();
            names.sort_unstable();
            Err(Error::NoSuchHost { name: wanted.to_owned(), known: names.join(", ") })
        }
    }
}

/// The host with a UUID.
pub(super) fn host_of(hosts: &IndexMap<String, HostRecord>, uuid: HostUuid) -> Option<&HostRecord> {
    hosts.values().find(|host| host.uuid.parse() == Ok(uuid))
}

/// Runs a request on one host, in the caller's session.
pub(super) fn ask_host<T: DeserializeOwned>(
    root: &Root,
    token: &Token,
    host: &Reference,
    name: &str,
    request: &Request,
    timeout: Duration,
) -> Result<T, Error> {
    let arguments = request.arguments();
    let arguments: Vec<_> = arguments.iter().collect();
    let mut session = Session::of_caller(&root.xapi_socket(), token.clone(), Deadline::after(timeout))?;
    let answer = session.call_plugin(host, PLUGIN, request.function(), &arguments);
    let answer = answer.map_err(|error| of_host(name, error))?;
    serde_json::from_str(&answer).map_err(|error| not_understood(name, &error))
}

pub(super) struct Answered<T> {
    pub host: HostRecord,
    pub answer: Result<T, Error>,
}

/// Runs a request on every host at the same time, including this one, in the caller's session. If a host hangs, only its own
/// answer is missing. Sorted by name.
pub(super) fn on_every_host<T: DeserializeOwned + Send>(
    root: &Root,
    session: &mut Session,
    request: &Request,
    progress: &Progress,
) -> Result<Vec<Answered<T>>, XapiError> {
    let mut hosts: Vec<_> = session.hosts()?.into_iter().collect();
    hosts.sort_by(|(_, one), (_, other)| (&one.name_label, &one.uuid).cmp(&(&other.name_label, &other.uuid)));
    let token = session.token().clone();
    progress.begin(hosts.len());
    let ask = |reference: &str, name: &str| {
        let answer = ask_host(root, &token, &Reference::new(reference), name, request, EVERY_HOST_TIMEOUT);
        progress.step();
        answer
    };
    let ask = &ask;
    let answers = thread::scope(|scope| {
        let asked: Vec<_> = hosts
            .into_iter()
            .map(|(reference, host)| {
                let name = host.name_label.clone();
                (host, scope.spawn(move || ask(&reference, &name)))
            })
            .collect();
        let collect = |(host, thread): (HostRecord, thread::ScopedJoinHandle<'_, Result<T, Error>>)| {
            let answer = thread.join().unwrap_or_else(|_| Err(Error::Internal("a panic, see the log".to_owned())));
            Answered { host, answer }
        };
        asked.into_iter().map(collect).collect()
    });
    // A slow host must not use up the time for what follows.
    session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
    Ok(answers)
}
