//! One attempt at a change: rehearse it, plan, write XAPI, write the database; or put XAPI back.

use std::collections::BTreeMap;

use super::{Change, Changed, HeldSignals, Pace, Scope, Transaction, Vms, put_back, write};
use crate::entry::{Entry, GpuEntry, GpuSubject};
use crate::error::Error;
use crate::model::VmUuid;
use crate::plan::{Goal, Known, Plan, Unwanted, plan, plan_gpu_pool};
use crate::reply::XapiOutcome;
use crate::store::Writing;
use crate::xenapi::{MapChange, XapiVm};

/// The entries before and after a change that was only tried out.
struct Rehearsal {
    before: Entries,
    after: Entries,
}

#[derive(PartialEq)]
struct Entries {
    /// In the order of the scope.
    vms: Vec<Option<Entry>>,
    gpu_pools: GpuEntries,
}

pub(super) type GpuEntries = BTreeMap<GpuSubject, GpuEntry>;

/// What XAPI must be told.
struct Plans {
    vms: Vec<(VmUuid, Plan)>,
    gpu_pools: Vec<(GpuSubject, Option<MapChange>)>,
}

impl Plans {
    /// In the order of writing.
    fn changes(&self) -> impl Iterator<Item = &[MapChange]> {
        let gpu_pools = self.gpu_pools.iter().map(|(_, change)| change.as_slice());
        gpu_pools.chain(self.vms.iter().map(|(_, plan)| plan.changes.as_slice()))
    }
}

impl Transaction<'_> {
    /// One round of a change; `None` if a row was edited meanwhile.
    pub(super) fn attempt<T>(
        &mut self,
        scope: Scope<'_>,
        all: bool,
        known: Vms,
        change: &Change<'_, T>,
    ) -> Result<Option<Changed<T>>, Error> {
        let (rehearsal, plans) = self.rehearse(scope, all, &known, change)?;
        let signals = HeldSignals::hold(self.host);
        let made = self.write(&plans, &signals)?;
        let committed = self.commit(scope, &known, &rehearsal, &plans, change);
        if !matches!(committed, Ok(Some(_))) {
            self.put_back(&made);
        } else if let Some(shared) = &mut self.shared {
            for change in &made {
                shared.apply(change);
            }
        }
        let gpu_pools_told = self.told_of_gpu_pools(&plans.gpu_pools);
        let told = plans.vms.into_iter().map(|(uuid, plan)| (uuid, plan.outcome)).collect();
        Ok(committed?.map(|value| Changed { value, told, gpu_pools_told, vms: known }))
    }

    fn rehearse<T>(
        &self,
        scope: Scope<'_>,
        all: bool,
        known: &Vms,
        change: &Change<'_, T>,
    ) -> Result<(Rehearsal, Plans), Error> {
        // Dropped without a commit.
        let writing = self.host.store.write()?;
        let before = entries(&writing, scope)?;
        change(&writing, known)?;
        let after = entries(&writing, scope)?;
        let gpu_pools = self.gpu_plans(&writing, &before.gpu_pools, &after.gpu_pools)?;
        drop(writing);
        let vms = scope.vms.iter().zip(before.vms.iter().zip(&after.vms));
        let vms = vms
            .filter(|(_, (before, after))| all || before != after)
            .map(|(uuid, (_, after))| Ok((*uuid, self.plan(uuid, after.as_ref(), self.vm(known, uuid))?)))
            .collect::<Result<_, Error>>()?;
        Ok((Rehearsal { before, after }, Plans { vms, gpu_pools }))
    }

    /// What XAPI must be told of GPU pools and GPUs: of those that were changed, and of those that it was not told of before.
    pub(super) fn gpu_plans(
        &self,
        writing: &Writing<'_>,
        before: &GpuEntries,
        after: &GpuEntries,
    ) -> Result<Vec<(GpuSubject, Option<MapChange>)>, Error> {
        let shared = self.shared.as_ref().filter(|_| self.session.is_ok());
        let mut plans = Vec::new();
        for (subject, entry) in after {
            let is_changed = before.get(subject) != Some(entry);
            if !is_changed && writing.read().is_gpu_pushed(subject)? {
                continue;
            }
            match plan_gpu_pool(shared, subject, entry, false) {
                // It was not asked for: the others are changed all the same.
                Err(Error::NewerFormat { .. }) if !is_changed => {}
                plan => plans.push((*subject, plan?)),
            }
        }
        Ok(plans)
    }

    /// What XAPI was told of the GPU pools.
    pub(super) fn told_of_gpu_pools(&self, plans: &[(GpuSubject, Option<MapChange>)]) -> XapiOutcome {
        match plans {
            _ if self.session.is_err() => XapiOutcome::Away,
            plans if plans.iter().any(|(_, change)| change.is_some()) => XapiOutcome::Written,
            _ => XapiOutcome::AlreadyRight,
        }
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
    fn write(&mut self, plans: &Plans, signals: &HeldSignals) -> Result<Vec<MapChange>, Error> {
        let mut made = Vec::new();
        for changes in plans.changes() {
            let Ok(session) = &mut self.session else { break };
            let written = if signals.has_come() {
                Err(Error::Interrupted)
            } else {
                write(session, changes, &Pace::full()).map_err(Error::from)
            };
            if let Err(error) = written {
                self.put_back(&made);
                return Err(error);
            }
            made.extend(changes.iter().cloned());
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
        scope: Scope<'_>,
        known: &Vms,
        rehearsal: &Rehearsal,
        plans: &Plans,
        change: &Change<'_, T>,
    ) -> Result<Option<T>, Error> {
        let writing = self.host.store.write()?;
        writing.set_user(self.user.clone());
        if entries(&writing, scope)? != rehearsal.before {
            return Ok(None);
        }
        let value = change(&writing, known)?;
        let after = entries(&writing, scope)?;
        if after.without_times() != rehearsal.after.without_times() {
            return Ok(None);
        }
        // The clock may have advanced since the rehearsal, and XAPI was told the time of the rehearsal.
        for (uuid, (after, told)) in scope.vms.iter().zip(after.vms.iter().zip(&rehearsal.after.vms)) {
            if let Some(told) = told.as_ref().filter(|told| after.as_ref() != Some(told)) {
                writing.count_and_time(uuid, told.revision, told.changed_at)?;
            }
        }
        for (subject, told) in &rehearsal.after.gpu_pools {
            if after.gpu_pools.get(subject) != Some(told) {
                writing.count_and_time_gpu(subject, told)?;
            }
        }
        self.note_told(&writing, rehearsal, plans)?;
        writing.commit()?;
        Ok(Some(value))
    }

    /// Records what XAPI was told.
    fn note_told(&self, writing: &Writing<'_>, rehearsal: &Rehearsal, plans: &Plans) -> Result<(), Error> {
        for (uuid, plan) in plans.vms.iter().filter(|(_, plan)| plan.outcome != XapiOutcome::Away) {
            if let Some(entry) = writing.read().entry(uuid)? {
                writing.mark_pushed(uuid, entry.revision, plan.outcome != XapiOutcome::UnknownVm)?;
            }
        }
        for (subject, _) in plans.gpu_pools.iter().filter(|_| self.session.is_ok()) {
            if let Some(entry) = rehearsal.after.gpu_pools.get(subject) {
                writing.mark_gpu_pushed(subject, entry.revision)?;
            }
        }
        Ok(())
    }
}

impl Entries {
    fn without_times(&self) -> Self {
        let vm = |entry: &Option<Entry>| entry.as_ref().map(|entry| Entry { changed_at: 0, ..entry.clone() });
        let of_gpu =
            |(subject, entry): (&GpuSubject, &GpuEntry)| (*subject, GpuEntry { changed_at: 0, ..entry.clone() });
        Self { vms: self.vms.iter().map(vm).collect(), gpu_pools: self.gpu_pools.iter().map(of_gpu).collect() }
    }
}

fn entries(writing: &Writing<'_>, scope: Scope<'_>) -> Result<Entries, Error> {
    let vms = scope.vms.iter().map(|uuid| Ok(writing.read().entry(uuid)?)).collect::<Result<_, Error>>()?;
    Ok(Entries { vms, gpu_pools: gpu_entries(writing, scope)? })
}

/// The entries of all GPU pools and GPUs, if they are in the scope.
pub(super) fn gpu_entries(writing: &Writing<'_>, scope: Scope<'_>) -> Result<GpuEntries, Error> {
    if !scope.gpu_pools {
        return Ok(GpuEntries::new());
    }
    Ok(writing.read().gpu_entries()?.into_iter().collect())
}
