//! Corrects this boot and the next ones, and records the start.

use super::Milestone;
use super::found::{Booting, Xapi, XapiAnswer};
use super::reconcile::Reconciliation;
use super::report::{Report, ThisBoot, XapiState};
use crate::device_args::PLATFORM_KEY;
use crate::error::Error;
use crate::plan::{Goal, Known, plan};
use crate::store::{StoreError, Writing};
use crate::transaction::{Pace, write};
use crate::xenapi::{MapField, XapiVm};

impl Reconciliation<'_> {
    /// Gives the boot in progress these arguments.
    pub(super) fn repair_boot(&self, booting: Booting, report: &mut Report, wanted: Option<String>) -> ThisBoot {
        let (mut xenopsd, mut metadata) = match booting {
            Booting::Now(xenopsd, metadata) => (xenopsd, metadata),
            Booting::No { is_running } => return ThisBoot::NotStarting { is_running },
            Booting::Unknown(error) => return ThisBoot::Unknown(error.to_string()),
        };
        let was = metadata.platform(PLATFORM_KEY).map(str::to_owned);
        let this_boot = if was == wanted {
            ThisBoot::AlreadyRight
        } else {
            metadata.set_platform(PLATFORM_KEY, wanted.as_deref());
            if let Err(error) = xenopsd.add(&self.start.vm_uuid, &metadata, self.deadline) {
                return ThisBoot::Unknown(error.to_string());
            }
            ThisBoot::Repaired { was }
        };
        report.args = wanted;
        (self.reached)(Milestone::BootIsRight);
        this_boot
    }

    /// Tells XAPI what it lacks, and returns up to which revision it was told.
    pub(super) fn repair_xapi(&self, xapi: &mut XapiAnswer, goal: &Goal) -> (XapiState, Option<i64>) {
        let Ok(found) = xapi else { return (XapiState::of_answer(xapi), None) };
        match self.tell(found, goal) {
            Err(error) => (XapiState::Failed(error.to_string()), None),
            Ok((_, told)) if matches!(found.vm, XapiVm::Unknown) => (XapiState::UnknownVm, told),
            Ok((true, told)) => (XapiState::Repaired, told),
            Ok((false, told)) => (XapiState::AlreadyRight, told),
        }
    }

    fn tell(&self, Xapi { session, shared, vm }: &mut Xapi, goal: &Goal) -> Result<(bool, Option<i64>), Error> {
        let uuid = &self.start.vm_uuid;
        let here = self.store.read().entry(uuid)?;
        let known = Known { uuid, here: here.as_ref(), shared: Some(shared), vm, is_asked_for: false, was_told: false };
        let changes = plan(&self.start.settings.device, &known, goal)?.changes;
        let pace = Pace { end: Some(self.deadline), change: self.start.share(2), needed: self.start.share(3) };
        // XAPI is not told of anything that it is too late to begin.
        if pace.has_time()
            && changes.iter().any(|change| change.map == MapField::PoolOtherConfig)
            && let Err(error) = self.store.note_as_told(uuid)
        {
            log::warn!("VM {uuid}: that XAPI is told of the edited row could not be stored: {error}");
        }
        write(session, &changes, &pace)?;
        // If the row was edited meanwhile, the next start tells XAPI.
        let told = here.filter(|here| here.settings == goal.settings()).map(|here| here.revision);
        Ok((!changes.is_empty(), told))
    }

    /// Records in the database what this start is given, and up to which revision XAPI was told. The start is right without
    /// it, so this may wait as long as there is time.
    pub(super) fn note(&self, report: &Report, told: Option<i64>) {
        let timeout = self.deadline.remaining().unwrap_or_default();
        let noted = self
            .store
            .set_timeout(timeout)
            .and_then(|()| self.store.write())
            .and_then(|writing| self.write_notes(report, told, writing));
        if let Err(error) = noted {
            log::warn!("VM {}: this start could not be recorded: {error}", self.start.vm_uuid);
        }
    }

    fn write_notes(&self, report: &Report, told: Option<i64>, writing: Writing<'_>) -> Result<(), StoreError> {
        let uuid = &self.start.vm_uuid;
        if report.settings.is_some() {
            writing.complete(uuid)?;
            if let Some(name) = &report.name {
                writing.set_name(uuid, name)?;
            }
        }
        if let Some(revision) = told {
            writing.mark_pushed(uuid, revision, report.xapi != XapiState::UnknownVm)?;
        }
        // Also for a removed VM: it may keep its vGPU until it is started again.
        let is_ours = report.is_known || report.settings.is_some();
        if is_ours && report.boots_with_args() {
            let given = self.find(report.args.as_deref()).map(|found| found.text).unwrap_or_default();
            writing.note_start(uuid, &self.start.root.host_uuid().unwrap_or_default(), &given, report.last_change)?;
        }
        writing.commit()
    }
}
