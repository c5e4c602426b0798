//! Lets one host read the settings of all hosts, if XAPI answers in time.

use std::time::Duration;

use super::sync::note_names;
use super::{Caller, Host};
use crate::contact;
use crate::deadline::Deadline;
use crate::entry::News;
use crate::error::Error;
use crate::model::VmUuid;
use crate::shared_copy::SharedCopy;
use crate::store::{DATABASE_TIMEOUT, Reading, Store};
use crate::transaction::{Scope, take_over, take_over_all};
use crate::xenapi::Session;

/// How long a request that only reads waits for XAPI, and then for the database.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long it asks for names: short enough to leave time for ending the session.
const NAMES_TIMEOUT: Duration = Duration::from_millis(500);

/// The database, including what other hosts have written.
pub(super) struct Current<'a> {
    host: &'a Host,
    /// The registered VMs that were taken over.
    taken: Vec<VmUuid>,
    /// A copy, if the database itself could not be written in time.
    copy: Option<Store>,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    pub as_of: Option<String>,
    /// `None` if XAPI was away.
    pub session: Option<Session>,
}

impl<'a> Current<'a> {
    /// Takes over what other hosts have written, if XAPI answers in time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn of(host: &'a Host) -> Result<Self, Error> {
        if matches!(host.caller, Caller::RootWithoutXapi) {
            return Ok(Self { host, taken: Vec::new(), copy: None, as_of: None, session: None });
        }
        let asked = host
            .caller
            .connect(&host.root, CATCH_UP_TIMEOUT)
            .and_then(|mut session| Ok((SharedCopy::load(&mut session)?, session)));
        let (shared, mut session) = match asked {
            Ok(answer) => answer,
            Err(error) => {
                log::debug!("other hosts' changes are not known: {error}");
                let time = contact::last(&host.root).map(|seconds| host.store.read().time(seconds)).transpose()?;
                return Ok(Self {
                    host,
                    taken: Vec::new(),
                    copy: None,
                    as_of: Some(time.unwrap_or_else(|| "unknown".to_owned())),
                    session: None,
                });
            }
        };
        let current = Self::with(host, &shared)?;
        if let Err(error) = names(host, &mut session, &current.taken) {
            log::debug!("names are not known: {error}");
        }
        session.set_deadline(Deadline::after(CATCH_UP_TIMEOUT));
        Ok(Self { session: Some(session), ..current })
    }

    /// The session, with the full timeout; `None` if XAPI was away.
    pub fn look(&mut self) -> Option<&mut Session> {
        let session = self.session.as_mut()?;
        session.set_deadline(Deadline::after(CATCH_UP_TIMEOUT));
        Some(session)
    }

    /// The same with a shared copy that was already read.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn with(host: &'a Host, shared: &SharedCopy) -> Result<Self, Error> {
        let (taken, copy) = Self::take_over(host, shared)?;
        contact::note(&host.root);
        Ok(Self { host, taken, copy, as_of: None, session: None })
    }

    /// Takes over what can be taken over at once. If another program writes or has locked a VM, or if nothing can be
    /// written, the rest is in a copy.
    fn take_over(host: &Host, shared: &SharedCopy) -> Result<(Vec<VmUuid>, Option<Store>), Error> {
        if shared.news(host.store.read())?.is_empty() {
            return Ok((Vec::new(), None));
        }
        host.store.set_timeout(CATCH_UP_TIMEOUT)?;
        let taken = host.vm_locks().and_then(|locks| take_over(&host.store, shared, locks, Scope::default()));
        let taken = taken.unwrap_or_else(|error| {
            log::debug!("the changes of other hosts are not taken over now: {error}");
            News::default()
        });
        let registered = taken.entries.into_iter().filter(|(_, entry)| entry.settings.is_some());
        let registered = registered.map(|(uuid, _)| uuid).collect();
        host.store.set_timeout(DATABASE_TIMEOUT)?;
        if shared.news(host.store.read())?.is_empty() {
            return Ok((registered, None));
        }
        let copy = host.store.copy_in_memory()?;
        take_over_all(&copy, shared)?;
        Ok((registered, Some(copy)))
    }

    pub fn read(&self) -> Reading<'_> {
        self.copy.as_ref().unwrap_or(&self.host.store).read()
    }
}

/// Stores the names of VMs that were taken over, because the shared copy has none: as many as XAPI returns in time, since
/// they are only for people.
fn names(host: &Host, session: &mut Session, taken: &[VmUuid]) -> Result<(), Error> {
    if taken.is_empty() {
        return Ok(());
    }
    session.set_deadline(Deadline::after(NAMES_TIMEOUT));
    let vms = taken.iter().map_while(|uuid| Some((*uuid, session.look_up(uuid).ok()?)));
    let vms = vms.collect();
    session.set_deadline(Deadline::after(CATCH_UP_TIMEOUT));
    note_names(host, &vms)
}
