//! Finds the VM that is meant. A name means the VM that has it in XAPI now. The names in the database are from when a
//! program last read the VMs' records: since then, a VM may have been renamed, and another may have got its name.

use std::time::Duration;

use super::{Caller, Host};
use crate::deadline::Deadline;
use crate::error::{Error, NamedVm};
use crate::model::VmUuid;
use crate::request::VmSelector;
use crate::shared_copy::SharedCopy;
use crate::xenapi::{self, Session, VmRecord};

/// How long a request that only reads waits for XAPI to look up a name.
const NAME_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Meant {
    pub uuid: VmUuid,
    /// Its name in XAPI, if XAPI was asked.
    pub name: Option<String>,
    /// What the administrator should know about how it was found.
    pub note: Option<String>,
}

/// Finds the VM to change.
///
/// # Errors
/// No VM has that name, or several have it.
pub(super) fn find(host: &Host, vm: &VmSelector) -> Result<Meant, Error> {
    Finder::new(host, xenapi::XAPI_TIMEOUT).find(vm)
}

/// Finds the VMs to change, each once.
///
/// # Errors
/// As [`find`].
pub(super) fn find_all(host: &Host, vms: &[VmSelector]) -> Result<Vec<Meant>, Error> {
    Finder::new(host, xenapi::XAPI_TIMEOUT).find_all(vms)
}

/// Finds the VM to read. The timeout is shorter: nothing happens to a VM that is not meant.
///
/// # Errors
/// As [`find`].
pub(super) fn find_to_read(host: &Host, vm: &VmSelector) -> Result<Meant, Error> {
    Finder::new(host, NAME_TIMEOUT).find(vm)
}

/// The same for several VMs, each once.
///
/// # Errors
/// As [`find`].
pub(super) fn find_all_to_read(host: &Host, vms: &[VmSelector]) -> Result<Vec<Meant>, Error> {
    Finder::new(host, NAME_TIMEOUT).find_all(vms)
}

/// Looks names up in XAPI. It connects at the first name, and asks no more once XAPI was away.
struct Finder<'a> {
    host: &'a Host,
    timeout: Duration,
    connected: Option<(Session, SharedCopy)>,
    away: Option<String>,
}

impl<'a> Finder<'a> {
    fn new(host: &'a Host, timeout: Duration) -> Self {
        Self { host, timeout, connected: None, away: None }
    }

    fn find_all(&mut self, vms: &[VmSelector]) -> Result<Vec<Meant>, Error> {
        let mut found: Vec<Meant> = Vec::new();
        for vm in vms {
            let meant = self.find(vm)?;
            if !found.iter().any(|other| other.uuid == meant.uuid) {
                found.push(meant);
            }
        }
        Ok(found)
    }

    fn find(&mut self, vm: &VmSelector) -> Result<Meant, Error> {
        let name = match vm {
            VmSelector::Uuid(uuid) => return Ok(Meant { uuid: *uuid, name: None, note: None }),
            VmSelector::Name(name) => name,
        };
        if self.away.is_none() {
            match self.find_in_xapi(name) {
                // A host without its coordinator may refuse root for any reason.
                Err(Error::Xapi(away)) if away.is_away() || matches!(self.host.caller, Caller::Root) => {
                    self.away = Some(away.to_string());
                }
                found => return Ok(Meant { uuid: found?, name: Some(name.clone()), note: None }),
            }
        }
        let uuid = only_one_stored(name, &self.host.store.read().vms_named(name)?)?;
        let away = self.away.as_deref().unwrap_or_default();
        let note = format!("VM {uuid} was named '{name}' when XAPI was last asked.");
        log::warn!("{away}. {note}");
        Ok(Meant { uuid, name: None, note: Some(note) })
    }

    fn find_in_xapi(&mut self, name: &str) -> Result<VmUuid, Error> {
        if let Some((session, copy)) = &mut self.connected {
            session.set_deadline(Deadline::after(self.timeout));
            return find_in_xapi(self.host, session, copy, name);
        }
        let mut session = self.host.caller.connect(&self.host.root, self.timeout)?;
        let copy = SharedCopy::load(&mut session)?;
        let (session, copy) = self.connected.insert((session, copy));
        find_in_xapi(self.host, session, copy, name)
    }
}

/// Finds VMs to register by their names or UUIDs alone, each once. Returns the name by which it was found.
///
/// # Errors
/// XAPI is away, or no VM has that name, or several have it.
pub(super) fn find_all_new(host: &Host, vms: &[VmSelector]) -> Result<Vec<(VmUuid, Option<String>)>, Error> {
    let mut connected = None;
    let mut found: Vec<(VmUuid, Option<String>)> = Vec::new();
    for vm in vms {
        let meant = match vm {
            VmSelector::Uuid(uuid) => (*uuid, None),
            VmSelector::Name(name) => {
                let mut session = connected.take().map_or_else(|| host.connect(), Ok)?;
                session.set_deadline(Deadline::after(xenapi::XAPI_TIMEOUT));
                let uuid = find_new(&mut session, name)?;
                connected = Some(session);
                (uuid, Some(name.clone()))
            }
        };
        if !found.iter().any(|(uuid, _)| *uuid == meant.0) {
            found.push(meant);
        }
    }
    Ok(found)
}

/// The only VM with that name.
fn find_new(session: &mut Session, name: &str) -> Result<VmUuid, Error> {
    let vms: Vec<_> = session.vms_named(name)?.into_iter().filter(VmRecord::is_a_vm).collect();
    only_one(session, name, "VMs", &vms)?.ok_or_else(|| Error::NoSuchVm(name.to_owned()))
}

/// The registered VM or template with that name or, if there is none, the VM with that name.
fn find_in_xapi(host: &Host, session: &mut Session, copy: &SharedCopy, name: &str) -> Result<VmUuid, Error> {
    let (mut registered, mut others) = (Vec::new(), Vec::new());
    for record in session.vms_named(name)? {
        let Ok(uuid) = record.uuid.parse() else { continue };
        let newest = copy.newest(&uuid, host.store.read().entry(&uuid)?.as_ref());
        if newest.is_some_and(|entry| entry.settings.is_some()) {
            registered.push(record);
        } else if record.is_a_vm() {
            others.push(record);
        }
    }
    let (kind, vms) = if registered.is_empty() { ("VMs", others) } else { ("registered VMs", registered) };
    match only_one(session, name, kind, &vms)? {
        Some(uuid) => Ok(uuid),
        None => find_unknown_to_xapi(host, session, name),
    }
}

/// The registered VM with a name that no VM has in XAPI: the VM does not exist yet, or was destroyed.
fn find_unknown_to_xapi(host: &Host, session: &mut Session, name: &str) -> Result<VmUuid, Error> {
    let stored = host.store.read().vms_named(name)?;
    for uuid in &stored {
        if let Some(vm) = session.vm_by_uuid(uuid)? {
            let now = session.vm_record(&vm)?.name_label;
            return Err(Error::Renamed { name: name.to_owned(), vm_uuid: *uuid, now });
        }
    }
    only_one_stored(name, &stored)
}

/// The only one of the records, if there is one.
fn only_one(
    session: &mut Session,
    name: &str,
    kind: &'static str,
    records: &[VmRecord],
) -> Result<Option<VmUuid>, Error> {
    match records {
        [] => Ok(None),
        [record] => record.uuid.parse().map(Some).map_err(|invalid| Error::invalid("vm_uuid", invalid)),
        several => {
            let hosts = session.hosts()?;
            let vm = |record: &VmRecord| NamedVm {
                uuid: record.uuid.clone(),
                power_state: Some(record.power_state.to_lowercase()),
                host: hosts.get(record.resident_on.as_str()).map(|host| host.name_label.clone()),
            };
            Err(Error::AmbiguousName { name: name.to_owned(), kind, vms: several.iter().map(vm).collect() })
        }
    }
}

/// The only one of the VMs that have this name in the database.
fn only_one_stored(name: &str, uuids: &[VmUuid]) -> Result<VmUuid, Error> {
    match uuids {
        [] => Err(Error::NoSuchName(name.to_owned())),
        [uuid] => Ok(*uuid),
        several => {
            let vm = |uuid: &VmUuid| NamedVm { uuid: uuid.to_string(), power_state: None, host: None };
            let vms = several.iter().map(vm).collect();
            Err(Error::AmbiguousName { name: name.to_owned(), kind: "registered VMs", vms })
        }
    }
}
