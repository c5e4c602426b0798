//! This host, for a program that stays: the database is open between requests, and what others change is noticed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::ThisHost;
use crate::error::Error;
use crate::store::Events;

/// This host, with the database open between requests.
#[derive(Debug)]
pub struct Resident {
    host: ThisHost,
    generation: u64,
    /// [`crate::store::Store::data_version`] of the open database.
    seen: Option<i64>,
    events: Option<Events>,
}

impl Resident {
    #[must_use]
    pub fn new(host: ThisHost) -> Self {
        Self { host, generation: 1, seen: None, events: None }
    }

    /// The host with the database that is in its place now: a restored backup or a recovered database is another file.
    pub fn host(&mut self) -> &ThisHost {
        if self.host.is_replaced() {
            self.close();
        }
        &self.host
    }

    /// Closes the database; the next request opens it again.
    pub fn close(&mut self) {
        self.host.close();
        self.generation += 1;
        self.seen = None;
    }

    /// A number that becomes larger when the database has changed since the last call: through any program, and also if the file
    /// was replaced. Changes that leave the settings as they are count too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn generation(&mut self) -> Result<u64, Error> {
        if let Some(events) = &self.events {
            events.take().map_err(|source| self.unwatchable(source))?;
        }
        let version = self.host().host()?.store.data_version()?;
        if self.seen.replace(version).is_some_and(|seen| seen != version) {
            self.generation += 1;
        }
        Ok(self.generation)
    }

    /// A descriptor that becomes readable when the database may have changed, until [`Self::generation`] is called. It stays
    /// this program's, and the same.
    ///
    /// # Errors
    /// The database's folder cannot be watched.
    pub fn descriptor(&mut self) -> Result<BorrowedFd<'_>, Error> {
        if self.events.is_none() {
            let events = Events::of(&self.host.root().database());
            self.events = Some(events.map_err(|source| self.unwatchable(source))?);
        }
        self.events.as_ref().map(AsFd::as_fd).ok_or_else(|| Error::Internal("there are no events".to_owned()))
    }

    fn unwatchable(&self, source: io::Error) -> Error {
        Error::File { path: self.host.root().database(), source }
    }
}
