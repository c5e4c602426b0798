//! Brings this host, the pool-wide copy and the VMs' records in XAPI to one state.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Host;
use crate::deadline::Deadline;
use crate::device_args::{self, PLATFORM_KEY};
use crate::error::Error;
use crate::mirror::{Comparison, Entry, MapChange, Mirror};
use crate::model::VmUuid;
use crate::reply::{LeftAlone, PruneReply, SyncReply};
use crate::store::Writing;
use crate::xenapi::{self, MapField, Reference, Session, VmRecord};

/// What an operation on the whole resource pool works with: the database held, and then everything that XAPI has.
pub(super) struct Whole<'a> {
    pub session: Session,
    pub writing: Writing<'a>,
    pub records: Vec<(Reference, VmRecord)>,
    pub mirror: Mirror,
}

impl<'a> Whole<'a> {
    /// Connects in the caller's name, who has to be allowed to change things unless nothing will be.
    pub fn begin(host: &'a Host, dry_run: bool) -> Result<Self, Error> {
        let mut session = host.connect()?;
        let user = if dry_run { None } else { host.prove_may_change(&mut session)? };
        let writing = host.store.write()?;
        writing.set_user(user);
        // However long another program held the database, XAPI has its full time.
        session.set_deadline(Deadline::after(xenapi::TIMEOUT));
        // In the order opposite to the one in which they are written: a record that is newer than the copy would seem wrong.
        let records = session.vm_records()?;
        let mirror = Mirror::load(&mut session)?;
        Ok(Self { session, writing, records, mirror })
    }
}

/// Takes over what other hosts have written, writes what they lack, and corrects the records of the VMs. A dry run says
/// what would be done and changes nothing.
///
/// # Errors
/// XAPI or the database cannot be used. What one VM's change fails with is in the reply; the others are done.
pub fn sync(host: &Host, dry_run: bool) -> Result<SyncReply, Error> {
    let Whole { mut session, writing, records, mirror } = Whole::begin(host, dry_run)?;
    let mut reply = SyncReply { dry_run, ..SyncReply::default() };
    take_over_news(&mirror, &writing, &mut reply)?;
    let records_by_uuid = records.iter().map(|(vm, record)| (record.uuid.as_str(), (vm, record))).collect();
    let work = Work { host, mirror: &mirror, records: records_by_uuid };
    let entries = writing.read().entries()?;
    for (uuid, entry) in &entries {
        if matches!(mirror.compare(uuid, None), Comparison::NotForUs(_)) {
            // Whoever wrote it knows what the VM is to have; the reply has it among those that are left alone.
            continue;
        }
        let todo = match work.changes(uuid, entry, writing.read().was_ever_pushed(uuid)?) {
            Ok(todo) => todo,
            Err(error) => {
                reply.left_alone.push(LeftAlone { vm_uuid: *uuid, why: error.to_string() });
                continue;
            }
        };
        if !dry_run && let Err(error) = make(&mut session, &todo) {
            reply.left_alone.push(LeftAlone { vm_uuid: *uuid, why: error.to_string() });
            continue;
        }
        for change in todo {
            let list = if change.map == MapField::PoolOtherConfig { &mut reply.pushed } else { &mut reply.repaired };
            list.push(*uuid);
        }
        writing.mark_pushed(uuid, work.is_known(uuid))?;
    }
    for (_, record) in &records {
        // The copy carries no names: they are for people, and XAPI has them.
        if let Ok(uuid) = record.uuid.parse() {
            writing.name_if_nameless(&uuid, &record.name_label)?;
        }
    }
    if !dry_run {
        writing.commit()?;
    }
    Ok(reply)
}

fn take_over_news(mirror: &Mirror, writing: &Writing<'_>, reply: &mut SyncReply) -> Result<(), Error> {
    for uuid in mirror.vms() {
        if let Comparison::NotForUs(error) = mirror.compare(&uuid, None) {
            reply.left_alone.push(LeftAlone { vm_uuid: uuid, why: error.to_string() });
        }
    }
    let news = mirror.news(writing.read())?;
    writing.take_over(&news)?;
    reply.taken.extend(news.entries.into_iter().map(|(uuid, _)| uuid));
    Ok(())
}

/// Forgets the settings and removals of VMs that XAPI does not know, here and in the pool-wide copy. A dry run says
/// what would be done and changes nothing.
///
/// # Errors
/// XAPI or the database cannot be used; what was forgotten until then stays forgotten.
pub fn prune(host: &Host, dry_run: bool) -> Result<PruneReply, Error> {
    let Whole { mut session, writing, records, mirror } = Whole::begin(host, dry_run)?;
    let known: HashSet<_> = records.into_iter().map(|(_, record)| record.uuid).collect();
    let here = writing.read().entries()?;
    let all: BTreeSet<_> = mirror.vms().chain(here.iter().map(|(uuid, _)| *uuid)).collect();
    let is_dead = |uuid: &VmUuid| match mirror.compare(uuid, None) {
        _ if known.contains(&uuid.to_string()) => false,
        Comparison::NotForUs(error) => {
            log::warn!("VM {uuid}: what the resource pool has of it {error}");
            false
        }
        _ => true,
    };
    let pruned: Vec<_> = all.into_iter().filter(is_dead).collect();
    if !dry_run {
        for uuid in &pruned {
            if let Some(change) = mirror.removal(uuid) {
                make(&mut session, &[change])?;
            }
            writing.forget(uuid)?;
        }
        writing.commit()?;
    }
    Ok(PruneReply { dry_run, pruned })
}

/// Makes changes that belong together: all of them, or none. They have XAPI's full time, for many may follow each other.
pub(super) fn make(session: &mut Session, changes: &[MapChange]) -> Result<(), Error> {
    session.set_deadline(Deadline::after(xenapi::TIMEOUT));
    for (made, change) in changes.iter().enumerate() {
        if let Err(error) = change.make(session) {
            // Also the one that failed: nobody knows how far it got.
            take_back(session, &changes[..=made]);
            return Err(error.into());
        }
    }
    Ok(())
}

/// Takes changes back, the last first.
pub(super) fn take_back(session: &mut Session, changes: &[MapChange]) {
    for change in changes.iter().rev() {
        session.set_deadline(Deadline::after(xenapi::TIMEOUT));
        change.take_back(session);
    }
}

struct Work<'a> {
    host: &'a Host,
    mirror: &'a Mirror,
    records: HashMap<&'a str, (&'a Reference, &'a VmRecord)>,
}

impl Work<'_> {
    fn is_known(&self, uuid: &VmUuid) -> bool {
        self.records.contains_key(uuid.to_string().as_str())
    }

    /// What XAPI lacks of what this host says of a VM.
    fn changes(&self, uuid: &VmUuid, entry: &Entry, was_told: bool) -> Result<Vec<MapChange>, Error> {
        let mut changes = Vec::new();
        if self.mirror.compare(uuid, Some(entry)) == Comparison::HostIsNewer {
            changes.extend(self.mirror.change(uuid, entry));
        }
        let Some((vm, record)) = self.records.get(uuid.to_string().as_str()) else {
            // XAPI knew of it and does not know the VM any more: it was pruned elsewhere, also where this host has changed it
            // since. One that XAPI was never told of is yet to come.
            if was_told && self.mirror.compare(uuid, None) == Comparison::Same {
                changes.clear();
            }
            return Ok(changes);
        };
        let device = &self.host.settings.device;
        let old = record.platform.get(PLATFORM_KEY).cloned();
        let found = old.as_deref().and_then(|args| device_args::find(device, args));
        // A removed VM loses the argument that it had, not one that was written by hand since.
        let is_ours = found.is_some_and(|found| found.vm_id.is_some() && found.vm_id == entry.vm_id);
        if entry.settings.is_none() && !is_ours {
            return Ok(changes);
        }
        let new = device_args::desired(device, old.as_deref(), entry.settings.as_ref())?;
        changes.extend(MapChange::of_arguments(vm, old.as_deref(), new));
        Ok(changes)
    }
}
