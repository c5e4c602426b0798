//! Makes this boot and the next ones right, and notes it.

use super::Milestone;
use super::found::{Booting, Xapi, XapiAnswer, XapiVm};
use super::reconcile::Reconciliation;
use super::report::{Report, ThisBoot, XapiState};
use crate::device_args::PLATFORM_KEY;
use crate::error::Error;
use crate::mirror::{Comparison, MapChange, Mirror};
use crate::model::VmSettings;
use crate::store::{StoreError, Writing};
use crate::xenapi::{Session, XapiError};

impl Reconciliation<'_> {
    pub(super) fn repair_boot(&self, booting: Booting, report: &mut Report) -> Result<ThisBoot, Error> {
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

    pub(super) fn repair_xapi(&self, xapi: &mut XapiAnswer, settings: Option<&VmSettings>) -> XapiState {
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
    pub(super) fn push_removal(&self, xapi: &mut Xapi) {
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
            changes.extend(MapChange::of_arguments(vm, args.as_deref(), wanted));
        }
        Ok(changes)
    }

    /// Notes in the database what this start is given and what XAPI has. A start is right without it.
    pub(super) fn note(&self, report: &Report, writing: Result<Writing<'_>, StoreError>) {
        self.noted(writing.and_then(|writing| self.write_notes(report, writing)));
    }

    pub(super) fn noted(&self, outcome: Result<(), StoreError>) {
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
            XapiState::Repaired | XapiState::AlreadyRight => writing.mark_pushed(uuid, true)?,
            XapiState::UnknownVm => writing.mark_pushed(uuid, false)?,
            // What XAPI was told of before, it was: the next start looks again all the same.
            XapiState::Failed(_) | XapiState::NotAsked => {}
        }
        self.note_start(report, &writing)?;
        writing.commit()
    }

    /// Notes what this start is given, also to a VM that was removed: until it is started again it may have kept its vGPU.
    pub(super) fn note_start(&self, report: &Report, writing: &Writing<'_>) -> Result<(), StoreError> {
        let is_ours = report.is_known || report.settings.is_some();
        if !(is_ours && report.boots_with_args()) {
            return Ok(());
        }
        let given = self.find(report.args.as_deref()).map(|found| found.text).unwrap_or_default();
        writing.note_start(&self.start.vm_uuid, &self.start.root.host_uuid().unwrap_or_default(), &given)
    }
}
