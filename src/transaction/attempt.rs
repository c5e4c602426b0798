//! One attempt at a change: rehearse it, plan, write XAPI, write the database; or put XAPI back.

use super::{Change, HeldSignals, Pace, Told, Transaction, Vms, put_back, write};
use crate::entry::Entry;
use crate::error::Error;
use crate::model::VmUuid;
use crate::plan::{Goal, Known, Plan, Unwanted, plan};
use crate::reply::XapiOutcome;
use crate::store::Writing;
use crate::xenapi::{MapChange, XapiVm};

/// The VMs' entries before and after a change that was only tried out.
struct Rehearsal {
    before: Vec<Option<Entry>>,
    after: Vec<Option<Entry>>,
}

impl Transaction<'_> {
    /// One round of a change; `None` if a row was edited meanwhile.
    pub(super) fn attempt<T>(
        &mut self,
        vms: &[VmUuid],
        all: bool,
        known: &Vms,
        change: &Change<'_, T>,
    ) -> Result<Option<(T, Told)>, Error> {
        let rehearsal = self.rehearse(vms, known, change)?;
        let plans = self.plans(vms, known, &rehearsal, all)?;
        let signals = HeldSignals::hold(self.host);
        let made = self.write(&plans, &signals)?;
        let committed = self.commit(vms, known, &rehearsal, &plans, change);
        if !matches!(committed, Ok(Some(_))) {
            self.put_back(&made);
        } else if let Some(shared) = &mut self.shared {
            for change in &made {
                shared.apply(change);
            }
        }
        let told = plans.into_iter().map(|(uuid, plan)| (uuid, plan.outcome)).collect();
        Ok(committed?.map(|value| (value, told)))
    }

    fn rehearse<T>(&self, vms: &[VmUuid], known: &Vms, change: &Change<'_, T>) -> Result<Rehearsal, Error> {
        // Dropped without a commit.
        let writing = self.host.store.write()?;
        let before = entries(&writing, vms)?;
        change(&writing, known)?;
        Ok(Rehearsal { before, after: entries(&writing, vms)? })
    }

    fn plans(
        &self,
        vms: &[VmUuid],
        known: &Vms,
        rehearsal: &Rehearsal,
        all: bool,
    ) -> Result<Vec<(VmUuid, Plan)>, Error> {
        let changed = vms.iter().zip(rehearsal.before.iter().zip(&rehearsal.after));
        changed
            .filter(|(_, (before, after))| all || before != after)
            .map(|(uuid, (_, after))| Ok((*uuid, self.plan(uuid, after.as_ref(), self.vm(known, uuid))?)))
            .collect()
    }

    /// A VM that was not found is unknown; if XAPI is away, nothing is known of it.
    pub(super) fn vm<'k>(&self, known: &'k Vms, uuid: &VmUuid) -> &'k XapiVm {
        let absent = if self.session.is_ok() { &XapiVm::Unknown } else { &XapiVm::Away };
        known.get(uuid).unwrap_or(absent)
    }

    /// What XAPI must be told of a requested change.
    pub(super) fn plan(&self, uuid: &VmUuid, after: Option<&Entry>, vm: &XapiVm) -> Result<Plan, Error> {
        let shared = self.shared.as_ref().filter(|_| self.session.is_ok());
        let goal = match after.and_then(|entry| entry.settings) {
            Some(settings) => Goal::Have(settings),
            None => Goal::HaveNot(Unwanted::Removed),
        };
        let known = Known { uuid, here: after, shared, vm, is_asked_for: true, was_told: true };
        plan(&self.host.settings.device, &known, &goal)
    }

    /// Writes the plans, and returns what was written. If it fails, XAPI is put back.
    fn write(&mut self, plans: &[(VmUuid, Plan)], signals: &HeldSignals) -> Result<Vec<MapChange>, Error> {
        let mut made = Vec::new();
        // A change of one VM may be a step of an operation that has many.
        let counts = plans.len() > 1;
        if counts {
            self.host.progress.begin(plans.len());
        }
        for (_, plan) in plans {
            let Ok(session) = &mut self.session else { break };
            let written = if signals.has_come() {
                Err(Error::Interrupted)
            } else {
                write(session, &plan.changes, &Pace::full()).map_err(Error::from)
            };
            if let Err(error) = written {
                self.put_back(&made);
                return Err(error);
            }
            made.extend(plan.changes.iter().cloned());
            if counts {
                self.host.progress.step();
            }
        }
        Ok(made)
    }

    fn put_back(&mut self, made: &[MapChange]) {
        if let Ok(session) = &mut self.session {
            put_back(session, made, &Pace::full());
        }
    }

    /// Commits the rehearsed change; `None` if a row has changed since.
    fn commit<T>(
        &self,
        vms: &[VmUuid],
        known: &Vms,
        rehearsal: &Rehearsal,
        plans: &[(VmUuid, Plan)],
        change: &Change<'_, T>,
    ) -> Result<Option<T>, Error> {
        let writing = self.host.store.write()?;
        writing.set_user(self.user.clone());
        if entries(&writing, vms)? != rehearsal.before {
            return Ok(None);
        }
        let value = change(&writing, known)?;
        // The clock may have advanced since the rehearsal, and XAPI was told the time of the rehearsal.
        for (uuid, (after, told)) in vms.iter().zip(entries(&writing, vms)?.into_iter().zip(&rehearsal.after)) {
            if after.as_ref().map(without_time) != told.as_ref().map(without_time) {
                return Ok(None);
            }
            if let Some(told) = told.as_ref().filter(|told| after.as_ref() != Some(told)) {
                writing.count_and_time(uuid, told.revision, told.changed_at)?;
            }
        }
        for (uuid, plan) in plans.iter().filter(|(_, plan)| plan.outcome != XapiOutcome::Away) {
            if let Some(entry) = writing.read().entry(uuid)? {
                writing.mark_pushed(uuid, entry.revision, plan.outcome != XapiOutcome::UnknownVm)?;
            }
        }
        writing.commit()?;
        Ok(Some(value))
    }
}

fn entries(writing: &Writing<'_>, vms: &[VmUuid]) -> Result<Vec<Option<Entry>>, Error> {
    vms.iter().map(|uuid| Ok(writing.read().entry(uuid)?)).collect()
}

fn without_time(entry: &Entry) -> Entry {
    Entry { changed_at: 0, ..entry.clone() }
}
