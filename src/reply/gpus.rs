//! Replies about physical GPUs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Gpu, HostUuid, PciAddress, PoolId, VmUuid};

/// A physical GPU that XAPI knows, or that serves a GPU pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScannedGpu {
    pub gpu: Gpu,
    pub host_uuid: HostUuid,
    /// `null` if XAPI does not know the host.
    pub host_name: Option<String>,
    pub pci_address: PciAddress,
    /// `null` if XAPI does not know the GPU.
    pub vendor: Option<String>,
    /// If XAPI does not know the GPU, its name when it was assigned.
    pub device: Option<String>,
    /// The GPU pool that it serves; `null` for none.
    pub pool: Option<PoolId>,
    /// The VMs that have it passed through, or will when they are next started.
    pub passed_through_to: Vec<NamedVm>,
    /// Whether it shows the host's console.
    pub is_system_display: bool,
    /// It serves a GPU pool, but XAPI does not know it.
    pub vanished: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedVm {
    pub vm_uuid: VmUuid,
    pub vm_name: String,
}
