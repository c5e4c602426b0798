//! Compares what a VM is about to boot with and what its settings say, and makes both say the same.

use super::goal::{Goal, Unwanted, goal};
use super::report::{Report, ThisBoot, XapiState};
use super::{Milestone, Start};
use crate::deadline::Deadline;
use crate::device_args::{self, FoundDevice, PLATFORM_KEY};
use crate::error::Error;
use crate::mirror::{Comparison, MapChange, Mirror, News};
use crate::model::VmSettings;
use crate::store::{Registration, Store, StoreError, Writing};
use crate::xenapi::{MapField, Reference, Session, VmRecord, XapiError};
use crate::xenopsd::{VmMetadata, Xenopsd, XenopsdError};

/// One VM's start, compared and made right.
pub(super) struct Reconciliation<'a> {
    start: &'a Start<'a>,
    store: &'a Store,
    deadline: Deadline,
    reached: &'a dyn Fn(Milestone),
}

/// xenopsd as it was found.
enum Booting {
    /// It is about to boot the VM with this.
    Now(Xenopsd, Box<VmMetadata>),
    /// It runs the VM, or does not know it: this is no start.
    No { is_running: bool },
    /// It could not be asked.
    Unknown(XenopsdError),
}

impl Booting {
    fn left_alone(self) -> ThisBoot {
        match self {
            Self::Now(..) => ThisBoot::LeftAlone,
            Self::No { is_running } => ThisBoot::NotStarting { is_running },
            Self::Unknown(error) => ThisBoot::Unknown(error.to_string()),
        }
    }
}

/// What XAPI has: the pool-wide copy of the settings, and the VM's record where it knows the VM.
struct Xapi {
    session: Session,
    mirror: Mirror,
    vm: Option<XapiVm>,
}

/// A VM as XAPI has it.
struct XapiVm {
    vm: Reference,
    name: String,
    args: Option<String>,
}

type XapiAnswer = Result<Xapi, XapiError>;

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
        let registration = self.registration()?;
        let booting = self.ask_xenopsd();
        // Another host may have changed the settings since this one last heard of them, and a snapshot brought back the
        // old arguments that they fit: XAPI is asked even where all seems well.
        let xapi = self.ask_xapi();
        if let Booting::Now(_, metadata) = &booting {
            let args = metadata.platform(PLATFORM_KEY);
            let goal = self.goal(&registration, args)?;
            if self.is_finished(&registration, &goal, args) && !self.has_news(&xapi)? {
                return Ok(self.confirm(&registration, &goal, args));
            }
        }
        self.reconcile(booting, xapi)
    }

    fn registration(&self) -> Result<Registration, StoreError> {
        let registration = self.store.read().registration(&self.start.vm_uuid)?;
        if matches!(registration, Registration::Registered(_)) {
            (self.reached)(Milestone::Registered);
        }
        Ok(registration)
    }

    fn ask_xenopsd(&self) -> Booting {
        let deadline = self.deadline.at_most(self.start.share(4));
        let asked = Xenopsd::connect(&self.start.root.message_switch_socket(), deadline)
            .and_then(|mut xenopsd| Ok((xenopsd.stat(&self.start.vm_uuid)?, xenopsd)));
        match asked {
            Ok((Some(metadata), _)) if !metadata.is_halted => Booting::No { is_running: true },
            Ok((Some(metadata), xenopsd)) => Booting::Now(xenopsd, Box::new(metadata)),
            Ok((None, _)) => Booting::No { is_running: false },
            Err(error) => Booting::Unknown(error),
        }
    }

    fn ask_xapi(&self) -> XapiAnswer {
        let deadline = self.deadline.at_most(self.start.share(4));
        let mut session = Session::log_in(&self.start.root.xapi_socket(), deadline)?;
        // In the order opposite to the one in which they are written: a record that is newer than the copy would seem wrong.
        let vm = match session.vm_by_uuid(&self.start.vm_uuid)? {
            None => None,
            Some(vm) => {
                let VmRecord { name_label: name, mut platform, .. } = session.vm_record(&vm)?;
                Some(XapiVm { vm, name, args: platform.swap_remove(PLATFORM_KEY) })
            }
        };
        let mirror = Mirror::load(&mut session)?;
        Ok(Xapi { session, mirror, vm })
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

    fn find(&self, args: Option<&str>) -> Option<FoundDevice> {
        device_args::find(&self.start.settings.device, args?)
    }

    fn goal(&self, registration: &Registration, args: Option<&str>) -> Result<Goal, Error> {
        let found = device_args::find_all(&self.start.settings.device, args.unwrap_or_default());
        Ok(goal(self.start.settings, self.start.vm_uuid, registration, &found, self.store.read())?)
    }

    fn wanted(&self, args: Option<&str>, settings: Option<&VmSettings>) -> Result<Option<String>, Error> {
        device_args::desired(&self.start.settings.device, args, settings)
    }

    /// Whether nothing is left to do: for this boot, for XAPI, and in the database.
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

    /// Everything is as it should be: the way that nearly every start goes, without asking XAPI.
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
        if self.yields(&registration, args.as_deref(), &xapi) {
            report.yielded = true;
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

    /// While XAPI cannot be asked, a row that it was told of yields to arguments that carry this VM's own number: every
    /// change is written to XAPI at once, so they are at least as new. So does a removal, for the VM may have been registered
    /// again elsewhere. A row with changes of its own wins. A refusal is no opinion of XAPI's here: a host without its
    /// coordinator refuses with whatever it believes to be the reason.
    fn yields(&self, registration: &Registration, args: Option<&str>, xapi: &XapiAnswer) -> bool {
        let found = self.find(args).and_then(|found| found.settings());
        let own_number = match registration {
            Registration::Registered(vm) if vm.is_pushed() => Some(vm.settings.vm_id),
            Registration::Removed { vm_id, pushed: true } => *vm_id,
            _ => None,
        };
        xapi.is_err() && own_number.is_some() && found.map(|found| found.vm_id) == own_number
    }

    fn repair_boot(&self, booting: Booting, report: &mut Report) -> Result<ThisBoot, Error> {
        let (mut xenopsd, mut metadata) = match booting {
            Booting::Now(xenopsd, metadata) => (xenopsd, metadata),
            Booting::No { is_running } => return Ok(ThisBoot::NotStarting { is_running }),
            Booting::Unknown(error) => return Ok(ThisBoot::Unknown(error.to_string())),
        };
        let wanted = self.wanted(report.args.as_deref(), report.settings.as_ref())?;
        let this_boot = if report.args == wanted {
            ThisBoot::AlreadyRight
        } else {
            metadata.set_platform(PLATFORM_KEY, wanted.as_deref());
            if let Err(error) = xenopsd.add(&self.start.vm_uuid, &metadata, self.deadline) {
                return Ok(ThisBoot::Unknown(error.to_string()));
            }
            ThisBoot::Repaired { was: std::mem::replace(&mut report.args, wanted) }
        };
        (self.reached)(Milestone::BootIsRight);
        Ok(this_boot)
    }

    fn repair_xapi(&self, xapi: &mut XapiAnswer, settings: Option<&VmSettings>) -> XapiState {
        let Ok(Xapi { session, mirror, vm }) = xapi else { return XapiState::of_answer(xapi) };
        let changes = self.changes(mirror, vm.as_ref(), settings);
        let made = changes.and_then(|changes| {
            changes.iter().try_for_each(|change| self.make(session, change))?;
            Ok(!changes.is_empty())
        });
        match made {
            Err(error) => XapiState::Failed(error.to_string()),
            Ok(_) if vm.is_none() => XapiState::UnknownVm,
            Ok(true) => XapiState::Repaired,
            Ok(false) => XapiState::AlreadyRight,
        }
    }

    /// Makes a change where there is time for it, and for taking it back: between its two halves the key is not there, and
    /// with it all that is not ours in it.
    fn make(&self, session: &mut Session, change: &MapChange) -> Result<(), XapiError> {
        let needed = self.start.share(3);
        if self.deadline.remaining().is_none_or(|left| left < needed) {
            return Err(XapiError::TimedOut);
        }
        session.set_deadline(self.deadline.at_most(self.start.share(2)));
        change.make(session).inspect_err(|_| {
            session.set_deadline(self.deadline);
            change.take_back(session);
        })
    }

    /// Tells the other hosts of a removal by hand. Where that fails, the next start or sync does.
    fn push_removal(&self, xapi: &mut Xapi) {
        let changes = self.changes(&xapi.mirror, None, None);
        let pushed = changes
            .and_then(|changes| Ok(changes.iter().try_for_each(|change| self.make(&mut xapi.session, change))?));
        if let Err(error) = pushed {
            log::warn!("VM {}: its removal could not be told to the other hosts: {error}", self.start.vm_uuid);
        }
    }

    /// What XAPI lacks: the entry in the pool-wide copy, where this host's is newer, and the VM's arguments.
    fn changes(
        &self,
        mirror: &Mirror,
        vm: Option<&XapiVm>,
        settings: Option<&VmSettings>,
    ) -> Result<Vec<MapChange>, Error> {
        let uuid = &self.start.vm_uuid;
        let mut changes = Vec::new();
        if let Some(here) = self.store.read().entry(uuid)?
            && mirror.compare(uuid, Some(&here)) == Comparison::HostIsNewer
        {
            changes.extend(mirror.change(uuid, &here));
        }
        if let Some(XapiVm { vm, args, .. }) = vm {
            let wanted = self.wanted(args.as_deref(), settings)?;
            if wanted != *args {
                let (map, object, key) = (MapField::VmPlatform, vm.clone(), PLATFORM_KEY.to_owned());
                changes.push(MapChange { map, object, key, old: args.clone(), new: wanted });
            }
        }
        Ok(changes)
    }

    /// Notes in the database what this start is given and what XAPI has. A start is right without it.
    fn note(&self, report: &Report, writing: Result<Writing<'_>, StoreError>) {
        self.noted(writing.and_then(|writing| self.write_notes(report, writing)));
    }

    fn noted(&self, outcome: Result<(), StoreError>) {
        if let Err(error) = outcome {
            log::warn!("VM {}: what this start is given could not be noted: {error}", self.start.vm_uuid);
        }
    }

    fn write_notes(&self, report: &Report, writing: Writing<'_>) -> Result<(), StoreError> {
        let uuid = &self.start.vm_uuid;
        if report.settings.is_some() {
            writing.complete(uuid)?;
            if let Some(name) = &report.name {
                writing.name_if_nameless(uuid, name)?;
            }
        }
        match report.xapi {
            XapiState::Repaired | XapiState::AlreadyRight | XapiState::UnknownVm => writing.mark_pushed(uuid)?,
            // What XAPI was told of before, it was: the next start looks again all the same.
            XapiState::Failed(_) | XapiState::NotAsked => {}
        }
        self.note_start(report, &writing)?;
        writing.commit()
    }

    /// Notes what this start is given, also to a VM that was removed: until it is started again it may have kept its vGPU.
    fn note_start(&self, report: &Report, writing: &Writing<'_>) -> Result<(), StoreError> {
        let is_ours = report.is_known || report.settings.is_some();
        if !(is_ours && report.boots_with_args()) {
            return Ok(());
        }
        let given = self.find(report.args.as_deref()).map(|found| found.text).unwrap_or_default();
        writing.note_start(&self.start.vm_uuid, &self.start.root.host_uuid().unwrap_or_default(), &given)
    }
}

impl XapiState {
    fn of_answer(answer: &XapiAnswer) -> Self {
        match answer {
            Ok(Xapi { vm: Some(_), .. }) => Self::NotAsked,
            Ok(Xapi { vm: None, .. }) => Self::UnknownVm,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}
