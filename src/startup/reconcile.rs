//! Compares what a VM is about to boot with and its settings, and corrects what differs.

use super::found::{Booting, Xapi, XapiAnswer};
use super::report::{Deciding, Report, ThisBoot, XapiState};
use super::{Milestone, Start};
use crate::contact;
use crate::deadline::Deadline;
use crate::device_args::{self, FoundDevice};
use crate::error::Error;
use crate::plan::Goal;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::store::{Registration, Store, StoreError};
use crate::transaction::{Scope, take_over};
use crate::vm_lock::{LockError, Lockable, LockedVms, VmLocks};
use crate::xenapi::VmRecord;

pub(super) struct Reconciliation<'a> {
    pub(super) start: &'a Start<'a>,
    pub(super) store: &'a Store,
    pub(super) deadline: Deadline,
    pub(super) reached: &'a dyn Fn(Milestone),
}

impl<'a> Reconciliation<'a> {
    pub(super) fn new(
        start: &'a Start<'a>,
        store: &'a Store,
        deadline: Deadline,
        reached: &'a dyn Fn(Milestone),
    ) -> Self {
        Self { start, store, deadline, reached }
    }

    pub(super) fn run(&self) -> Result<Report, Error> {
        // The hook's timer must know at once whether the VM is registered.
        self.registration()?;
        let locks = VmLocks::open(&self.start.root.vm_locks());
        // Wait for a program that is changing the VM: it may yet put back what it has told XAPI.
        let lock = locks.as_ref().map_err(ToString::to_string);
        let lock = lock.and_then(|locks| self.lock(locks).map_err(|error| error.to_string()));
        let mut hindrance = lock.as_ref().err().cloned();
        let booting = Booting::ask(self.start, self.deadline);
        // Ask XAPI even if all seems well: another host may have changed the settings since this host last heard of them,
        // and a snapshot may have brought back the old arguments that match them.
        let xapi = Xapi::ask(self.start, self.deadline);
        if let Some(report) = self.confirmed(&booting, &xapi)? {
            return Ok(report);
        }
        if let (Ok(Xapi { shared, .. }), Ok(locks)) = (&xapi, &locks) {
            match self.take_over(shared, locks, lock.is_ok()) {
                Ok(()) => contact::note(self.start.root),
                Err(error) => {
                    let problem = format!("the changes of other hosts could not be taken over: {error}");
                    log::warn!("VM {}: {problem}", self.start.vm_uuid);
                    // XAPI would then be told something older than what other hosts have written.
                    if self.is_edited_without(shared)? {
                        hindrance.get_or_insert(problem);
                    }
                }
            }
        }
        // The lock is held until all is done.
        self.reconcile(booting, xapi, hindrance.as_ref())
    }

    fn lock<'l>(&self, locks: &'l VmLocks) -> Result<LockedVms<'l>, LockError> {
        locks.lock([Lockable::Vm(self.start.vm_uuid)], self.deadline.at_most(self.start.share(1)))
    }

    /// The report of a boot that is already right; `None` if anything is left to do.
    fn confirmed(&self, booting: &Booting, xapi: &XapiAnswer) -> Result<Option<Report>, Error> {
        if !matches!(booting, Booting::Now(..)) {
            return Ok(None);
        }
        let args = booting.args();
        // Read the registration and whether there is news from one state of the database: another program may take over the
        // news in between, and the old registration would then be confirmed.
        let (seen, registration, goal) = {
            let _snapshot = self.store.snapshot()?;
            if self.has_news(xapi)? {
                return Ok(None);
            }
            let seen = self.store.read().last_change(&self.start.vm_uuid)?;
            let registration = self.registration()?;
            let goal = self.goal(&registration, args)?;
            (seen, registration, goal)
        };
        let record = xapi.as_ref().ok().and_then(|xapi| xapi.vm.record());
        let is_finished = self.is_finished(&registration, &goal, args)
            && record.is_none_or(|record| {
                let has_lost =
                    registration != Registration::Unknown && args.is_none() && record.stored_args().is_some();
                !has_lost
                    && record.args_put_aside().is_none()
                    && self.is_finished(&registration, &goal, record.stored_args())
            });
        // Otherwise it is recorded after the take-over.
        if is_finished && xapi.is_ok() {
            contact::note(self.start.root);
        }
        Ok(is_finished.then(|| self.confirm(seen, &registration, &goal, args)))
    }

    fn registration(&self) -> Result<Registration, StoreError> {
        let registration = self.store.read().registration(&self.start.vm_uuid)?;
        if matches!(registration, Registration::Registered(_)) {
            (self.reached)(Milestone::Registered);
        }
        Ok(registration)
    }

    /// Whether other hosts have written anything that this host has not taken over, or the shared copy lacks this host's
    /// settings of the VM.
    fn has_news(&self, xapi: &XapiAnswer) -> Result<bool, StoreError> {
        let Ok(Xapi { shared, .. }) = xapi else { return Ok(false) };
        let read = self.store.read();
        let here = read.entry(&self.start.vm_uuid)?;
        if shared.compare(&self.start.vm_uuid, here.as_ref()) == Comparison::HostIsNewer {
            return Ok(true);
        }
        Ok(!shared.news(read)?.is_empty())
    }

    pub(super) fn find(&self, args: Option<&str>) -> Option<FoundDevice> {
        device_args::find(&self.start.settings.device, args?)
    }

    /// Whether nothing is left to do, in these arguments (xenopsd's or XAPI's) and in the database.
    fn is_finished(&self, registration: &Registration, goal: &Goal, args: Option<&str>) -> bool {
        let is_noted = match registration {
            Registration::Registered(vm) => vm.is_pushed() && !vm.number_is_provisional,
            Registration::Removed { .. } | Registration::Unknown => true,
        };
        match goal {
            Goal::LeaveAlone => true,
            Goal::Register { .. } => false,
            Goal::Have(_) | Goal::HaveNot(_) => {
                is_noted && goal.wanted(&self.start.settings.device, args).is_ok_and(|wanted| wanted.as_deref() == args)
            }
        }
    }

    /// Reports that everything is right, as at nearly every start.
    fn confirm(&self, seen: i64, registration: &Registration, goal: &Goal, args: Option<&str>) -> Report {
        let mut report = Report::new(self.start.vm_uuid, registration, args);
        report.last_change = seen;
        if let Goal::Have(settings) = goal {
            (self.reached)(Milestone::BootIsRight);
            report.settings = Some(*settings);
            report.this_boot = ThisBoot::AlreadyRight;
        }
        if report.is_known {
            self.note(&report, None);
        }
        report
    }

    /// Corrects what differs. If XAPI must not be written, for example because another program has the VM's lock, only this
    /// boot is corrected, and XAPI is left to that program or to the next start.
    fn reconcile(&self, booting: Booting, mut xapi: XapiAnswer, hindrance: Option<&String>) -> Result<Report, Error> {
        // Read before the settings: any later change is newer than what the start is given.
        let seen = self.store.read().last_change(&self.start.vm_uuid)?;
        let registration = self.newest_registration(&xapi)?;
        let record = xapi.as_ref().ok().and_then(|xapi| xapi.vm.record());
        let args = args_to_repair(&booting, record, registration != Registration::Unknown);
        let args_are_known = matches!(booting, Booting::Now(..)) || record.is_some();
        let mut report = Report::new(self.start.vm_uuid, &registration, args.as_deref());
        report.last_change = seen;
        report.is_start = record.is_some_and(|record| record.power_state == "Halted");
        report.name = record.map(|record| record.name_label.clone()).or(report.name);
        if let Some(error) = xapi.as_ref().ok().and_then(|xapi| xapi.shared.written_by_newer(&self.start.vm_uuid)) {
            // The program that wrote it knows what the VM should have, and has given it to XAPI.
            report.problems.push(format!("the shared copy's entry of this VM {error}"));
            report.this_boot = booting.left_alone();
            return Ok(report);
        }
        let (goal, is_stored) = match self.goal(&registration, args.as_deref())? {
            // It may have an argument of its own that could not be read.
            Goal::Register { .. } if !args_are_known => (Goal::LeaveAlone, true),
            Goal::Register { pool, priority, origin } => self.register(pool, priority, origin, hindrance, &mut report),
            goal => (goal, true),
        };
        (report.settings, report.unwanted) = (goal.settings(), goal.unwanted());
        report.decided_by = self.deciding_without(&xapi, &registration, &goal, args.as_deref())?;
        if report.decided_by == Some(Deciding::Arguments) {
            report.xapi = XapiState::of_answer(&xapi);
            self.note(&report, None);
            return Ok(report);
        }
        let wanted = goal.wanted(&self.start.settings.device, args.as_deref())?;
        report.this_boot = match goal {
            Goal::LeaveAlone if booting.args() == wanted.as_deref() => booting.left_alone(),
            _ => self.repair_boot(booting, &mut report, wanted),
        };
        let (state, told) = match hindrance {
            Some(why) if goal != Goal::LeaveAlone => (XapiState::Failed(why.clone()), None),
            // A VM that could not be registered is registered at its next start, from what XAPI has.
            None if is_stored && goal == Goal::LeaveAlone => self.leave_alone(&mut xapi, &registration),
            None if is_stored => self.repair_xapi(&mut xapi, &goal),
            Some(_) | None => (XapiState::NotAsked, None),
        };
        report.xapi = state;
        self.note(&report, told);
        Ok(report)
    }

    /// Updates XAPI for a VM that is left alone: a removal that the other hosts do not know of yet, and arguments that a
    /// killed program had put aside. If that fails, the next start or sync does it.
    fn leave_alone(&self, xapi: &mut XapiAnswer, registration: &Registration) -> (XapiState, Option<i64>) {
        let has_put_aside =
            xapi.as_ref().is_ok_and(|xapi| xapi.vm.record().is_some_and(|record| record.args_put_aside().is_some()));
        if !has_put_aside && !matches!(registration, Registration::Removed { .. }) {
            return (XapiState::NotAsked, None);
        }
        match self.repair_xapi(xapi, &Goal::LeaveAlone) {
            (XapiState::Failed(error), _) => {
                log::warn!("VM {}: XAPI could not be updated: {error}", self.start.vm_uuid);
                (XapiState::NotAsked, None)
            }
            (XapiState::Repaired, told) if has_put_aside => (XapiState::Repaired, told),
            (_, told) => (XapiState::NotAsked, told),
        }
    }

    /// Whether the VM's row was edited by hand without knowing what another host has written.
    fn is_edited_without(&self, shared: &SharedCopy) -> Result<bool, StoreError> {
        match shared.entry(&self.start.vm_uuid) {
            Some(there) => self.store.read().is_edited_without(&self.start.vm_uuid, &there),
            None => Ok(false),
        }
    }

    /// What the database knows of the VM after taking over what other hosts have written. If that failed, the shared copy
    /// is used directly.
    fn newest_registration(&self, xapi: &XapiAnswer) -> Result<Registration, StoreError> {
        let registration = self.registration()?;
        let Ok(Xapi { shared, .. }) = xapi else { return Ok(registration) };
        let read = self.store.read();
        let here = read.entry(&self.start.vm_uuid)?;
        Ok(match shared.newer_than(&self.start.vm_uuid, here.as_ref(), read)? {
            Some(entry) => registration.overtaken_by(&self.start.vm_uuid, &read.newest_of(&self.start.vm_uuid, entry)?),
            None => registration,
        })
    }

    /// Takes over what other hosts have written, and completes a row that was inserted by hand: the number that other hosts
    /// are told must not change later.
    fn take_over(&self, shared: &SharedCopy, locks: &VmLocks, is_locked: bool) -> Result<(), Error> {
        let own = [self.start.vm_uuid];
        take_over(self.store, shared, locks, Scope::vms(if is_locked { &own } else { &[] }))?;
        match self.registration()? {
            Registration::Registered(vm) if vm.number_is_provisional => {
                let writing = self.store.write()?;
                writing.complete(&self.start.vm_uuid)?;
                Ok(writing.commit()?)
            }
            _ => Ok(()),
        }
    }
}

/// The arguments to correct: those of the boot in progress, or XAPI's.
///
/// xenopsd may have been told of the record in the middle of a change, when it had no arguments. Arguments that are put
/// aside then are used for any VM. A VM that is or was registered also gets arguments that have been put back since; any
/// other VM boots with what xenopsd has.
fn args_to_repair(booting: &Booting, record: Option<&VmRecord>, is_known: bool) -> Option<String> {
    match booting {
        Booting::Now(..) => {
            let lost = record.filter(|record| is_known || record.stored_args().is_none());
            booting.args().or(lost.and_then(VmRecord::args)).map(str::to_owned)
        }
        Booting::No { .. } | Booting::Unknown(_) => record.and_then(VmRecord::args).map(str::to_owned),
    }
}
