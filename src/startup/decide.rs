//! Decides what a starting VM should have, and what wins if XAPI is away.

use super::found::XapiAnswer;
use super::reconcile::Reconciliation;
use super::report::{Deciding, Report};
use crate::device_args::{self, FoundDevice};
use crate::error::Error;
use crate::limits::Room;
use crate::model::{PoolId, Priority, VmSettings, VmUuid};
use crate::plan::{Goal, Origin, Unwanted, goal};
use crate::store::{Registration, StoreError, StoredVm};

/// What has become of a registration.
enum Inserted {
    /// With the number of the last change.
    Stored(Option<StoredVm>, i64),
    /// The GPU pool has as many VMs as it may have.
    Full(String),
}

impl Reconciliation<'_> {
    pub(super) fn goal(&self, registration: &Registration, args: Option<&str>) -> Result<Goal, Error> {
        let found = device_args::find_all(&self.start.settings.device, args.unwrap_or_default());
        let origin = match registration {
            Registration::Registered(_) => None,
            Registration::Removed { .. } | Registration::Unknown => self.origin(&found)?,
        };
        Ok(goal(self.start.settings, registration, &found, origin))
    }

    /// The other VM whose number is in an argument. A removed VM keeps its number, because it may be registered again.
    fn origin(&self, found: &[FoundDevice]) -> Result<Option<Origin>, StoreError> {
        let read = self.store.read();
        for number in found.iter().filter_map(|found| found.vm_id) {
            if let Some(uuid) = read.holder_of(number)?.filter(|holder| *holder != self.start.vm_uuid) {
                return Ok(Some(Origin { uuid, settings: read.vm(&uuid)?.map(|vm| vm.settings) }));
            }
        }
        Ok(None)
    }

    /// Registers the VM, and returns whether it is now in the database. If it cannot be stored, this boot gets the settings
    /// that it would have been given, and XAPI's record stays as it is, so that the next start can register the VM. A clone
    /// never boots with its origin's argument.
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
            let room = Room::before(&writing)?;
            writing.insert_by_default(uuid, pool, priority)?;
            // The start is not refused: it goes on without a registration.
            match room.refuse_overflow(&writing) {
                Err(Error::Store(error)) => return Err(error),
                Err(full) => return Ok(Inserted::Full(full.to_string())),
                Ok(()) => {}
            }
            let vm = writing.read().vm(uuid)?;
            writing.commit()?;
            Ok::<_, StoreError>(Inserted::Stored(vm, self.store.read().last_change(uuid)?))
        };
        // The program that has the VM's lock may be registering it.
        let inserted = match hindrance {
            Some(why) => Err(why.clone()),
            None => insert().map_err(|error| error.to_string()),
        };
        let not_registered = || origin.map_or(Goal::LeaveAlone, |origin| Goal::HaveNot(Unwanted::Inherited { origin }));
        let problem = match inserted {
            Ok(Inserted::Full(why)) => {
                report.problems.push(format!("the VM is not registered: {why}"));
                return (not_registered(), false);
            }
            Ok(Inserted::Stored(Some(vm), last_change)) => {
                report.registered_now = true;
                report.last_change = last_change;
                return (Goal::Have(vm.settings), true);
            }
            Ok(Inserted::Stored(None, _)) => "it has disappeared from the database".to_owned(),
            Err(why) => why,
        };
        report.problems.push(format!("the VM could not be registered: {problem}"));
        match self.store.read().free_number(uuid) {
            Ok(vm_id) if !self.is_full(pool) => (Goal::Have(VmSettings { pool, priority, vm_id }), false),
            _ => (not_registered(), false),
        }
    }

    fn is_full(&self, pool: PoolId) -> bool {
        let read = self.store.read();
        let limit = read.vm_limit(pool).ok().flatten();
        limit.is_some_and(|max| read.count_vms_of(pool).is_ok_and(|vms| max.free(vms) == 0))
    }

    /// What decides if XAPI cannot be asked; `None` if it can, or if the VM is left alone.
    ///
    /// A row that XAPI was told of gives way to arguments with this VM's own number: every change is written to XAPI at
    /// once, so the arguments are at least as new. So does a removal, because the VM may have been registered again on
    /// another host. A row with changes that XAPI was not told of wins. So does a row that is known to be newer than the
    /// arguments, because it was changed after the VM's last start and xapi went away before it passed the change on to
    /// xenopsd. A refusal does not count as an answer here: a host without its coordinator may refuse for any reason.
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
