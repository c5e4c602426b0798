//! This host's history.

use super::Host;
use crate::error::Error;
use crate::model::VmUuid;
use crate::reply::{GpuHistoryEntry, HistoryEntry, HistoryItem};
use crate::store::{Change, GpuChange, Through};

/// The newest changes first: of one VM, or of all VMs, GPU pools and GPUs; at most `limit`.
///
/// # Errors
/// The database cannot be read.
pub fn history(host: &Host, vm: Option<VmUuid>, limit: Option<u32>) -> Result<Vec<HistoryItem>, Error> {
    let here = host.root.host_uuid();
    let host_of = |through: &str| here.clone().filter(|_| through != Through::AnotherHost.as_str());
    let read = host.store.read();
    let of_vms = read.history(vm.as_ref(), limit)?;
    let of_vms = of_vms.into_iter().map(|change| HistoryItem::Vm(of_vm(host_of(&change.through), change)));
    if vm.is_some() {
        return Ok(of_vms.collect());
    }
    let of_gpus = read.gpu_history(limit)?;
    let of_gpus = of_gpus.into_iter().map(|change| HistoryItem::GpuPool(of_gpu(host_of(&change.through), change)));
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(merged(of_vms, of_gpus).take(limit).collect())
}

/// Both, the newest first. Each stays in its own order: the time is another host's where a change was taken over.
fn merged(
    one: impl Iterator<Item = HistoryItem>,
    other: impl Iterator<Item = HistoryItem>,
) -> impl Iterator<Item = HistoryItem> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if first.changed_at() < second.changed_at() => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

fn of_vm(host_uuid: Option<String>, change: Change) -> HistoryEntry {
    HistoryEntry {
        changed_at: change.changed_at,
        vm_uuid: change.vm_uuid,
        vm_name: change.vm_name,
        from: change.from.map(Into::into),
        to: change.to.map(Into::into),
        through: change.through,
        changed_by: change.changed_by,
        host_uuid,
    }
}

fn of_gpu(host_uuid: Option<String>, change: GpuChange) -> GpuHistoryEntry {
    GpuHistoryEntry {
        changed_at: change.changed_at,
        subject: change.subject,
        from: change.from.into(),
        to: change.to.into(),
        through: change.through,
        changed_by: change.changed_by,
        host_uuid,
    }
}
