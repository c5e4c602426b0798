//! This host: its settings, its database, its VMs' locks, and in whose name XAPI is asked.

use std::cell::OnceCell;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::paths::Root;
use crate::settings::Settings;
use crate::store::{Store, Through};
use crate::vm_lock::VmLocks;
use crate::xenapi::{self, Session, Token, XapiError};

/// In whose name XAPI is spoken to.
#[derive(Debug, Clone)]
pub enum Caller {
    /// root on this host, who may work on the database alone where XAPI is away.
    Root,
    /// Whoever called the plugin, by the session that XAPI passed on: XAPI's own roles decide what may be done, so
    /// without XAPI nothing is changed. The session is the caller's and is never logged out.
    Session(Token),
}

impl Caller {
    /// Connects to XAPI in the caller's name, with a timeout for all calls together.
    pub(crate) fn connect(&self, root: &Root, timeout: Duration) -> Result<Session, XapiError> {
        let deadline = Deadline::after(timeout);
        let socket = root.xapi_socket();
        match self {
            Self::Root => Session::log_in(&socket, deadline),
            Self::Session(token) => Session::of_caller(&socket, token.clone(), deadline),
        }
    }
}

/// This host, with everything that an operation needs.
#[derive(Debug)]
pub struct Host {
    pub(crate) root: Root,
    pub(crate) settings: Settings,
    pub(crate) store: Store,
    pub(crate) caller: Caller,
    user: Option<String>,
    vm_locks: OnceCell<VmLocks>,
}

impl Host {
    /// Reads the settings and opens the database, creating or migrating it where needed.
    ///
    /// # Errors
    /// The settings file or the database cannot be used.
    pub fn open(root: Root, caller: Caller) -> Result<Self, Error> {
        let settings = Settings::load(&root.settings())?;
        let through = match caller {
            Caller::Root => Through::Cli,
            Caller::Session(_) => Through::Plugin,
        };
        let store = Store::open_for(&root.database(), through, settings.history.get())?;
        Ok(Self { root, settings, store, caller, user: None, vm_locks: OnceCell::new() })
    }

    /// Says who is at the keyboard, for the history. Of a plugin's caller XAPI says who it is.
    #[must_use]
    pub fn on_behalf_of(self, user: Option<String>) -> Self {
        Self { user, ..self }
    }

    pub(crate) fn user(&self) -> Option<String> {
        self.user.clone()
    }

    /// The locks of this host's VMs, opened when they are first needed: whoever only reads does without.
    pub(crate) fn vm_locks(&self) -> Result<&VmLocks, Error> {
        if let Some(locks) = self.vm_locks.get() {
            return Ok(locks);
        }
        let path = self.root.vm_locks();
        let locks = VmLocks::open(&path).map_err(|source| Error::File { path, source })?;
        Ok(self.vm_locks.get_or_init(|| locks))
    }

    /// Makes sure that the caller may change things, and says who it is: root may, and a plugin's caller who has a role
    /// for it, whether or not XAPI will be written to.
    pub(crate) fn prove_may_change(&self, session: &mut Session) -> Result<Option<String>, XapiError> {
        match self.caller {
            Caller::Root => Ok(self.user.clone()),
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
