//! Brings the GPU pools and GPUs of this host and of the shared copy to one state.

use std::collections::{BTreeSet, HashSet};

use super::Host;
use crate::entry::{GpuEntry, GpuSubject, Subject};
use crate::error::Error;
use crate::model::Gpu;
use crate::plan::plan_gpu_pool;
use crate::reply::GpuPoolsSync;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::store::Store;
use crate::transaction::{HeldSignals, Scope, Transaction};
use crate::xenapi::{MapChange, Session};

/// The UUIDs of the hosts that XAPI knows.
pub(super) type KnownHosts = HashSet<String>;

/// Writes what the shared copy lacks of GPU pools and GPUs. A dry run says what would be done in `store`, a copy.
///
/// # Errors
/// XAPI or the database cannot be used.
pub(super) fn sync_gpu_pools(
    host: &Host,
    transaction: &mut Transaction<'_>,
    store: &Store,
    hosts: &KnownHosts,
    dry_run: bool,
) -> Result<GpuPoolsSync, Error> {
    let mut reply = GpuPoolsSync::default();
    let Some(shared) = transaction.shared() else { return Ok(reply) };
    let newer = |subject: GpuSubject| {
        Some(format!("the shared copy's entry of {} {}", subject.shown(), shared.written_by_newer(&subject)?))
    };
    reply.left_alone = shared.gpu_pools().filter_map(newer).collect();
    let lacking = lacking(store, shared, hosts)?;
    if dry_run || lacking.is_empty() {
        reply.pushed = lacking.into_iter().filter_map(|lack| lack.change.map(|_| lack.subject)).collect();
        return Ok(reply);
    }
    let _locked = transaction.lock(Scope::gpu_pools())?;
    transaction.look_again(Scope::gpu_pools())?;
    let Some(shared) = transaction.shared() else { return Ok(reply) };
    for Lack { subject, entry, change } in self::lacking(&host.store, shared, hosts)? {
        let _signals = HeldSignals::hold(host);
        host.store.note_gpu_as_told(&subject)?;
        transaction.write_to_xapi(change.as_slice())?;
        let writing = host.store.write()?;
        writing.mark_gpu_pushed(&subject, entry.revision)?;
        writing.commit()?;
        reply.pushed.extend(change.map(|_| subject));
    }
    Ok(reply)
}

/// What the shared copy lacks, or what this host has not noted as told.
struct Lack {
    subject: GpuSubject,
    entry: GpuEntry,
    change: Option<MapChange>,
}

fn lacking(store: &Store, shared: &SharedCopy, hosts: &KnownHosts) -> Result<Vec<Lack>, Error> {
    let mut lacking = Vec::new();
    for (subject, entry) in store.read().gpu_entries()? {
        let is_pushed = store.read().is_gpu_pushed(&subject)?;
        let is_missing = shared.compare(&subject, None) == Comparison::Same;
        let change =
            match plan_gpu_pool(Some(shared), &subject, &entry, is_pushed && is_missing && is_gone(&subject, hosts)) {
                // The reply has it already.
                Err(Error::NewerFormat { .. }) => continue,
                change => change?,
            };
        if change.is_some() || !is_pushed {
            lacking.push(Lack { subject, entry, change });
        }
    }
    Ok(lacking)
}

/// Whether it is a GPU of a host that XAPI does not know.
fn is_gone(subject: &GpuSubject, hosts: &KnownHosts) -> bool {
    matches!(subject, GpuSubject::Gpu(gpu) if !hosts.contains(&gpu.host.to_string()))
}

/// Forgets the GPUs that are meant, of hosts that XAPI does not know, here and in the shared copy, which was read before. A dry run says what
/// would be done.
///
/// # Errors
/// XAPI or the database cannot be used.
pub(super) fn prune_gpus(
    host: &Host,
    transaction: &mut Transaction<'_>,
    is_meant: &dyn Fn(&Gpu) -> bool,
    dry_run: bool,
) -> Result<Vec<Gpu>, Error> {
    // Before the hosts: a host that joins the resource pool meanwhile has no GPU among them.
    let here = host.store.read().gpu_entries()?.into_iter().map(|(subject, _)| subject);
    let there = transaction.shared().map(|shared| shared.gpu_pools().collect::<Vec<_>>()).unwrap_or_default();
    let all: BTreeSet<_> = here.chain(there).collect();
    let hosts = known_hosts(transaction)?;
    let gone = all.into_iter().filter_map(|subject| match subject {
        GpuSubject::Gpu(gpu) if is_meant(&gpu) && is_gone(&subject, &hosts) => Some(gpu),
        _ => None,
    });
    let mut gone: Vec<_> = gone.collect();
    gone.retain(|gpu| !is_left_alone(transaction, *gpu));
    if !dry_run && !gone.is_empty() {
        let _locked = transaction.lock(Scope::gpu_pools())?;
        transaction.look_again(Scope::gpu_pools())?;
        gone.iter().try_for_each(|gpu| forget(host, transaction, gpu))?;
    }
    Ok(gone)
}

fn is_left_alone(transaction: &Transaction<'_>, gpu: Gpu) -> bool {
    let newer = transaction.shared().and_then(|shared| shared.written_by_newer(&GpuSubject::Gpu(gpu)));
    newer.inspect(|error| log::warn!("GPU {gpu}: the shared copy's entry {error}")).is_some()
}

fn forget(host: &Host, transaction: &mut Transaction<'_>, gpu: &Gpu) -> Result<(), Error> {
    let removal = transaction.shared().and_then(|shared| shared.removal(&GpuSubject::Gpu(*gpu)));
    let _signals = HeldSignals::hold(host);
    transaction.write_to_xapi(removal.as_slice())?;
    let writing = host.store.write()?;
    writing.forget_gpu(gpu)?;
    Ok(writing.commit()?)
}

/// The hosts of the resource pool.
///
/// # Errors
/// XAPI cannot be used.
pub(super) fn known_hosts(transaction: &mut Transaction<'_>) -> Result<KnownHosts, Error> {
    let hosts = transaction.ask(Session::hosts)?.unwrap_or_default();
    Ok(hosts.into_values().map(|host| host.uuid).collect())
}
