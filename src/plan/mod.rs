//! Plans what XAPI must be told of a VM. This is the only place that decides it: a change, an import, `sync`, `adopt` and
//! the hook all use it.
//!
//! Pure functions: they ask neither XAPI nor the database.

mod goal;
mod gpu_pool;

use crate::device_args;
use crate::entry::{Entry, Subject};
use crate::error::Error;
use crate::model::VmUuid;
use crate::reply::XapiOutcome;
use crate::settings::DeviceName;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::xenapi::{MapChange, MapField, PUT_ASIDE_KEY, Reference, VmRecord, XapiVm};

pub use goal::{Goal, Origin, Unwanted, goal};
pub use gpu_pool::plan_gpu_pool;

/// What is known of a VM.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub uuid: &'a VmUuid,
    /// What this host has; `None` if it never heard of the VM.
    pub here: Option<&'a Entry>,
    /// `None` if XAPI is away.
    pub shared: Option<&'a SharedCopy>,
    /// The VM as XAPI has it.
    pub vm: &'a XapiVm,
    /// Whether a change of it is requested now.
    pub is_asked_for: bool,
    /// Whether XAPI was told of the VM before. If it was, and neither the shared copy nor XAPI has the VM any more, it was
    /// pruned.
    pub was_told: bool,
}

/// What XAPI must be told of a VM, in the order of writing, and the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub changes: Vec<MapChange>,
    /// The outcome once the changes are made.
    pub outcome: XapiOutcome,
}

/// Plans what XAPI must be told of a VM: the shared copy first, then the VM's record, so that a program that finds the
/// record right also finds the shared copy right.
///
/// # Errors
/// A newer program has written the VM's entry in the shared copy, or the VM's arguments cannot be made right.
pub fn plan(device: &DeviceName, known: &Known<'_>, goal: &Goal) -> Result<Plan, Error> {
    let Some(shared) = known.shared else { return Ok(Plan { changes: Vec::new(), outcome: XapiOutcome::Away }) };
    let is_pruned = !known.is_asked_for
        && known.was_told
        && matches!(known.vm, XapiVm::Unknown)
        && shared.compare(known.uuid, None) == Comparison::Same;
    let is_to_be_shared = match shared.compare(known.uuid, known.here) {
        Comparison::NotForUs(error) => return Err(Error::NewerFormat { subject: known.uuid.shown(), error }),
        Comparison::HostIsNewer => !is_pruned,
        // A requested change is written in this program's format.
        Comparison::Same => known.is_asked_for,
        Comparison::CopyIsNewer(_) => false,
    };
    let here = known.here.filter(|_| is_to_be_shared);
    let mut changes: Vec<_> = here.and_then(|here| shared.change(known.uuid, here)).into_iter().collect();
    let outcome = match known.vm {
        XapiVm::Away => XapiOutcome::Away,
        XapiVm::Unknown => XapiOutcome::UnknownVm,
        XapiVm::Known { vm, record } => {
            let of_record = changes_of_record(device, vm, record, goal)?;
            let outcome = if of_record.is_empty() { XapiOutcome::AlreadyRight } else { XapiOutcome::Written };
            changes.extend(of_record);
            outcome
        }
    };
    Ok(Plan { changes, outcome })
}

/// The changes that give a VM's record the arguments that it should have. Arguments that are not ours are put aside
/// meanwhile.
fn changes_of_record(
    device: &DeviceName,
    vm: &Reference,
    record: &VmRecord,
    goal: &Goal,
) -> Result<Vec<MapChange>, Error> {
    let stored = record.stored_args().map(str::to_owned);
    let wanted = goal.wanted(device, record.args())?;
    let aside = record.args_put_aside().map(str::to_owned);
    let put_aside = match &stored {
        Some(args) if wanted.is_some() && stored != wanted && device_args::has_more(device, args) => stored.clone(),
        _ => None,
    };
    let change = |map: MapField, key: &str, old: &Option<String>, new: &Option<String>| {
        let (object, key) = (vm.clone(), key.to_owned());
        (old != new).then(|| MapChange { map, object, key, old: old.clone(), new: new.clone() })
    };
    // Drop what was put aside before if the key is there: it may be older than what the administrator has written since.
    let before = if stored.is_some() { put_aside } else { aside.clone() };
    Ok([
        change(MapField::VmOtherConfig, PUT_ASIDE_KEY, &aside, &before),
        change(MapField::VmPlatform, device_args::PLATFORM_KEY, &stored, &wanted),
        change(MapField::VmOtherConfig, PUT_ASIDE_KEY, &before, &None),
    ]
    .into_iter()
    .flatten()
    .collect())
}

#[cfg(test)]
mod tests;
