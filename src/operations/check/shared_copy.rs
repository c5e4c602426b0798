//! Whether this host's database agrees with the shared copy.

use std::collections::HashSet;

use super::{DATABASE_TIMEOUT, InXapi};
use crate::entry::{GpuSubject, Subject};
use crate::error::Error;
use crate::operations::hosts::host_of;
use crate::paths::Root;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::store::{Store, StoreError};

/// From this number of entries for VMs that no longer exist, `check` reports them: each 100 cost every VM's start about 15 ms
/// (docs/resource-pools.md).
const MANY_GONE: usize = 100;

/// Older settings are fine: the host takes over newer ones before it starts a VM.
pub(super) fn agrees(root: &Root, in_xapi: &InXapi) -> Result<String, String> {
    let Difference { ahead, behind, gone, not_for_us } =
        difference(root, in_xapi).map_err(|error| error.to_string())?;
    let changes = |count: usize| if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
    if let Some(error) = not_for_us {
        return Err(error.to_string());
    }
    let same = match (ahead, behind) {
        (0, 0) => "this host agrees with the shared copy".to_owned(),
        (0, behind) => {
            format!("{} of other hosts will be taken over at the next start, or by 'vgpu-admin sync'", changes(behind))
        }
        (ahead, _) => {
            return Err(format!("{} on this host that no other host has: run 'vgpu-admin sync' here", changes(ahead)));
        }
    };
    if gone < MANY_GONE {
        return Ok(same);
    }
    Ok(format!(
        "{same}; the shared copy also has the settings of {gone} VMs that XAPI does not know, which slows down every VM's start: see \
         'vgpu-admin prune --dry-run'"
    ))
}

/// The differences between this host's database and the shared copy.
#[derive(Default)]
struct Difference {
    /// VMs, GPU pools and GPUs with newer settings in the database.
    ahead: usize,
    /// VMs, GPU pools and GPUs with newer settings in the shared copy.
    behind: usize,
    /// VMs in the shared copy that XAPI does not know.
    gone: usize,
    /// Set if a newer program has written an entry.
    not_for_us: Option<Error>,
}

fn difference(root: &Root, InXapi { shared, records, hosts, .. }: &InXapi) -> Result<Difference, Error> {
    let known: HashSet<_> = records.iter().map(|record| record.uuid.as_str()).collect();
    let gone = shared.vms().filter(|vm| !known.contains(vm.to_string().as_str())).count();
    let store = match Store::open_existing(&root.database(), DATABASE_TIMEOUT) {
        // The checks of the database report it.
        Err(StoreError::Missing(_)) => {
            let behind = shared.vms().count() + shared.gpu_pools().count();
            return Ok(Difference { behind, gone, ..Difference::default() });
        }
        store => store?,
    };
    let news = shared.news(store.read())?;
    let behind = news.entries.len() + news.gpu_pools.len();
    let mut difference = Difference { behind, gone, ..Difference::default() };
    for (uuid, entry) in store.read().entries()? {
        // It was in the shared copy, and XAPI does not know the VM any more: it was pruned on another host.
        let is_pruned = !known.contains(uuid.to_string().as_str()) && store.read().was_ever_pushed(&uuid)?;
        let is_newer = shared.compare(&uuid, Some(&entry)) == Comparison::HostIsNewer;
        difference.ahead += usize::from(is_newer && !is_pruned);
    }
    for (subject, entry) in store.read().gpu_entries()? {
        // The same of a GPU whose host is gone.
        let is_pruned = match subject {
            GpuSubject::Gpu(gpu) => host_of(hosts, gpu.host).is_none() && store.read().is_gpu_pushed(&subject)?,
            GpuSubject::Pool(_) => false,
        };
        let is_newer = shared.compare(&subject, Some(&entry)) == Comparison::HostIsNewer;
        difference.ahead += usize::from(is_newer && !is_pruned);
    }
    let of_vm = shared.vms().find_map(|vm_uuid| newer(shared, &vm_uuid));
    difference.not_for_us = of_vm.or_else(|| shared.gpu_pools().find_map(|subject| newer(shared, &subject)));
    Ok(difference)
}

fn newer<S: Subject>(shared: &SharedCopy, subject: &S) -> Option<Error> {
    Some(Error::NewerFormat { subject: subject.shown(), error: shared.written_by_newer(subject)? })
}
