//! Makes a change in XAPI and in this host's database: all of it, or nothing.
//!
//! ```text
//!   lock the VM ── look ── rehearse the change in the database ── plan ── write XAPI ── write the database
//!                                                                            └── or put XAPI back ──┘
//! ```
//!
//! Slow steps do not hold the database: it is held for milliseconds, so no VM's start waits for another program's XAPI
//! calls. The VM's lock ([`crate::vm_lock`]) keeps two programs from changing the same VM at the same time. An sqlite3
//! shell takes no lock: if a row has changed meanwhile, everything is put back and tried again.

mod attempt;
mod scope;
mod signals;
mod take_over;
mod write;

use std::collections::HashMap;

use crate::contact;
use crate::deadline::Deadline;
use crate::entry::News;
use crate::error::Error;
use crate::host::{Caller, Host};
use crate::model::VmUuid;
use crate::reply::XapiOutcome;
use crate::shared_copy::SharedCopy;
use crate::store::{Store, Writing};
use crate::vm_lock::{LockedVms, VM_LOCK_TIMEOUT};
use crate::xenapi::{self, MapChange, Session, XapiError, XapiVm};

pub use scope::Scope;
pub use signals::HeldSignals;
pub use take_over::{take_over, take_over_all};
pub use write::{Pace, put_back, write};

use attempt::gpu_entries;

/// How often a change is tried if its row is edited by hand meanwhile.
const ROUNDS: usize = 3;

/// XAPI and this host's database, for one operation.
pub struct Transaction<'a> {
    host: &'a Host,
    session: Result<Session, XapiError>,
    may_work_without: bool,
    user: Option<String>,
    shared: Option<SharedCopy>,
}

/// VMs as XAPI has them.
pub type Vms = HashMap<VmUuid, XapiVm>;

/// A change of the database.
pub type Change<'c, T> = dyn Fn(&Writing<'_>, &Vms) -> Result<T, Error> + 'c;

/// What XAPI was told of each VM.
pub type Told = Vec<(VmUuid, XapiOutcome)>;

/// The result of a change.
pub struct Changed<T> {
    /// What the change itself returned.
    pub value: T,
    pub told: Told,
    /// What XAPI was told of the GPU pools.
    pub gpu_pools_told: XapiOutcome,
    /// The VMs as XAPI had them before.
    pub vms: Vms,
}

impl<'a> Transaction<'a> {
    /// Connects in the caller's name. Root may work even if XAPI refuses everybody. A plugin's caller needs a role that may
    /// change things, even if this change writes nothing to XAPI; a dry run needs none.
    ///
    /// # Errors
    /// XAPI is away, or refuses.
    pub fn begin(host: &'a Host, dry_run: bool) -> Result<Self, Error> {
        let may_work_without = matches!(host.caller, Caller::Root | Caller::RootWithoutXapi);
        let connected = Self::connect(host, dry_run);
        let (session, user) = match connected {
            // A host without its coordinator may refuse root for any reason.
            Err(error) if may_work_without => (Err(error), host.user()),
            connected => connected.map(|(session, user)| (Ok(session), user))?,
        };
        Ok(Self { host, session, may_work_without, user, shared: None })
    }

    /// The same for an operation that needs XAPI.
    ///
    /// # Errors
    /// XAPI is away, or refuses.
    pub fn begin_with_xapi(host: &'a Host, dry_run: bool) -> Result<Self, Error> {
        let (session, user) = Self::connect(host, dry_run)?;
        Ok(Self { host, session: Ok(session), may_work_without: false, user, shared: None })
    }

    fn connect(host: &Host, dry_run: bool) -> Result<(Session, Option<String>), XapiError> {
        let mut session = host.connect()?;
        let user = if dry_run { None } else { host.prove_may_change(&mut session)? };
        Ok((session, user))
    }

    /// Whether root asks: here, or through the plugin.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn is_roots(&mut self) -> Result<bool, Error> {
        match self.host.caller {
            Caller::Root | Caller::RootWithoutXapi => Ok(true),
            Caller::Session(_) => Ok(self.ask(Session::is_local_superuser)?.unwrap_or_default()),
        }
    }

    /// Why XAPI is away; `None` if it is not.
    pub fn away(&self) -> Option<&XapiError> {
        self.session.as_ref().err()
    }

    /// The shared copy, if it was read.
    pub fn shared(&self) -> Option<&SharedCopy> {
        self.shared.as_ref()
    }

    /// Keeps other programs of this host from changing these VMs and, if they are in the scope, the GPU pools.
    ///
    /// # Errors
    /// Another program has locked one of them for longer than [`VM_LOCK_TIMEOUT`].
    pub fn lock(&self, scope: Scope<'_>) -> Result<LockedVms<'a>, Error> {
        Ok(self.host.vm_locks()?.lock(scope.locks(), Deadline::after(VM_LOCK_TIMEOUT))?)
    }

    /// Calls XAPI with the full timeout; `None` if it is away and the caller may work without it.
    ///
    /// # Errors
    /// XAPI refuses, or is away and is needed.
    pub fn ask<T>(&mut self, call: impl FnOnce(&mut Session) -> Result<T, XapiError>) -> Result<Option<T>, Error> {
        let Ok(session) = &mut self.session else { return Ok(None) };
        session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
        match call(session) {
            Err(error) if error.is_away() && self.may_work_without => {
                self.session = Err(error);
                Ok(None)
            }
            answer => Ok(Some(answer?)),
        }
    }

    /// Looks up one VM.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn look_up(&mut self, uuid: &VmUuid) -> Result<XapiVm, Error> {
        Ok(self.ask(|session| session.look_up(uuid))?.unwrap_or(XapiVm::Away))
    }

    /// Looks up all VMs in one call.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn look_all_up(&mut self) -> Result<Vms, Error> {
        let records = self.ask(Session::vm_records)?.unwrap_or_default();
        let known = |(vm, record): (_, xenapi::VmRecord)| {
            Some((record.uuid.parse().ok()?, XapiVm::Known { vm, record: Box::new(record) }))
        };
        Ok(records.into_iter().filter_map(known).collect())
    }

    /// Looks up these VMs, and maybe others.
    fn look_these_up(&mut self, vms: &[VmUuid]) -> Result<Vms, Error> {
        match vms {
            [] => return Ok(HashMap::new()),
            [one] => return Ok(HashMap::from([(*one, self.look_up(one)?)])),
            _ => {}
        }
        let mut known = self.look_all_up()?;
        for uuid in vms {
            let absent = if self.session.is_ok() { XapiVm::Unknown } else { XapiVm::Away };
            known.entry(*uuid).or_insert(absent);
        }
        Ok(known)
    }

    /// Reads the shared copy. Look up VMs before: other hosts write a VM's record after the shared copy, and a record that
    /// is newer than it would seem wrong.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn read_shared(&mut self) -> Result<(), Error> {
        self.shared = self.ask(SharedCopy::load)?;
        Ok(())
    }

    /// Takes over what other hosts have written: into this host's database or, for a dry run, into a copy of it.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn take_over_into(&self, store: &Store, is_copy: bool) -> Result<News, Error> {
        match &self.shared {
            None => Ok(News::default()),
            Some(shared) if is_copy => take_over_all(store, shared),
            Some(shared) => {
                let news = take_over(store, shared, self.host.vm_locks()?, Scope::default())?;
                contact::note(&self.host.root);
                Ok(news)
            }
        }
    }

    /// Changes VMs and GPU pools: all of them, or none. `change` runs twice: once to see its effect, and once for good. VMs that it does
    /// not change are written to XAPI only if `all` is set.
    ///
    /// # Errors
    /// `change` fails, XAPI refuses, or the database cannot be written; nothing has changed then.
    pub fn change<T>(&mut self, scope: Scope<'_>, all: bool, change: &Change<'_, T>) -> Result<Changed<T>, Error> {
        let _locked = self.lock(scope)?;
        for _ in 0..ROUNDS {
            let known = self.look_again(scope)?;
            if let Some(changed) = self.attempt(scope, all, known, change)? {
                return Ok(changed);
            }
        }
        Err(Error::Contended)
    }

    /// Changes everything in the scope, or says what would be changed.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn change_or_rehearse<T>(
        &mut self,
        scope: Scope<'_>,
        dry_run: bool,
        change: &Change<'_, T>,
    ) -> Result<Changed<T>, Error> {
        if dry_run { self.rehearse_change(scope, change) } else { self.change(scope, true, change) }
    }

    /// In a copy of the database: what would be changed, and what XAPI would be told.
    fn rehearse_change<T>(&mut self, scope: Scope<'_>, change: &Change<'_, T>) -> Result<Changed<T>, Error> {
        let known = self.look_these_up(scope.vms)?;
        self.read_shared()?;
        let copy = self.host.store.copy_in_memory()?;
        self.take_over_into(&copy, true)?;
        let writing = copy.write()?;
        let before = gpu_entries(&writing, scope)?;
        let value = change(&writing, &known)?;
        let plans = self.gpu_plans(&writing, &before, &gpu_entries(&writing, scope)?)?;
        let told = |uuid: &VmUuid| {
            let plan = self.plan(uuid, writing.read().entry(uuid)?.as_ref(), self.vm(&known, uuid))?;
            Ok((*uuid, plan.outcome))
        };
        let told = scope.vms.iter().map(told).collect::<Result<_, Error>>()?;
        Ok(Changed { value, told, gpu_pools_told: self.told_of_gpu_pools(&plans), vms: known })
    }

    /// Makes a change in a copy of the database, and checks whether XAPI could be told of it.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn try_out<T>(
        &self,
        copy: &Store,
        known: &Vms,
        uuid: &VmUuid,
        change: &dyn Fn(&Writing<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let writing = copy.write()?;
        let value = change(&writing)?;
        self.plan(uuid, writing.read().entry(uuid)?.as_ref(), self.vm(known, uuid))?;
        writing.commit()?;
        Ok(value)
    }

    /// Looks up locked VMs and takes over what other hosts have written: what was read before they were locked may be old.
    ///
    /// # Errors
    /// As [`Self::ask`], or the database cannot be written.
    pub fn look_again(&mut self, locked: Scope<'_>) -> Result<Vms, Error> {
        let known = self.look_these_up(locked.vms)?;
        self.read_shared()?;
        if let Some(shared) = &self.shared {
            take_over(&self.host.store, shared, self.host.vm_locks()?, locked)?;
            contact::note(&self.host.root);
        }
        Ok(known)
    }

    /// Writes one VM's changes.
    ///
    /// # Errors
    /// As [`Self::ask`]; what was written is put back.
    pub fn write_to_xapi(&mut self, changes: &[MapChange]) -> Result<(), Error> {
        self.ask(|session| write(session, changes, &Pace::full()))?;
        Ok(())
    }
}
