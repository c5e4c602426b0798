//! What is read on one host is what all hosts have, where XAPI answers in time.

use std::time::Duration;

use super::Host;
use super::sync::note_names;
use crate::contact;
use crate::deadline::Deadline;
use crate::entry::News;
use crate::error::Error;
use crate::shared_copy::SharedCopy;
use crate::store::{DATABASE_TIMEOUT, Reading, Store};
use crate::transaction::{take_over, take_over_all};
use crate::xenapi::Session;

/// How long a request that only reads waits for XAPI, and then for the database.
const CATCH_UP_TIMEOUT: Duration = Duration::from_millis(300);
/// How long it asks for names: so long that there is time left for ending the session.
const NAMES_TIMEOUT: Duration = Duration::from_millis(100);

/// The database with what other hosts have written in it.
pub(super) struct Current<'a> {
    host: &'a Host,
    /// A copy, where the database itself could not be written in time.
    copy: Option<Store>,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    pub as_of: Option<String>,
}

impl<'a> Current<'a> {
    /// Takes over what other hosts have written, where that can be had in time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn of(host: &'a Host) -> Result<Self, Error> {
        let asked = host
            .caller
            .connect(&host.root, CATCH_UP_TIMEOUT)
            .and_then(|mut session| Ok((SharedCopy::load(&mut session)?, session)));
        let (shared, mut session) = match asked {
            Ok(answer) => answer,
            Err(error) => {
                log::debug!("other hosts' changes are not known: {error}");
                let time = contact::last(&host.root).map(|seconds| host.store.read().time(seconds)).transpose()?;
                return Ok(Self { host, copy: None, as_of: Some(time.unwrap_or_else(|| "unknown".to_owned())) });
            }
        };
        let copy = Self::take_over(host, &shared, &mut session)?;
        contact::note(&host.root);
        Ok(Self { host, copy, as_of: None })
    }

    /// Takes over what can be taken over at once. Where another program writes, has locked a VM, or nothing can be written,
    /// the rest is in a copy.
    fn take_over(host: &Host, shared: &SharedCopy, session: &mut Session) -> Result<Option<Store>, Error> {
        if shared.news(host.store.read())?.is_empty() {
            return Ok(None);
        }
        host.store.set_timeout(CATCH_UP_TIMEOUT)?;
        let taken = host.vm_locks().and_then(|locks| take_over(&host.store, shared, locks, &[]));
        match taken.and_then(|news| names(host, session, &news)) {
            Ok(()) => {}
            Err(error) => log::debug!("other hosts' changes are not taken over now: {error}"),
        }
        host.store.set_timeout(DATABASE_TIMEOUT)?;
        if shared.news(host.store.read())?.is_empty() {
            return Ok(None);
        }
        let copy = host.store.copy_in_memory()?;
        take_over_all(&copy, shared)?;
        Ok(Some(copy))
    }

    /// What the database says.
    pub fn read(&self) -> Reading<'_> {
        self.copy.as_ref().unwrap_or(&self.host.store).read()
    }
}

/// The shared copy carries no names. As many as XAPI tells in time are noted, for they are for people only.
fn names(host: &Host, session: &mut Session, news: &News) -> Result<(), Error> {
    session.set_deadline(Deadline::after(NAMES_TIMEOUT));
    let registered = news.entries.iter().filter(|(_, entry)| entry.settings.is_some());
    let vms = registered.map_while(|(uuid, _)| Some((*uuid, session.look_up(uuid).ok()?)));
    let vms = vms.collect();
    session.set_deadline(Deadline::after(CATCH_UP_TIMEOUT));
    note_names(host, &vms)
}
