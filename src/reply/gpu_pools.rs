//! Replies about GPU pools and GPUs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::XapiOutcome;
use crate::model::{Gpu, GpuPoolSettings, HostUuid, PciAddress, PoolDescription, PoolId, PoolName, VmLimit};

/// The name, description and limit of a GPU pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuPoolReply {
    pub name: Option<PoolName>,
    pub description: Option<PoolDescription>,
    /// How many VMs it may have; `null` for any number.
    pub max_vms: Option<VmLimit>,
}

impl From<GpuPoolSettings> for GpuPoolReply {
    fn from(GpuPoolSettings { name, description, max_vms }: GpuPoolSettings) -> Self {
        Self { name, description, max_vms }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuPoolChangeReply {
    /// Nothing was changed.
    pub dry_run: bool,
    pub changed: bool,
    pub pool: PoolId,
    pub from: GpuPoolReply,
    pub to: GpuPoolReply,
    /// How many VMs it has.
    pub vms: u64,
    pub xapi: XapiOutcome,
    /// Sentences for people.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuChangeReply {
    /// Nothing was changed.
    pub dry_run: bool,
    pub changed: bool,
    pub gpu: Gpu,
    /// `null` if XAPI was away.
    pub host_name: Option<String>,
    /// `null` if it is not known.
    pub device_name: Option<String>,
    /// The GPU pool that it served before; `null` for none.
    pub from: Option<PoolId>,
    /// `null` for none.
    pub to: Option<PoolId>,
    pub xapi: XapiOutcome,
    /// Sentences for people.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShowPoolReply {
    pub pool: PoolId,
    #[serde(flatten)]
    pub settings: GpuPoolReply,
    /// How many VMs it has.
    pub vms: u64,
    pub high: u64,
    pub medium: u64,
    pub low: u64,
    /// How many more it may have; `null` for any number.
    pub free: Option<u64>,
    /// By host, then by address.
    pub gpus: Vec<PoolGpu>,
    /// Whether XAPI was told of all of it.
    pub in_xapi: bool,
    /// Sentences for people.
    pub notes: Vec<String>,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// A GPU that serves a GPU pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolGpu {
    pub host_uuid: HostUuid,
    /// `null` if XAPI was away or does not know the host.
    pub host_name: Option<String>,
    pub pci_address: PciAddress,
    /// `null` if it is not known.
    pub device_name: Option<String>,
    /// Whether XAPI does not know it any more; `null` if XAPI was away.
    pub vanished: Option<bool>,
}

impl PoolGpu {
    #[must_use]
    pub fn gpu(&self) -> Gpu {
        Gpu { host: self.host_uuid, address: self.pci_address }
    }
}

/// A change of a GPU pool in an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedPoolChange {
    pub pool: PoolId,
    pub from: GpuPoolReply,
    pub to: GpuPoolReply,
}

/// A change of a GPU in an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedGpuChange {
    pub gpu: Gpu,
    /// `null` if it served none.
    pub from: Option<PoolId>,
    pub to: PoolId,
}
