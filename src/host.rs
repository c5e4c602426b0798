//! This host: its settings, its database, its VMs' locks, and in whose name XAPI is called.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::paths::Root;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::store::{DATABASE_TIMEOUT, Store, Through};
use crate::vm_lock::VmLocks;
use crate::xenapi::{self, Session, Token, XapiError};

/// In whose name XAPI is called.
#[derive(Debug, Clone)]
pub enum Caller {
    /// root on this host, who may work on the database alone if XAPI is away.
    Root,
    /// root on this host, who works on the database alone by choice: XAPI is neither asked nor told.
    RootWithoutXapi,
    /// The plugin's caller, by the session that XAPI passed on. XAPI's own roles decide what the caller may do, so nothing
    /// is changed without XAPI. The session is the caller's and is never logged out.
    Session(Token),
}

impl Caller {
    /// Connects to XAPI in the caller's name, with a timeout for all calls together.
    pub(crate) fn connect(&self, root: &Root, timeout: Duration) -> Result<Session, XapiError> {
        let deadline = Deadline::after(timeout);
        let socket = root.xapi_socket();
        match self {
            Self::Root => Session::log_in(&socket, deadline),
            Self::RootWithoutXapi => Err(XapiError::NotAsked),
            Self::Session(token) => Session::of_caller(&socket, token.clone(), deadline),
        }
    }
}

/// Another program that this library is a part of. Its signals are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// The database is not changed, and neither created nor migrated.
    pub reads_only: bool,
}

/// This host, with everything that an operation needs.
#[derive(Debug)]
pub struct Host {
    pub(crate) root: Root,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) caller: Caller,
    /// Of the operation that is carried out.
    pub(crate) progress: Arc<Progress>,
    user: Option<String>,
    guest: Option<Guest>,
    vm_locks: OnceCell<VmLocks>,
}

impl Host {
    /// Reads the settings and opens the database, creating or migrating it if needed.
    ///
    /// # Errors
    /// The settings file or the database cannot be used.
    pub fn open(root: Root, caller: Caller) -> Result<Self, Error> {
        Self::open_for(root, caller, None)
    }

    /// The same for another program, if there is one.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for(root: Root, caller: Caller, guest: Option<Guest>) -> Result<Self, Error> {
        let settings = Settings::load(&root.settings())?;
        let through = match (guest, &caller) {
            (Some(_), _) => Through::Library,
            (None, Caller::Root | Caller::RootWithoutXapi) => Through::Cli,
            (None, Caller::Session(_)) => Through::Plugin,
        };
        let store = match guest {
            Some(Guest { reads_only: true }) => Store::open_to_read(&root.database(), DATABASE_TIMEOUT)?,
            _ => Store::open_for(&root.database(), through, settings.history.get())?,
        };
        let (progress, vm_locks) = (Arc::default(), OnceCell::new());
        Ok(Self { root, settings, store, caller, progress, user: None, guest, vm_locks })
    }

    /// Whether the process is another program's.
    pub(crate) fn is_guest(&self) -> bool {
        self.guest.is_some()
    }

    /// Names the user for the history. For a plugin's caller, XAPI says who it is.
    #[must_use]
    pub fn on_behalf_of(self, user: Option<String>) -> Self {
        Self { user, ..self }
    }

    /// Lets another program see how far an operation has come.
    #[must_use]
    pub fn showing(self, progress: Arc<Progress>) -> Self {
        Self { progress, ..self }
    }

    pub(crate) fn user(&self) -> Option<String> {
        self.user.clone()
    }

    /// The locks of this host's VMs, opened at the first use: an operation that only reads can do without.
    pub(crate) fn vm_locks(&self) -> Result<&VmLocks, Error> {
        if let Some(locks) = self.vm_locks.get() {
            return Ok(locks);
        }
        let path = self.root.vm_locks();
        let locks = VmLocks::open(&path).map_err(|source| Error::File { path, source })?;
        Ok(self.vm_locks.get_or_init(|| locks))
    }

    /// Makes sure that the caller may change things, and returns who it is. Root may; a plugin's caller needs a role for
    /// it, even if nothing will be written to XAPI.
    pub(crate) fn prove_may_change(&self, session: &mut Session) -> Result<Option<String>, XapiError> {
        match self.caller {
            Caller::Root | Caller::RootWithoutXapi => Ok(self.user.clone()),
            Caller::Session(_) => {
                session.prove_pool_operator()?;
                Ok(session.user())
            }
        }
    }

    pub(crate) fn connect(&self) -> Result<Session, XapiError> {
        self.caller.connect(&self.root, xenapi::XAPI_TIMEOUT)
    }
}
