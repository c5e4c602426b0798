//! Which physical GPU serves which GPU pool.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::hosts::host_of;
use crate::model::{Gpu, PoolId};
use crate::reply::{NamedVm, ScannedGpu};
use crate::store::{Reading, StoreError, StoredGpu};
use crate::xenapi::{HostRecord, XapiGpu};

/// The GPUs that serve a GPU pool.
#[derive(Debug, Default)]
pub(super) struct Serving(BTreeMap<Gpu, (PoolId, Option<String>)>);

impl Serving {
    pub fn read(read: Reading<'_>) -> Result<Self, StoreError> {
        let serving = |StoredGpu { gpu, pool, device_name }| (gpu, (pool, device_name));
        Ok(Self(read.gpus()?.into_iter().map(serving).collect()))
    }

    pub fn of(gpus: impl IntoIterator<Item = (Gpu, PoolId)>) -> Self {
        Self(gpus.into_iter().map(|(gpu, pool)| (gpu, (pool, None))).collect())
    }

    pub fn count(&self, pool: PoolId) -> u64 {
        self.0.values().map(|(served, _)| u64::from(*served == pool)).sum()
    }

    /// Every GPU that XAPI knows, and those that serve a GPU pool although it does not: by host, then by address.
    pub fn scan(&self, known: Vec<XapiGpu>, hosts: &IndexMap<String, HostRecord>) -> Vec<ScannedGpu> {
        let vanished = self.0.iter().filter(|(gpu, _)| !known.iter().any(|known| known.gpu == **gpu));
        let vanished = vanished.map(|(gpu, (pool, device_name))| {
            let host = host_of(hosts, gpu.host);
            ScannedGpu {
                gpu: *gpu,
                host_uuid: gpu.host,
                host_name: host.map(|host| host.name_label.clone()),
                pci_address: gpu.address,
                vendor: None,
                device: device_name.clone(),
                pool: Some(*pool),
                passed_through_to: Vec::new(),
                is_system_display: false,
                vanished: true,
            }
        });
        let vanished: Vec<_> = vanished.collect();
        let mut gpus: Vec<_> = known.into_iter().map(|gpu| self.describe(gpu)).chain(vanished).collect();
        gpus.sort_by(|one, other| {
            (one.host_name.is_none(), &one.host_name, one.gpu).cmp(&(
                other.host_name.is_none(),
                &other.host_name,
                other.gpu,
            ))
        });
        gpus
    }

    fn describe(&self, known: XapiGpu) -> ScannedGpu {
        let named = |(vm_uuid, vm_name)| NamedVm { vm_uuid, vm_name };
        ScannedGpu {
            gpu: known.gpu,
            host_uuid: known.gpu.host,
            host_name: Some(known.host_name),
            pci_address: known.gpu.address,
            vendor: Some(known.vendor),
            device: Some(known.device),
            pool: self.0.get(&known.gpu).map(|(pool, _)| *pool),
            passed_through_to: known.passed_through_to.into_iter().map(named).collect(),
            is_system_display: known.is_system_display,
            vanished: false,
        }
    }
}
