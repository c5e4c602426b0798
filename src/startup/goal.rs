//! What a starting VM is to have.

use crate::device_args::FoundDevice;
use crate::model::{PoolId, Priority, VmSettings, VmUuid};
use crate::settings::{Settings, Unregistered};
use crate::store::{Reading, Registration, StoreError};

/// What a starting VM is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Goal {
    /// Whatever it has: it is not ours.
    LeaveAlone,
    /// Our argument, with these settings.
    Have(VmSettings),
    /// No argument of ours, for this reason.
    HaveNot(Unwanted),
    /// Settings of its own, given to it now.
    Register {
        /// Its GPU pool.
        pool: PoolId,
        /// Its priority.
        priority: Priority,
        /// The VM whose argument it carries, where it is a clone.
        origin: Option<VmUuid>,
    },
}

/// Why an argument is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// It is another VM's: this one was cloned from it, or from a template or snapshot of it.
    Inherited {
        /// The VM to which it belongs.
        origin: VmUuid,
    },
    /// The VM was removed; a snapshot or an import may have brought the argument back.
    Removed,
}

/// What a VM is to have, given what the database knows of it and the argument that it is about to boot with.
pub(super) fn goal(
    settings: &Settings,
    vm_uuid: VmUuid,
    registration: &Registration,
    found: &[FoundDevice],
    store: Reading<'_>,
) -> Result<Goal, StoreError> {
    let numbers: Vec<_> = found.iter().filter_map(|found| found.vm_id).collect();
    let was_removed = match registration {
        Registration::Registered(vm) => return Ok(Goal::Have(vm.settings)),
        Registration::Removed { vm_id: Some(vm_id), .. } if numbers.contains(vm_id) => {
            return Ok(Goal::HaveNot(Unwanted::Removed));
        }
        Registration::Removed { .. } => true,
        Registration::Unknown => false,
    };
    let mut origin = None;
    for number in numbers {
        // A number that a removed VM had is its too: it may come back with it.
        origin = origin.or(store.holder_of(number)?.filter(|holder| *holder != vm_uuid));
    }
    // Who was removed on purpose is not registered again behind the administrator's back, and a hand-written argument
    // is nobody's to replace.
    let may_register = !was_removed && (found.is_empty() || origin.is_some());
    Ok(match (settings.unregistered, origin) {
        (Unregistered::Default, origin) if may_register => {
            Goal::Register { pool: settings.defaults.pool, priority: settings.defaults.priority, origin }
        }
        (Unregistered::Inherit, Some(uuid)) if may_register => match store.vm(&uuid)? {
            Some(vm) => Goal::Register { pool: vm.settings.pool, priority: vm.settings.priority, origin },
            None => Goal::HaveNot(Unwanted::Inherited { origin: uuid }),
        },
        (_, Some(origin)) => Goal::HaveNot(Unwanted::Inherited { origin }),
        (_, None) => Goal::LeaveAlone,
    })
}
