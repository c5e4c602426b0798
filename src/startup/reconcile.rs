//! Compares what a VM is about to boot with and what its settings say, and makes both say the same.

use super::found::{Booting, Xapi, XapiAnswer};
use super::goal::{Goal, Unwanted, goal};
use super::report::{Deciding, Report, ThisBoot, XapiState};
use super::{Milestone, Start};
use crate::deadline::Deadline;
use crate::device_args::{self, FoundDevice, PLATFORM_KEY};
use crate::error::Error;
use crate::mirror::{Comparison, News};
use crate::model::VmSettings;
use crate::store::{Registration, Store, StoreError, Writing};

/// One VM's start, compared and made right.
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
        // Whoever watches the clock wants to know at once whether the VM is registered.
        self.registration()?;
        let booting = Booting::ask(self.start, self.deadline);
        // Another host may have changed the settings since this one last heard of them, and a snapshot brought back the
        // old arguments that they fit: XAPI is asked even where all seems well.
        let xapi = Xapi::ask(self.start, self.deadline);
        match self.confirmed(&booting, &xapi)? {
            Some(report) => Ok(report),
            None => self.reconcile(booting, xapi),
        }
    }

    /// The report of a boot where everything is as it should be; `None` where anything is left to do.
    fn confirmed(&self, booting: &Booting, xapi: &XapiAnswer) -> Result<Option<Report>, Error> {
        let Booting::Now(_, metadata) = booting else { return Ok(None) };
        let args = metadata.platform(PLATFORM_KEY);
        // The registration and whether there is news are read from one state of the database: another program may take
        // the news over in between, and what was read before would then be confirmed.
        let (registration, goal) = {
            let _snapshot = self.store.snapshot()?;
            if self.has_news(xapi)? {
                return Ok(None);
            }
            let registration = self.registration()?;
            let goal = self.goal(&registration, args)?;
            (registration, goal)
        };
        let vm = xapi.as_ref().ok().and_then(|xapi| xapi.vm.as_ref());
        let is_finished = self.is_finished(&registration, &goal, args)
            && vm.is_none_or(|vm| self.is_finished(&registration, &goal, vm.args.as_deref()));
        Ok(is_finished.then(|| self.confirm(&registration, &goal, args)))
    }

    fn registration(&self) -> Result<Registration, StoreError> {
        let registration = self.store.read().registration(&self.start.vm_uuid)?;
        if matches!(registration, Registration::Registered(_)) {
            (self.reached)(Milestone::Registered);
        }
        Ok(registration)
    }

    /// Whether other hosts have written anything that this one has not taken over, or the copy lacks this VM's settings.
    fn has_news(&self, xapi: &XapiAnswer) -> Result<bool, StoreError> {
        let Ok(Xapi { mirror, .. }) = xapi else { return Ok(false) };
        let read = self.store.read();
        let here = read.entry(&self.start.vm_uuid)?;
        if mirror.compare(&self.start.vm_uuid, here.as_ref()) == Comparison::HostIsNewer {
            return Ok(true);
        }
        Ok(!mirror.news(read)?.is_empty())
    }

    pub(super) fn find(&self, args: Option<&str>) -> Option<FoundDevice> {
        device_args::find(&self.start.settings.device, args?)
    }

    fn goal(&self, registration: &Registration, args: Option<&str>) -> Result<Goal, Error> {
        let found = device_args::find_all(&self.start.settings.device, args.unwrap_or_default());
        Ok(goal(self.start.settings, self.start.vm_uuid, registration, &found, self.store.read())?)
    }

    pub(super) fn wanted(&self, args: Option<&str>, settings: Option<&VmSettings>) -> Result<Option<String>, Error> {
        device_args::desired(&self.start.settings.device, args, settings)
    }

    /// Whether nothing is left to do where these are the arguments: xenopsd's or XAPI's, and in the database.
    fn is_finished(&self, registration: &Registration, goal: &Goal, args: Option<&str>) -> bool {
        let is_noted = match registration {
            Registration::Registered(vm) => vm.is_pushed() && !vm.number_is_provisional,
            Registration::Removed { .. } | Registration::Unknown => true,
        };
        let settings = match goal {
            Goal::LeaveAlone => return true,
            Goal::Register { .. } => return false,
            Goal::Have(settings) => Some(settings),
            Goal::HaveNot(_) => None,
        };
        is_noted && self.wanted(args, settings).is_ok_and(|wanted| wanted.as_deref() == args)
    }

    /// Everything is as it should be: the way that nearly every start goes.
    fn confirm(&self, registration: &Registration, goal: &Goal, args: Option<&str>) -> Report {
        let mut report = Report::new(self.start.vm_uuid, registration, args);
        if let Goal::Have(settings) = goal {
            (self.reached)(Milestone::BootIsRight);
            report.settings = Some(*settings);
            report.this_boot = ThisBoot::AlreadyRight;
        }
        if report.is_known {
            self.note(&report, self.store.write());
        }
        report
    }

    /// Something differs: looks again with every other program's change finished, then makes it right.
    fn reconcile(&self, booting: Booting, mut xapi: XapiAnswer) -> Result<Report, Error> {
        // A change through the plugin writes XAPI before it commits. Were the start compared with the row of a moment
        // ago, it would undo that change; so wait for it, and keep others out until this is done. Where the database
        // cannot be written, the start is prepared with what can be read.
        let writing = self.store.write();
        let registration = self.newest_registration(&writing, &xapi)?;
        let vm = xapi.as_ref().ok().and_then(|xapi| xapi.vm.as_ref());
        let args = match (&booting, vm) {
            (Booting::Now(_, metadata), _) => metadata.platform(PLATFORM_KEY).map(str::to_owned),
            (_, Some(vm)) => vm.args.clone(),
            _ => None,
        };
        let args_are_known = matches!(booting, Booting::Now(..)) || vm.is_some();
        let mut report = Report::new(self.start.vm_uuid, &registration, args.as_deref());
        report.is_start = vm.is_some_and(|vm| vm.is_halted);
        if let (None, Some(vm)) = (&report.name, vm) {
            report.name = Some(vm.name.clone());
        }
        if let Ok(Xapi { mirror, .. }) = &xapi
            && let Comparison::NotForUs(error) = mirror.compare(&self.start.vm_uuid, None)
        {
            // Whoever wrote it knows what the VM is to have, and has given it to XAPI.
            report.problems.push(format!("what the resource pool has of this VM {error}"));
            report.this_boot = booting.left_alone();
            return Ok(report);
        }
        let goal = match self.goal(&registration, args.as_deref())? {
            // It may have an argument of its own that nobody could see.
            Goal::Register { .. } if !args_are_known => Goal::LeaveAlone,
            goal => self.register(goal, &writing, &mut report),
        };
        match &goal {
            Goal::LeaveAlone | Goal::Register { .. } => {
                report.this_boot = booting.left_alone();
                // A removal that the other hosts do not know of yet.
                if matches!(registration, Registration::Removed { .. })
                    && let Ok(xapi) = &mut xapi
                {
                    self.push_removal(xapi);
                }
                self.note(&report, writing);
                return Ok(report);
            }
            Goal::HaveNot(why) => report.unwanted = Some(*why),
            Goal::Have(settings) => report.settings = Some(*settings),
        }
        report.decided_by = self.deciding_without(&xapi, &registration, args.as_deref())?;
        if report.decided_by == Some(Deciding::Arguments) {
            report.xapi = XapiState::of_answer(&xapi);
            self.noted(writing.and_then(|writing| {
                self.note_start(&report, &writing)?;
                writing.commit()
            }));
            return Ok(report);
        }
        report.this_boot = self.repair_boot(booting, &mut report)?;
        report.xapi = self.repair_xapi(&mut xapi, report.settings.as_ref());
        self.note(&report, writing);
        Ok(report)
    }

    /// What the database knows of the VM once it has taken over what other hosts have written. Where it cannot be
    /// written, the pool-wide copy has to speak for itself.
    fn newest_registration(
        &self,
        writing: &Result<Writing<'_>, StoreError>,
        xapi: &XapiAnswer,
    ) -> Result<Registration, StoreError> {
        let Ok(Xapi { mirror, .. }) = xapi else { return self.registration() };
        let news = mirror.news(self.store.read())?;
        if let Ok(writing) = writing
            && self.take_over(writing, &news).is_ok()
        {
            return self.registration();
        }
        let registration = self.registration()?;
        Ok(match news.entries.into_iter().find(|(uuid, _)| *uuid == self.start.vm_uuid) {
            Some((_, entry)) => registration.overtaken_by(&self.start.vm_uuid, &entry),
            None => registration,
        })
    }

    /// Takes over what other hosts have written, and fills in what a row that was inserted by hand leaves out: what other
    /// hosts are told has to be what stays. All of it, or nothing.
    fn take_over(&self, writing: &Writing<'_>, news: &News) -> Result<(), StoreError> {
        writing.attempt(|| {
            writing.take_over(news)?;
            match self.registration()? {
                Registration::Registered(vm) if vm.number_is_provisional => writing.complete(&self.start.vm_uuid),
                _ => Ok(()),
            }
        })
    }

    /// Registers the VM where that is the goal. Where it cannot be, a clone at least does not keep what it inherited.
    fn register(&self, goal: Goal, writing: &Result<Writing<'_>, StoreError>, report: &mut Report) -> Goal {
        let Goal::Register { pool, priority, origin } = goal else { return goal };
        let uuid = &self.start.vm_uuid;
        let registered = match writing {
            Ok(writing) => writing.insert_by_default(uuid, pool, priority).and_then(|()| writing.read().vm(uuid)),
            Err(error) => Err(StoreError::NotWritable(error.to_string())),
        };
        match (registered, origin) {
            (Ok(Some(vm)), _) => {
                report.registered_now = true;
                return Goal::Have(vm.settings);
            }
            (Ok(None), _) => report.problems.push("the VM vanished from the database".to_owned()),
            (Err(error), _) => report.problems.push(format!("the VM could not be registered: {error}")),
        }
        origin.map_or(Goal::LeaveAlone, |origin| Goal::HaveNot(Unwanted::Inherited { origin }))
    }

    /// Who decides while XAPI cannot be asked; `None` where it can.
    ///
    /// A row that XAPI was told of yields to arguments that carry this VM's own number: every change is written to XAPI at
    /// once, so they are at least as new. So does a removal, for the VM may have been registered again elsewhere. A row with
    /// changes of its own wins, and so does one that is known to have overtaken the arguments since the VM's last start: xapi
    /// went away before it had passed the change on to xenopsd. A refusal is no opinion of XAPI's here: a host without
    /// its coordinator refuses with whatever it believes to be the reason.
    fn deciding_without(
        &self,
        xapi: &XapiAnswer,
        registration: &Registration,
        args: Option<&str>,
    ) -> Result<Option<Deciding>, StoreError> {
        if xapi.is_ok() {
            return Ok(None);
        }
        let own_number = match registration {
            Registration::Registered(vm) if vm.is_pushed() => Some(vm.settings.vm_id),
            Registration::Removed { vm_id, pushed: true } => *vm_id,
            Registration::Unknown => None,
            Registration::Registered(_) | Registration::Removed { .. } => {
                return Ok(Some(Deciding::Database("it has changes that XAPI was not told of")));
            }
        };
        let found = self.find(args).and_then(|found| Some((found.settings()?, found.text)));
        Ok(Some(match found {
            Some((settings, text)) if own_number == Some(settings.vm_id) => {
                if self.store.read().has_overtaken(&self.start.vm_uuid, &text, &settings)? {
                    Deciding::Database("it was changed since the VM's last start, and the arguments are older")
                } else {
                    Deciding::Arguments
                }
            }
            _ => Deciding::Database("the arguments did not carry this VM's own vm_id"),
        }))
    }
}
