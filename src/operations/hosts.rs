//! The other hosts of the resource pool. An operation is carried out on one of them by its plugin, which XAPI calls
//! (`host.call_plugin`): xapi on whichever host brings the call there.

use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::paths::Root;
use crate::xenapi::{self, HostRecord, Reference, Session, XapiError};

/// The plugin's name.
const PLUGIN: &str = "vgpu";
/// How long one host may take where all of them are asked.
const PATIENCE: Duration = Duration::from_secs(20);

/// Another host of the resource pool, or this one seen from outside.
#[derive(Debug)]
pub struct OtherHost {
    session: Session,
    host: Reference,
    name: String,
}

impl OtherHost {
    /// Finds a host by its UUID or its name; what is asked of it may take so long altogether.
    ///
    /// # Errors
    /// XAPI is away, or has no host of that name, or several.
    pub fn find(root: &Root, wanted: &str, patience: Duration) -> Result<Self, Error> {
        let mut session = Session::log_in(&root.xapi_socket(), Deadline::after(patience))?;
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

    /// Carries out one of the plugin's functions there; answers its JSON.
    ///
    /// # Errors
    /// XAPI cannot reach the host, vgpu-config is not there, or the operation fails there.
    pub fn call(&mut self, function: &str, arguments: &[(&str, String)]) -> Result<String, Error> {
        let answer = self.session.call_plugin(&self.host, PLUGIN, function, arguments);
        answer.map_err(|error| of_host(&self.name, error))
    }
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

/// Carries out one of the plugin's functions on every host at once, this one included, in the session's name. A host that
/// hangs costs its own answer only. Sorted by name.
pub(super) fn on_every_host<T: DeserializeOwned + Send>(
    root: &Root,
    session: &mut Session,
    function: &str,
) -> Result<Vec<Answered<T>>, XapiError> {
    let mut hosts: Vec<_> = session.hosts()?.into_iter().collect();
    hosts.sort_by(|(_, one), (_, other)| (&one.name_label, &one.uuid).cmp(&(&other.name_label, &other.uuid)));
    let token = session.token().to_owned();
    let ask = |reference: String, name: &str| -> Result<T, Error> {
        let mut session = Session::of_caller(&root.xapi_socket(), token.clone(), Deadline::after(PATIENCE))?;
        let answer = session.call_plugin(&Reference::new(&reference), PLUGIN, function, &[]);
        let answer = answer.map_err(|error| of_host(name, error))?;
        serde_json::from_str(&answer)
            .map_err(|error| Error::OtherAnswer { host: name.to_owned(), reason: error.to_string() })
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
