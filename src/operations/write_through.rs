//! XAPI's half of a change: look VMs up, write their arguments, put them back where the other half fails.

use super::{Caller, Host};
use crate::device_args::{self, PLATFORM_KEY};
use crate::error::Error;
use crate::mirror::{Comparison, Entry, MapChange, Mirror};
use crate::model::{VmSettings, VmUuid};
use crate::reply::XapiOutcome;
use crate::settings::DeviceName;
use crate::store::Writing;
use crate::xenapi::{MapField, Reference, Session, VmRecord, XapiError};

/// XAPI, for the time of one operation: asked in one session, and remembering what to put back.
pub(super) struct WriteThrough<'a> {
    session: Result<Session, XapiError>,
    may_work_without: bool,
    device: &'a DeviceName,
    mirror: Option<Mirror>,
    made: Vec<MapChange>,
}

/// A VM as XAPI has it.
pub(super) enum XapiVm {
    Known { vm: Reference, record: Box<VmRecord> },
    Unknown,
    Away,
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

    fn record(&self) -> Option<&VmRecord> {
        match self {
            Self::Known { record, .. } => Some(record),
            Self::Unknown | Self::Away => None,
        }
    }
}

impl<'a> WriteThrough<'a> {
    /// Connects in the caller's name. Root may work where XAPI is away; a plugin's caller needs a role that may change
    /// things, whether or not this change will make XAPI write anything.
    pub fn begin(host: &'a Host) -> Result<Self, Error> {
        let may_work_without = matches!(host.caller, Caller::Root);
        let connected = host.connect().and_then(|mut session| {
            if !may_work_without {
                session.prove_pool_operator()?;
            }
            let mirror = Mirror::load(&mut session)?;
            Ok((session, mirror))
        });
        let (session, mirror) = match connected {
            Err(error) if may_work_without && error.is_away() => (Err(error), None),
            connected => connected.map(|(session, mirror)| (Ok(session), Some(mirror)))?,
        };
        Ok(Self { session, may_work_without, device: &host.settings.device, mirror, made: Vec::new() })
    }

    /// Takes over what other hosts have written, so that a change is made to the newest settings and gets no number that
    /// another VM has elsewhere.
    pub fn take_over(&self, writing: &Writing<'_>) -> Result<(), Error> {
        let Some(mirror) = &self.mirror else { return Ok(()) };
        Ok(writing.take_over(&mirror.news(writing.read())?)?)
    }

    /// Writes what this host now says of a VM to the pool-wide copy.
    pub fn write_entry(&mut self, uuid: &VmUuid, entry: Option<&Entry>) -> Result<(), Error> {
        let (Some(mirror), Some(entry), Ok(session)) = (&self.mirror, entry, &mut self.session) else { return Ok(()) };
        if let Comparison::NotForUs(error) = mirror.compare(uuid, Some(entry)) {
            return Err(Error::Mirror { vm_uuid: *uuid, error });
        }
        if let Some(change) = mirror.change(uuid, entry) {
            change.make(session)?;
            self.made.push(change);
        }
        Ok(())
    }

    /// Why XAPI is away, where it is.
    pub fn away(&self) -> Option<&XapiError> {
        self.session.as_ref().err()
    }

    /// Looks a VM up.
    pub fn look_up(&mut self, uuid: &VmUuid) -> Result<XapiVm, Error> {
        let Ok(session) = &mut self.session else { return Ok(XapiVm::Away) };
        match ask(session, uuid) {
            Err(error) if error.is_away() && self.may_work_without => {
                self.session = Err(error);
                Ok(XapiVm::Away)
            }
            answer => Ok(answer?),
        }
    }

    /// Writes the arguments that a VM with these settings, or with none, is to have.
    pub fn write(&mut self, vm: &XapiVm, settings: Option<&VmSettings>) -> Result<XapiOutcome, Error> {
        let (reference, record, session) = match (vm, &mut self.session) {
            (XapiVm::Known { vm, record }, Ok(session)) => (vm, record, session),
            (XapiVm::Unknown, _) => return Ok(XapiOutcome::UnknownVm),
            (XapiVm::Away | XapiVm::Known { .. }, _) => return Ok(XapiOutcome::Away),
        };
        let old = record.platform.get(PLATFORM_KEY).cloned();
        let new = device_args::desired(self.device, old.as_deref(), settings)?;
        if old == new {
            return Ok(XapiOutcome::AlreadyRight);
        }
        let (map, object, key) = (MapField::VmPlatform, reference.clone(), PLATFORM_KEY.to_owned());
        let change = MapChange { map, object, key, old, new };
        change.make(session)?;
        self.made.push(change);
        Ok(XapiOutcome::Written)
    }

    /// Puts back everything that was written, the last first.
    pub fn undo(&mut self) {
        let Ok(session) = &mut self.session else { return };
        while let Some(change) = self.made.pop() {
            change.take_back(session);
        }
    }
}

fn ask(session: &mut Session, uuid: &VmUuid) -> Result<XapiVm, XapiError> {
    let Some(vm) = session.vm_by_uuid(uuid)? else { return Ok(XapiVm::Unknown) };
    let record = Box::new(session.vm_record(&vm)?);
    Ok(XapiVm::Known { vm, record })
}
