//! What every place says of every VM, and which changes whoever said it knew: from that follows what may be left in the end.
//!
//! Every change is an event. A place (a host's database, XAPI's, a host's copy of XAPI's) knows an event if what it says
//! of the VM was made by it, or in knowledge of it. What was changed knowingly must never come back: in the end a VM has
//! the settings of an event that no acknowledged change knew, or of that change itself.

use std::collections::{BTreeMap, BTreeSet};

use vgpu_config::entry::Entry;
use vgpu_config::model::VmUuid;

use super::step::{HOSTS, Settings};

/// What one place says of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// Its revision.
    pub revision: i64,
    /// When that was, in seconds.
    pub changed_at: i64,
    /// Its settings; none where it was removed.
    pub settings: Option<Settings>,
}

impl From<&Entry> for Said {
    fn from(entry: &Entry) -> Self {
        let settings = entry.settings.map(|settings| (settings.pool, settings.priority));
        Self { revision: entry.revision, changed_at: entry.changed_at, settings }
    }
}

/// What one place says of all VMs.
pub type Says = BTreeMap<VmUuid, Said>;

/// Events by their numbers.
type Known = BTreeMap<VmUuid, BTreeSet<usize>>;

/// A database, and what whoever wrote it knew.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// What it says.
    pub says: Says,
    known: Known,
}

impl Place {
    fn learn(&mut self, vm: VmUuid, events: impl IntoIterator<Item = usize>) {
        self.known.entry(vm).or_default().extend(events);
    }

    fn knows(&self, vm: &VmUuid) -> BTreeSet<usize> {
        self.known.get(vm).cloned().unwrap_or_default()
    }
}

/// A change of a VM's settings, whoever made it.
#[derive(Debug, Clone)]
struct Change {
    vm: VmUuid,
    said: Said,
    /// What the one who made it was told of: `None` if that one was told that it failed, or nothing.
    acknowledged: Option<BTreeSet<usize>>,
    /// Whether it was an edit by hand, which gets another revision when it is made again.
    by_hand: bool,
}

/// What a step did, as far as whoever took it was told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// XAPI was certainly asked what other hosts have written.
    pub met_xapi: bool,
    /// It was an edit by hand.
    pub by_hand: bool,
    /// These VMs have these settings now.
    pub acknowledged: Vec<(VmUuid, Option<Settings>)>,
}

/// All places, and all changes.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    /// The hosts' databases.
    pub hosts: [Place; HOSTS],
    /// XAPI's database.
    pub replica: Place,
    /// The hosts' copies of it.
    copies: [Place; HOSTS],
    changes: Vec<Change>,
    /// VMs of which something was forgotten on purpose.
    forgotten: BTreeSet<VmUuid>,
    /// The rows that were edited by hand and that no program has changed or told XAPI since.
    edited: [BTreeMap<VmUuid, HandEdit>; HOSTS],
}

/// An edit of a row by hand, or several in a row.
#[derive(Debug, Clone, Copy)]
struct HandEdit {
    /// What the row had before.
    before: Option<Settings>,
    /// The revision that the host had told XAPI.
    told: i64,
    /// Whether a program may have begun to tell XAPI of it: it is not made again then.
    may_be_told: bool,
}

impl Ledger {
    /// A host has copied XAPI's database.
    pub fn copied(&mut self, host: usize) {
        self.copies[host] = self.replica.clone();
    }

    /// Another host has become the coordinator.
    pub fn failed_over(&mut self, from: usize, to: usize) {
        if from != to {
            self.copies[from] = std::mem::replace(&mut self.replica, self.copies[to].clone());
        }
    }

    /// VMs were pruned: whatever was said of them may be lost.
    pub fn forgot(&mut self, vms: impl IntoIterator<Item = VmUuid>) {
        self.forgotten.extend(vms);
    }

    /// Somebody is about to edit a VM's row by hand.
    pub fn edits(&mut self, host: usize, vm: VmUuid, told: i64) {
        let before = self.hosts[host].says.get(&vm).and_then(|said| said.settings);
        self.edited[host].entry(vm).or_insert(HandEdit { before, told, may_be_told: false });
    }

    /// Notes what a step has changed on a host and in XAPI, and checks what holds after every step.
    pub fn observe(&mut self, host: usize, says: Says, replica: Says, told: &Told) -> Result<(), String> {
        let (before, replica_before) = (self.hosts[host].clone(), self.replica.clone());
        if let Some(vm) = before.says.keys().find(|vm| !says.contains_key(vm) && !self.forgotten.contains(vm)) {
            return Err(format!("host {host} has forgotten {vm}"));
        }
        let place = &mut self.hosts[host];
        if told.met_xapi {
            for (vm, known) in &replica_before.known {
                place.learn(*vm, known.iter().copied());
            }
        }
        for (vm, said) in &says {
            let claimed = told.acknowledged.iter().find(|(claimed, _)| claimed == vm);
            if let Some((_, settings)) = claimed.filter(|(_, settings)| *settings != said.settings) {
                return Err(format!("host {host} has acknowledged {settings:?} for {vm} and says {said:?}"));
            }
            // An edit by hand that says no more than what another has written gives way to it.
            let may_go_back = self.edited[host].contains_key(vm);
            if !may_go_back && before.says.get(vm).is_some_and(|before| before > said) {
                return Err(format!("host {host} went back from {:?} to {said:?} for {vm}", before.says[vm]));
            }
            let is_new = before.says.get(vm) != Some(said);
            if is_new && claimed.is_none() && replica_before.says.get(vm) == Some(said) {
                place.learn(*vm, replica_before.knows(vm));
            } else if is_new || claimed.is_some() {
                let knew = place.knows(vm);
                place.learn(*vm, [self.changes.len()]);
                self.changes.push(Change {
                    vm: *vm,
                    said: *said,
                    acknowledged: claimed.map(|_| knew),
                    by_hand: told.by_hand,
                });
            }
        }
        place.says = says;
        self.observe_replica(host, replica, &replica_before)?;
        self.observe_edits(host, &before.says, &replica_before.says, told);
        Ok(())
    }

    /// What becomes of the edits by hand: one that is made again to what another host has written is an edit of that.
    fn observe_edits(&mut self, host: usize, before: &Says, shared: &Says, told: &Told) {
        let (now, replica) = (&self.hosts[host].says, &self.replica.says);
        self.edited[host].retain(|vm, edit| {
            let is_claimed = told.acknowledged.iter().any(|(claimed, _)| claimed == vm);
            if is_claimed && told.by_hand {
                return true;
            }
            edit.may_be_told |= !told.met_xapi;
            if now.get(vm) == replica.get(vm) {
                return false;
            }
            if now.get(vm) == before.get(vm) {
                return true;
            }
            if let Some(shared) = shared.get(vm) {
                (edit.before, edit.told) = (shared.settings, shared.revision);
            }
            !is_claimed && shared.contains_key(vm)
        });
    }

    /// Whether it is certain what the newest of a VM is on a host.
    pub fn is_certain(&self, host: usize, vm: &VmUuid) -> bool {
        self.edited[host].get(vm).is_none_or(|edit| !edit.may_be_told)
    }

    fn observe_replica(&mut self, host: usize, replica: Says, before: &Place) -> Result<(), String> {
        let place = &self.hosts[host];
        for vm in before.says.keys().filter(|vm| !replica.contains_key(vm)) {
            self.replica.known.remove(vm);
        }
        for (vm, said) in replica.iter().filter(|(vm, said)| before.says.get(vm) != Some(said)) {
            if before.says.get(vm).is_some_and(|before| before > said) {
                return Err(format!("host {host} has written {said:?} over {:?} for {vm}", before.says[vm]));
            }
            self.replica.learn(*vm, place.knows(vm));
            if place.says.get(vm) != Some(said) {
                // It was written and not committed.
                self.replica.learn(*vm, [self.changes.len()]);
                self.changes.push(Change { vm: *vm, said: *said, acknowledged: None, by_hand: false });
            }
        }
        self.replica.says = replica;
        Ok(())
    }

    /// The newest of what two places say of a VM. What was edited by hand is made to the newest that another has written.
    pub fn newest(&self, host: usize, vm: &VmUuid) -> Option<Said> {
        let (here, shared) = (self.hosts[host].says.get(vm).copied(), self.replica.says.get(vm).copied());
        match (here, shared, self.edited[host].get(vm)) {
            (Some(here), Some(shared), Some(edit)) if shared.revision > edit.told => {
                let settings = edited(edit.before, here.settings, shared.settings);
                Some(if settings == shared.settings {
                    shared
                } else {
                    Said { revision: shared.revision + 1, settings, ..here }
                })
            }
            _ => here.max(shared),
        }
    }

    /// Whether a VM may have in the end what it has.
    pub fn judge(&self, vm: &VmUuid, end: Option<Said>) -> Result<(), String> {
        if self.forgotten.contains(vm) {
            return Ok(());
        }
        let changes = || self.changes.iter().enumerate().filter(|(_, change)| change.vm == *vm);
        for (number, change) in changes() {
            let Some(knew) = &change.acknowledged else { continue };
            let Some(end) = end else { return Err(format!("{vm}: {change:?} is lost, nothing is left")) };
            let may_be = |(other, event): (usize, &Change)| {
                event.said.settings == end.settings && (other == number || !knew.contains(&other))
            };
            if !changes().any(may_be) {
                return Err(format!("{vm}: {:?} was acknowledged and is lost, {end:?} is left", change.said));
            }
            if end.revision < change.said.revision && !change.by_hand {
                return Err(format!("{vm}: {:?} was acknowledged, {end:?} counts less", change.said));
            }
        }
        Ok(())
    }
}

/// What an edit of a row makes of the settings that another has written.
fn edited(before: Option<Settings>, here: Option<Settings>, shared: Option<Settings>) -> Option<Settings> {
    let (Some(here), Some(before), Some(shared)) = (here, before, shared) else { return here };
    let pool = if here.0 == before.0 { shared.0 } else { here.0 };
    let priority = if here.1 == before.1 { shared.1 } else { here.1 };
    Some((pool, priority))
}
