//! What a starting VM is to have, and what decides while XAPI is away.

use super::found::XapiAnswer;
use super::reconcile::Reconciliation;
use super::report::{Deciding, Report};
use crate::device_args::{self, FoundDevice};
use crate::error::Error;
use crate::model::{PoolId, Priority, VmSettings, VmUuid};
use crate::plan::{Goal, Origin, Unwanted, goal};
use crate::store::{Registration, StoreError};

impl Reconciliation<'_> {
    pub(super) fn goal(&self, registration: &Registration, args: Option<&str>) -> Result<Goal, Error> {
        let found = device_args::find_all(&self.start.settings.device, args.unwrap_or_default());
        let origin = match registration {
            Registration::Registered(_) => None,
            Registration::Removed { .. } | Registration::Unknown => self.origin(&found)?,
        };
        Ok(goal(self.start.settings, registration, &found, origin))
    }

    /// The other VM whose number an argument carries. One that a removed VM had is its too: it may come back with it.
    fn origin(&self, found: &[FoundDevice]) -> Result<Option<Origin>, StoreError> {
        let read = self.store.read();
        for number in found.iter().filter_map(|found| found.vm_id) {
            if let Some(uuid) = read.holder_of(number)?.filter(|holder| *holder != self.start.vm_uuid) {
                return Ok(Some(Origin { uuid, settings: read.vm(&uuid)?.map(|vm| vm.settings) }));
            }
        }
        Ok(None)
    }

    /// Registers the VM, and says whether that is in the database. Where it cannot be, this boot gets what it would have, and
    /// what XAPI has stays, so that the next start can register it: a clone never boots with what its origin has.
    pub(super) fn register(
        &self,
        pool: PoolId,
        priority: Priority,
        origin: Option<VmUuid>,
        hindrance: Option<&String>,
        report: &mut Report,
    ) -> (Goal, bool) {
        let uuid = &self.start.vm_uuid;
        let insert = || {
            let writing = self.store.write()?;
            writing.insert_by_default(uuid, pool, priority)?;
            let vm = writing.read().vm(uuid)?;
            writing.commit()?;
            Ok::<_, StoreError>((vm, self.store.read().last_change(uuid)?))
        };
        // Whoever has the VM's lock may be registering it.
        let inserted = match hindrance {
            Some(why) => Err(why.clone()),
            None => insert().map_err(|error| error.to_string()),
        };
        let problem = match inserted {
            Ok((Some(vm), last_change)) => {
                report.registered_now = true;
                report.last_change = last_change;
                return (Goal::Have(vm.settings), true);
            }
            Ok((None, _)) => "it has disappeared from the database".to_owned(),
            Err(why) => why,
        };
        report.problems.push(format!("the VM could not be registered: {problem}"));
        match (self.store.read().free_number(uuid), origin) {
            (Ok(vm_id), _) => (Goal::Have(VmSettings { pool, priority, vm_id }), false),
            (Err(_), Some(origin)) => (Goal::HaveNot(Unwanted::Inherited { origin }), false),
            (Err(_), None) => (Goal::LeaveAlone, false),
        }
    }

    /// Who decides while XAPI cannot be asked; `None` where it can.
    ///
    /// A row that XAPI was told of yields to arguments that carry this VM's own number: every change is written to XAPI at
    /// once, so they are at least as new. So does a removal, for the VM may have been registered again elsewhere. A row with
    /// changes of its own wins, and so does one that is known to have overtaken the arguments since the VM's last start: xapi
    /// went away before it had passed the change on to xenopsd. A refusal is no opinion of XAPI's here: a host without
    /// its coordinator refuses with whatever it believes to be the reason.
    pub(super) fn deciding_without(
        &self,
        xapi: &XapiAnswer,
        registration: &Registration,
        goal: &Goal,
        args: Option<&str>,
    ) -> Result<Option<Deciding>, StoreError> {
        if xapi.is_ok() || *goal == Goal::LeaveAlone {
            return Ok(None);
        }
        let own_number = match registration {
            Registration::Registered(vm) if vm.is_pushed() => Some(vm.settings.vm_id),
            Registration::Removed { vm_id, pushed: true } => *vm_id,
            Registration::Unknown => None,
            Registration::Registered(_) | Registration::Removed { .. } => {
                return Ok(Some(Deciding::Database("it has changes that were not written to XAPI")));
            }
        };
        let found = self.find(args).and_then(|found| Some((found.settings()?, found.text)));
        Ok(Some(match found {
            Some((settings, text)) if own_number == Some(settings.vm_id) => {
                if self.store.read().has_overtaken(&self.start.vm_uuid, &text, &settings)? {
                    Deciding::Database("it was changed after the VM's last start, and the arguments are older")
                } else {
                    Deciding::Arguments
                }
            }
            _ => Deciding::Database("the arguments did not have this VM's own vm_id"),
        }))
    }
}
