//! XAPI's half of a change: look VMs up, write their arguments, put them back where the other half fails.

use super::{Caller, Host};
use crate::deadline::Deadline;
use crate::device_args::{self, PLATFORM_KEY};
use crate::error::Error;
use crate::mirror::{Comparison, Entry, MapChange, Mirror};
use crate::model::VmUuid;
use crate::reply::XapiOutcome;
use crate::store::Writing;
use crate::xenapi::{self, Reference, Session, VmRecord, XapiError};

/// XAPI, for the time of one operation: asked in one session, and remembering what to put back.
pub(super) struct WriteThrough<'a> {
    host: &'a Host,
    session: Result<Session, XapiError>,
    may_work_without: bool,
    mirror: Option<Mirror>,
    user: Option<String>,
    made: Vec<MapChange>,
}

/// A VM as XAPI has it.
pub(super) enum XapiVm {
    Known { vm: Reference, record: Box<VmRecord> },
    Unknown,
    Away,
}

/// What XAPI is to be told of a VM, and what that comes to.
pub(super) struct Plan {
    changes: Vec<MapChange>,
    outcome: XapiOutcome,
}

impl XapiVm {
    /// The VM's name.
    pub fn name(&self) -> Option<&str> {
        self.record().map(|record| record.name_label.as_str())
    }

    /// The VM's power state.
    pub fn power_state(&self) -> Option<&str> {
        self.record().map(|record| record.power_state.as_str())
    }

    /// Whether it is a template, which never starts.
    pub fn is_template(&self) -> bool {
        self.record().is_some_and(|record| record.is_a_template)
    }

    fn record(&self) -> Option<&VmRecord> {
        match self {
            Self::Known { record, .. } => Some(record),
            Self::Unknown | Self::Away => None,
        }
    }
}

impl<'a> WriteThrough<'a> {
    /// Connects in the caller's name. Root may work where XAPI lets nobody in; a plugin's caller needs a role that may
    /// change things, whether or not this change will make XAPI write anything; a dry run needs none.
    pub fn begin(host: &'a Host, dry_run: bool) -> Result<Self, Error> {
        let may_work_without = matches!(host.caller, Caller::Root);
        let connected = host.connect().and_then(|mut session| {
            let user = if dry_run { None } else { host.prove_may_change(&mut session)? };
            Ok((session, user))
        });
        let (session, user) = match connected {
            // A host without its coordinator refuses root with whatever it believes to be the reason.
            Err(error) if may_work_without => (Err(error), host.user.clone()),
            connected => connected.map(|(session, user)| (Ok(session), user))?,
        };
        Ok(Self { host, session, may_work_without, mirror: None, user, made: Vec::new() })
    }

    /// Begins the change in the database. What is asked of XAPI from now on stays true until the change is committed, as far
    /// as this host is concerned.
    pub fn write_to_database(&mut self) -> Result<Writing<'a>, Error> {
        let writing = self.host.store.write()?;
        writing.set_user(self.user.clone());
        // However long another program held the database, XAPI has its full time.
        self.begin_wait();
        Ok(writing)
    }

    /// Takes over what other hosts have written, so that a change is made to the newest settings and gets no number that
    /// another VM has elsewhere. They write this first and the VM's record then, so the record is to be read before this:
    /// a record that is newer than what is taken over would be taken for a wrong one.
    pub fn take_over(&mut self, writing: &Writing<'_>) -> Result<(), Error> {
        let Ok(session) = &mut self.session else { return Ok(()) };
        match Mirror::load(session) {
            Ok(mirror) => {
                writing.take_over(&mirror.news(writing.read())?)?;
                self.mirror = Some(mirror);
                Ok(())
            }
            Err(error) if error.is_away() && self.may_work_without => {
                self.session = Err(error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets the calls that follow have XAPI's full time: a file may change a thousand VMs.
    fn begin_wait(&mut self) {
        if let Ok(session) = &mut self.session {
            session.set_deadline(Deadline::after(xenapi::TIMEOUT));
        }
    }

    /// What XAPI is to be told of a VM: the entry in the pool-wide copy, then its arguments. Whatever can be refused without
    /// asking XAPI is refused here, before anything is written: what other hosts have read cannot be taken back from them.
    pub fn plan(&self, uuid: &VmUuid, entry: Option<&Entry>, vm: &XapiVm) -> Result<Plan, Error> {
        let (Some(mirror), Ok(_)) = (&self.mirror, &self.session) else {
            return Ok(Plan { changes: Vec::new(), outcome: XapiOutcome::Away });
        };
        let mut changes = Vec::new();
        if let Some(entry) = entry {
            if let Comparison::NotForUs(error) = mirror.compare(uuid, Some(entry)) {
                return Err(Error::Mirror { vm_uuid: *uuid, error });
            }
            changes.extend(mirror.change(uuid, entry));
        }
        let (reference, record) = match vm {
            XapiVm::Known { vm, record } => (vm, record),
            XapiVm::Unknown => return Ok(Plan { changes, outcome: XapiOutcome::UnknownVm }),
            XapiVm::Away => return Ok(Plan { changes, outcome: XapiOutcome::Away }),
        };
        let settings = entry.and_then(|entry| entry.settings);
        let old = record.platform.get(PLATFORM_KEY).cloned();
        let new = device_args::desired(&self.host.settings.device, old.as_deref(), settings.as_ref())?;
        let change = MapChange::of_arguments(reference, old.as_deref(), new);
        let outcome = if change.is_some() { XapiOutcome::Written } else { XapiOutcome::AlreadyRight };
        changes.extend(change);
        Ok(Plan { changes, outcome })
    }

    /// Writes what was planned.
    pub fn write(&mut self, plan: Plan) -> Result<XapiOutcome, Error> {
        self.begin_wait();
        for change in plan.changes {
            let Ok(session) = &mut self.session else { return Ok(XapiOutcome::Away) };
            // Also where it fails: nobody knows how far it got.
            self.made.push(change.clone());
            change.make(session)?;
        }
        Ok(plan.outcome)
    }

    /// Why XAPI is away, where it is.
    pub fn away(&self) -> Option<&XapiError> {
        self.session.as_ref().err()
    }

    /// Looks a VM up.
    pub fn look_up(&mut self, uuid: &VmUuid) -> Result<XapiVm, Error> {
        self.begin_wait();
        let Ok(session) = &mut self.session else { return Ok(XapiVm::Away) };
        match ask(session, uuid) {
            Err(error) if error.is_away() && self.may_work_without => {
                self.session = Err(error);
                Ok(XapiVm::Away)
            }
            answer => Ok(answer?),
        }
    }

    /// Puts back everything that was written, the last first.
    pub fn undo(&mut self) {
        while let Some(change) = self.made.pop() {
            // What made it necessary may be that the time was up.
            self.begin_wait();
            if let Ok(session) = &mut self.session {
                change.take_back(session);
            }
        }
    }
}

fn ask(session: &mut Session, uuid: &VmUuid) -> Result<XapiVm, XapiError> {
    let Some(vm) = session.vm_by_uuid(uuid)? else { return Ok(XapiVm::Unknown) };
    let record = Box::new(session.vm_record(&vm)?);
    Ok(XapiVm::Known { vm, record })
}
