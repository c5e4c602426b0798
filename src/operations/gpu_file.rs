//! The GPU pools and GPUs of a configuration file.

use crate::config_file::{ConfigFile, ConfigGpu, ConfigPool};
use crate::error::Error;
use crate::model::{GpuPoolSettings, PoolId};
use crate::reply::{PlannedGpuChange, PlannedPoolChange};
use crate::store::{Reading, Writing};
use crate::transaction::Transaction;
use crate::xenapi::Session;

/// Adds the GPU pools that have settings, and the GPUs.
pub(super) fn add_gpu_pools(file: &mut ConfigFile, read: Reading<'_>) -> Result<(), Error> {
    for pool in PoolId::ALL {
        let settings = read.gpu_pool(pool)?;
        if settings != GpuPoolSettings::default() {
            let GpuPoolSettings { name, description, max_vms } = settings;
            file.gpu_pool.push(ConfigPool { pool, name, description, max_vms });
        }
    }
    let gpu = |gpu: crate::store::StoredGpu| ConfigGpu {
        host_uuid: gpu.gpu.host,
        pci_address: gpu.gpu.address,
        pool: gpu.pool,
    };
    file.gpu = read.gpus()?.into_iter().map(gpu).collect();
    Ok(())
}

/// What an import changes of GPU pools and of GPUs.
pub(super) type GpuChanges = (Vec<PlannedPoolChange>, Vec<PlannedGpuChange>);

/// Changes the GPU pools and GPUs to those of the file. What the file does not name stays.
pub(super) fn put(writing: &Writing<'_>, file: &ConfigFile) -> Result<GpuChanges, Error> {
    let (mut pools, mut gpus) = GpuChanges::default();
    for ConfigPool { pool, name, description, max_vms } in file.gpu_pool.iter().cloned() {
        let before = writing.read().gpu_pool(pool)?;
        let after = GpuPoolSettings { name, description, max_vms };
        if before != after {
            writing.set_gpu_pool(pool, &after)?;
            pools.push(PlannedPoolChange { pool, from: before.into(), to: after.into() });
        }
    }
    for wanted in &file.gpu {
        let from = writing.read().pool_of_gpu(&wanted.gpu())?;
        if from != Some(wanted.pool) {
            writing.assign_gpu(&wanted.gpu(), wanted.pool)?;
            gpus.push(PlannedGpuChange { gpu: wanted.gpu(), from, to: wanted.pool });
        }
    }
    Ok((pools, gpus))
}

/// What is unusual about the GPUs of the file, if XAPI answers.
pub(super) fn notes(transaction: &mut Transaction<'_>, file: &ConfigFile) -> Vec<String> {
    if file.gpu.is_empty() {
        return Vec::new();
    }
    // The import is done, whether or not XAPI answers this.
    let Ok(Some(known)) = transaction.ask(Session::gpus) else { return Vec::new() };
    let note = |wanted: &ConfigGpu| {
        let gpu = wanted.gpu();
        match known.iter().find(|known| known.gpu == gpu) {
            None => Some(format!("XAPI does not know GPU {gpu} (yet).")),
            Some(known) => {
                let (vm, name) = known.passed_through_to.first()?;
                Some(format!("GPU {gpu} is passed through to VM {vm} ({name})."))
            }
        }
    };
    file.gpu.iter().filter_map(note).collect()
}
