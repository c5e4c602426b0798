//! The operations: one function each. The plugin, the CLI and later the C library only parse, call and print.

mod change;
mod file;
mod read;
mod scan;
mod sync;
mod write_through;

use crate::deadline::Deadline;
use crate::error::Error;
use crate::model::VmUuid;
use crate::paths::Root;
use crate::settings::Settings;
use crate::store::Store;
use crate::xenapi::{self, Session, XapiError};

pub use change::{RegisterVm, UpdateVm, register_vm, remove_vm, set_pool, set_priority, update_vm};
pub use file::{export, import};
pub use read::{
    check, count_by_pool, count_by_priority, list_pools, list_vms, list_vms_as_json, show_vm, status, version,
};
pub use scan::{adopt, scan_vms};
pub use sync::{prune, sync};

/// In whose name XAPI is spoken to.
#[derive(Debug, Clone)]
pub enum Caller {
    /// root on this host, who may work on the database alone where XAPI is away.
    Root,
    /// Whoever called the plugin, by the session that XAPI passed on: XAPI's own roles decide what may be done, so
    /// without XAPI nothing is changed. The session is the caller's and is never logged out.
    Session(String),
}

/// This host, with everything that an operation needs.
#[derive(Debug)]
pub struct Host {
    root: Root,
    settings: Settings,
    store: Store,
    caller: Caller,
}

/// Which VM is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmSelector {
    /// The one with this UUID.
    Uuid(VmUuid),
    /// The registered one with this name, if only one has it.
    Name(String),
}

impl Host {
    /// Reads the settings and opens the database, creating or migrating it where needed.
    ///
    /// # Errors
    /// The settings file or the database cannot be used.
    pub fn open(root: Root, caller: Caller) -> Result<Self, Error> {
        let settings = Settings::load(&root.settings())?;
        let store = Store::open(&root.database())?;
        Ok(Self { root, settings, store, caller })
    }

    /// Connects to XAPI in the caller's name, with a deadline for all calls together.
    fn connect(&self) -> Result<Session, XapiError> {
        let deadline = Deadline::after(xenapi::TIMEOUT);
        let socket = self.root.xapi_socket();
        match &self.caller {
            Caller::Root => Session::log_in(&socket, deadline),
            Caller::Session(token) => Session::of_caller(&socket, token.clone(), deadline),
        }
    }

    fn resolve(&self, selector: &VmSelector) -> Result<VmUuid, Error> {
        let name = match selector {
            VmSelector::Uuid(uuid) => return Ok(*uuid),
            VmSelector::Name(name) => name,
        };
        match self.store.read().vms_named(name)?.as_slice() {
            [] => Err(Error::NoSuchName(name.clone())),
            [uuid] => Ok(*uuid),
            several => Err(Error::AmbiguousName { name: name.clone(), count: several.len() }),
        }
    }
}
