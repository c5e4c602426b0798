//! Whether the GPU pools have the GPUs that their VMs need, and no more VMs than they may have. Nothing of this keeps a VM from
//! starting, so these are warnings.

use std::collections::{BTreeMap, HashSet};

use super::{DATABASE_TIMEOUT, InXapi};
use crate::entry::{Entry, GpuContent, GpuEntry, GpuSubject};
use crate::error::Error;
use crate::model::{Gpu, GpuPoolSettings, PoolId, VmUuid};
use crate::operations::serving::Serving;
use crate::paths::Root;
use crate::reply::ScannedGpu;
use crate::shared_copy::SharedCopy;
use crate::store::{CheckItem, Reading, Store, StoreError};
use crate::xenapi::{Session, VmRecord};

const NAME: &str = "GPU pools";
/// How many VMs a warning names.
const MOST_NAMED: usize = 3;

/// Nothing if neither GPUs nor limits are configured.
pub(super) fn check(root: &Root, session: &mut Session, in_xapi: &InXapi) -> Vec<CheckItem> {
    match look(root, session, in_xapi) {
        Ok(items) => items,
        Err(error) => vec![CheckItem::new(NAME, Err(error.to_string()))],
    }
}

fn look(root: &Root, session: &mut Session, in_xapi: &InXapi) -> Result<Vec<CheckItem>, Error> {
    let store = match Store::open_existing(&root.database(), DATABASE_TIMEOUT) {
        // The check of the database says so.
        Err(StoreError::Missing(_) | StoreError::Older { .. }) => return Ok(Vec::new()),
        store => store?,
    };
    let newest = Newest::read(&in_xapi.shared, store.read())?;
    let mut warnings: Vec<_> = newest.limits().filter_map(|(pool, vms, max)| over_limit(pool, vms, max)).collect();
    let mut well = "no GPU pool has more VMs than it may have";
    if !newest.gpus.is_empty() {
        let known = session.gpus_of(&in_xapi.hosts, &in_xapi.records.iter().collect::<Vec<_>>())?;
        let gpus = Serving::of(newest.gpus.iter().copied()).scan(known, &in_xapi.hosts);
        let seen = Seen { root, in_xapi, gpus, newest: &newest };
        warnings.extend(seen.gpus_not_to_be_used());
        warnings.extend(seen.vms_without_gpu());
        well = "every VM finds a GPU of its GPU pool, and no GPU pool has more VMs than it may have";
    } else if newest.limits().count() == 0 {
        return Ok(Vec::new());
    }
    if warnings.is_empty() {
        return Ok(vec![CheckItem::new(NAME, Ok(well.to_owned()))]);
    }
    Ok(warnings.into_iter().map(|message| CheckItem::warning(NAME, message)).collect())
}

fn over_limit(pool: PoolId, vms: u64, max_vms: u64) -> Option<String> {
    let more = vms.checked_sub(max_vms).filter(|more| *more > 0)?;
    Some(format!(
        "GPU pool {pool} has {vms} VMs, {more} more than the {max_vms} that it may have: move some with 'vgpu-admin set-pool', or allow \
         them with 'vgpu-admin set-gpu-pool --pool={pool} --max-vms={vms}'"
    ))
}

/// The newest of what the shared copy and this host have.
struct Newest {
    vms: BTreeMap<VmUuid, PoolId>,
    pools: BTreeMap<PoolId, GpuPoolSettings>,
    gpus: Vec<(Gpu, PoolId)>,
}

impl Newest {
    fn read(shared: &SharedCopy, read: Reading<'_>) -> Result<Self, Error> {
        let here: BTreeMap<VmUuid, Entry> = read.entries()?.into_iter().collect();
        let vms: HashSet<_> = shared.vms().chain(here.keys().copied()).collect();
        let pool_of = |uuid: VmUuid| Some((uuid, shared.newest(&uuid, here.get(&uuid))?.settings?.pool));
        let vms = vms.into_iter().filter_map(pool_of).collect();
        let here: BTreeMap<GpuSubject, GpuEntry> = read.gpu_entries()?.into_iter().collect();
        let subjects: HashSet<_> = shared.gpu_pools().chain(here.keys().copied()).collect();
        let (mut pools, mut gpus) = (BTreeMap::new(), Vec::new());
        for subject in subjects {
            match (subject, shared.newest(&subject, here.get(&subject)).map(|entry| entry.content)) {
                (GpuSubject::Pool(pool), Some(GpuContent::Pool(settings))) => {
                    pools.insert(pool, settings);
                }
                (GpuSubject::Gpu(gpu), Some(GpuContent::Gpu(Some(pool)))) => gpus.push((gpu, pool)),
                _ => {}
            }
        }
        Ok(Self { vms, pools, gpus })
    }

    /// The GPU pools that have a limit: how many VMs they have and may have.
    fn limits(&self) -> impl Iterator<Item = (PoolId, u64, u64)> {
        self.pools.iter().filter_map(|(pool, settings)| {
            let vms = self.vms.values().map(|of| u64::from(of == pool)).sum();
            Some((*pool, vms, settings.max_vms?.get().into()))
        })
    }
}

struct Seen<'a> {
    root: &'a Root,
    in_xapi: &'a InXapi,
    gpus: Vec<ScannedGpu>,
    newest: &'a Newest,
}

impl Seen<'_> {
    /// The GPUs of this host, and of hosts that are gone, that serve a GPU pool and cannot.
    fn gpus_not_to_be_used(&self) -> Vec<String> {
        let here = self.root.host_uuid();
        let is_ours = |gpu: &&ScannedGpu| {
            gpu.host_name.is_none() || here.as_ref().is_some_and(|here| gpu.host_uuid.to_string() == *here)
        };
        let problem = |gpu: &ScannedGpu| {
            let pool = gpu.pool?;
            let name = match &gpu.host_name {
                Some(host) => format!("{host}:{}", gpu.pci_address),
                None => gpu.gpu.to_string(),
            };
            let unassign = format!("'vgpu-admin unassign-gpu --gpu={}'", gpu.gpu);
            Some(match (gpu.vanished, gpu.passed_through_to.as_slice()) {
                (false, []) => return None,
                (false, [vm, ..]) => format!(
                    "GPU {name} serves GPU pool {pool}, but is passed through to VM {} ({}): take it from the VM, or unassign it with \
                     {unassign}",
                    vm.vm_uuid, vm.vm_name
                ),
                (true, _) => format!(
                    "GPU {name} serves GPU pool {pool}, but XAPI does not know it: if it was taken out, unassign it with {unassign}"
                ),
            })
        };
        self.gpus.iter().filter(is_ours).filter_map(problem).collect()
    }

    /// The VMs of a GPU pool that no GPU serves where they run or would start: those of this host, and those that no host could
    /// run.
    fn vms_without_gpu(&self) -> Vec<String> {
        let mut without: BTreeMap<(PoolId, Place), Vec<&str>> = BTreeMap::new();
        for record in self.in_xapi.records.iter().filter(|record| record.is_a_vm()) {
            let pool = record.uuid.parse().ok().and_then(|uuid: VmUuid| self.newest.vms.get(&uuid));
            let found = pool.and_then(|pool| Some((*pool, self.lacks_gpu(record, *pool)?)));
            if let Some(found) = found {
                without.entry(found).or_default().push(&record.name_label);
            }
        }
        without.into_iter().map(|((pool, place), vms)| self.in_words(pool, place, &vms)).collect()
    }

    fn lacks_gpu(&self, record: &VmRecord, pool: PoolId) -> Option<Place> {
        let serves = |gpu: &&ScannedGpu| gpu.pool == Some(pool) && !gpu.vanished;
        let (on, place) = if record.has_domain() {
            (&record.resident_on, Place::RunsHere)
        } else {
            (&record.affinity, Place::StartsHere)
        };
        match self.in_xapi.hosts.get(on.as_str()) {
            Some(host) => {
                let is_there = |gpu: &ScannedGpu| gpu.host_uuid.to_string() == host.uuid;
                let lacks_it = !self.gpus.iter().filter(serves).any(is_there);
                (lacks_it && self.in_xapi.here.as_ref() == Some(on)).then_some(place)
            }
            None => (!record.has_domain() && !self.gpus.iter().any(|gpu| serves(&gpu))).then_some(Place::Nowhere),
        }
    }

    fn in_words(&self, pool: PoolId, place: Place, vms: &[&str]) -> String {
        let here = self.in_xapi.here.as_ref().and_then(|here| self.in_xapi.hosts.get(here.as_str()));
        let host = here.map(|host| host.name_label.as_str()).unwrap_or_default();
        let what = match (place, vms.len()) {
            (Place::RunsHere, 1) => format!("runs on host {host}, where no GPU serves that GPU pool"),
            (Place::RunsHere, _) => format!("run on host {host}, where no GPU serves that GPU pool"),
            (Place::StartsHere, _) => format!("would start on host {host}, where no GPU serves that GPU pool"),
            (Place::Nowhere, _) => "would find no GPU: no host has one that serves that GPU pool".to_owned(),
        };
        let mut names = vms.iter().take(MOST_NAMED).copied().collect::<Vec<_>>().join(", ");
        if let more @ 1.. = vms.len().saturating_sub(MOST_NAMED) {
            names = format!("{names} and {more} more");
        }
        let subject = if vms.len() == 1 { "VM" } else { "VMs" };
        format!(
            "{subject} {names} of GPU pool {pool} {what}: assign one of those that 'vgpu-admin scan-gpus' lists with 'vgpu-admin \
             assign-gpu --pool={pool} --gpu=HOST:ADDRESS'"
        )
    }
}

/// Where a VM needs a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    RunsHere,
    StartsHere,
    Nowhere,
}
