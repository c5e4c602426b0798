//! Operations that change and show GPU pools and the GPUs that serve them.

use indexmap::IndexMap;

use super::Host;
use super::catch_up::Current;
use super::changed::only_the_database;
use super::hosts::host_of;
use crate::entry::GpuSubject;
use crate::error::Error;
use crate::model::{GpuPoolSettings, PoolDescription, PoolId, PoolName, Priority, VmLimit};
use crate::reply::{GpuPoolChangeReply, PoolGpu, ShowPoolReply};
use crate::request::OrNone;
use crate::store::{Reading, StoredGpu, Writing};
use crate::transaction::{Changed, Scope, Transaction};
use crate::xenapi::{HostRecord, Session, XapiError, XapiGpu};

/// What to change of a GPU pool; what is left out stays.
#[derive(Debug, Clone, Default)]
pub struct SetGpuPool {
    pub name: Option<OrNone<PoolName>>,
    pub description: Option<OrNone<PoolDescription>>,
    pub max_vms: Option<OrNone<VmLimit>>,
}

impl SetGpuPool {
    fn applied_to(&self, before: &GpuPoolSettings) -> GpuPoolSettings {
        GpuPoolSettings {
            name: changed(self.name.as_ref(), before.name.as_ref()),
            description: changed(self.description.as_ref(), before.description.as_ref()),
            max_vms: changed(self.max_vms.as_ref(), before.max_vms.as_ref()),
        }
    }
}

fn changed<T: Clone>(change: Option<&OrNone<T>>, before: Option<&T>) -> Option<T> {
    change.map_or_else(|| before.cloned(), |change| change.clone().into_option())
}

/// Sets the name, description and limit of a GPU pool. A limit below the number of VMs that it has is allowed.
///
/// # Errors
/// No change was given, or the database or XAPI fails.
pub fn set_gpu_pool(
    host: &Host,
    pool: PoolId,
    change: &SetGpuPool,
    dry_run: bool,
) -> Result<GpuPoolChangeReply, Error> {
    if change.name.is_none() && change.description.is_none() && change.max_vms.is_none() {
        return Err(Error::NothingToChangeInPool);
    }
    let mut transaction = Transaction::begin(host, dry_run)?;
    let set = |writing: &Writing<'_>| {
        let before = writing.read().gpu_pool(pool)?;
        let after = change.applied_to(&before);
        writing.set_gpu_pool(pool, &after)?;
        Ok((before, after, writing.read().count_vms_of(pool)?))
    };
    let Changed { value, gpu_pools_told: xapi, .. } =
        transaction.change_or_rehearse(Scope::gpu_pools(), dry_run, &|writing, _| set(writing))?;
    let (before, after, vms) = value;
    let is_changed = before != after;
    let mut notes: Vec<_> =
        transaction.away().filter(|_| is_changed).map(|why| note_on_xapi(why, dry_run)).into_iter().collect();
    notes.extend(note_on_limit(pool, after.max_vms, vms));
    if !dry_run {
        log::info!(
            "GPU pool {pool}: name={:?} max_vms={:?} changed={is_changed} xapi={xapi:?}",
            after.name,
            after.max_vms
        );
    }
    Ok(GpuPoolChangeReply {
        dry_run,
        changed: is_changed,
        pool,
        from: before.into(),
        to: after.into(),
        vms,
        xapi,
        notes,
    })
}

pub(super) fn note_on_xapi(why: &XapiError, dry_run: bool) -> String {
    let only = only_the_database(why, dry_run);
    format!("{only}; 'vgpu-admin sync' tells the other hosts when XAPI answers.")
}

fn note_on_limit(pool: PoolId, max: Option<VmLimit>, vms: u64) -> Option<String> {
    let max = max.filter(|max| max.is_exceeded_by(vms))?;
    Some(format!(
        "GPU pool {pool} has {vms} VMs, which is more than {max}: they stay, and no VM can be added until there are fewer. 'vgpu-admin prune' \
         deletes the settings of those that XAPI does not know."
    ))
}

/// A GPU pool with its GPUs, and how many VMs it has and may have.
///
/// # Errors
/// The database cannot be read.
pub fn show_pool(host: &Host, pool: PoolId) -> Result<ShowPoolReply, Error> {
    let mut current = Current::of(host)?;
    let known = current
        .look()
        .and_then(|session| known_gpus(session).inspect_err(|error| log::debug!("GPUs are not known: {error}")).ok());
    let read = current.read();
    let (settings, counts) = (read.gpu_pool(pool)?, read.counts()?);
    let gpus = read.gpus()?.into_iter().filter(|gpu| gpu.pool == pool).map(|gpu| pool_gpu(gpu, known.as_ref()));
    let mut gpus: Vec<_> = gpus.collect();
    gpus.sort_by(|one, other| {
        (&one.host_name, one.host_uuid, one.pci_address).cmp(&(&other.host_name, other.host_uuid, other.pci_address))
    });
    let in_xapi = is_in_xapi(read, pool, &gpus)?;
    let vms = counts.of_pool(pool);
    let mut notes: Vec<_> = note_on_limit(pool, settings.max_vms, vms).into_iter().collect();
    notes.extend(gpus.iter().filter(|gpu| gpu.vanished == Some(true)).map(|gpu| {
        let gpu = gpu.gpu();
        format!("XAPI does not know GPU {gpu} any more: if it is not coming back, run 'vgpu-admin unassign-gpu --gpu={gpu}'.")
    }));
    Ok(ShowPoolReply {
        pool,
        vms,
        high: counts.of(pool, Priority::High),
        medium: counts.of(pool, Priority::Medium),
        low: counts.of(pool, Priority::Low),
        free: settings.max_vms.map(|max| max.free(vms)),
        settings: settings.into(),
        gpus,
        in_xapi,
        notes,
        as_of: current.as_of,
    })
}

/// Whether XAPI was told of the GPU pool and its GPUs.
fn is_in_xapi(read: Reading<'_>, pool: PoolId, gpus: &[PoolGpu]) -> Result<bool, Error> {
    let gpus = gpus.iter().map(|gpu| GpuSubject::Gpu(gpu.gpu()));
    for subject in gpus.chain([GpuSubject::Pool(pool)]) {
        if !read.is_gpu_pushed(&subject)? {
            return Ok(false);
        }
    }
    Ok(true)
}

type KnownGpus = (IndexMap<String, HostRecord>, Vec<XapiGpu>);

/// Without the VMs that have one passed through.
fn known_gpus(session: &mut Session) -> Result<KnownGpus, XapiError> {
    let hosts = session.hosts()?;
    let gpus = session.gpus_of(&hosts, &[])?;
    Ok((hosts, gpus))
}

fn pool_gpu(StoredGpu { gpu, device_name, .. }: StoredGpu, known: Option<&KnownGpus>) -> PoolGpu {
    let on_host = known.and_then(|(hosts, _)| host_of(hosts, gpu.host));
    let here = known.map(|(_, known)| known.iter().find(|known| known.gpu == gpu));
    PoolGpu {
        host_uuid: gpu.host,
        host_name: on_host.map(|host| host.name_label.clone()),
        pci_address: gpu.address,
        device_name: here.flatten().map(device_name_of).or(device_name),
        vanished: here.map(|here| here.is_none()),
    }
}

pub(super) fn device_name_of(gpu: &XapiGpu) -> String {
    format!("{} {}", gpu.vendor, gpu.device).trim().to_owned()
}
