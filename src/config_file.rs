//! The whole configuration as a file, for export and import: TOML for people, JSON for programs.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{
    DeviceVmId, Gpu, HostUuid, PciAddress, PoolDescription, PoolId, PoolName, Priority, VmLimit, VmUuid, fits_xapi,
};

/// Of the file format.
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    #[error("{0}")]
    Invalid(String),
    #[error(
        "the file has version {0}, but this program only knows version {VERSION}: install the version of vgpu-config that wrote it"
    )]
    OtherVersion(u32),
    #[error("the file has VM {0} twice: remove one of the two")]
    Twice(VmUuid),
    #[error("the file has {0} twice: remove one of the two")]
    GpuTwice(String),
    #[error("the name of VM {vm_uuid} is '{}': expected one without control characters", name.escape_debug())]
    BadName { vm_uuid: VmUuid, name: String },
    #[error("the file has vm_id {vm_id} for VM {one} and for VM {other}: remove one of the two to have it derived")]
    SharedNumber { vm_id: DeviceVmId, one: VmUuid, other: VmUuid },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    Toml,
    Json,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    version: u32,
    /// Set if XAPI was away: when the host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    #[serde(default)]
    pub vm: Vec<ConfigVm>,
    /// The GPU pools with a name, a description or a limit. A pool that is left out stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu_pool: Vec<ConfigPool>,
    /// The GPUs that serve a GPU pool. A GPU that is left out stays as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpu: Vec<ConfigGpu>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigPool {
    pub pool: PoolId,
    /// If left out, the GPU pool has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<PoolName>,
    /// If left out, the GPU pool has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<PoolDescription>,
    /// How many VMs it may have. If left out, any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_vms: Option<VmLimit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigGpu {
    pub host_uuid: HostUuid,
    pub pci_address: PciAddress,
    pub pool: PoolId,
}

impl ConfigGpu {
    #[must_use]
    pub fn gpu(&self) -> Gpu {
        Gpu { host: self.host_uuid, address: self.pci_address }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigVm {
    pub vm_uuid: VmUuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    pub pool: PoolId,
    pub priority: Priority,
    /// The device's number for the VM. If left out, the VM keeps its number, or gets a derived one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_id: Option<DeviceVmId>,
}

impl ConfigFile {
    #[must_use]
    pub fn new(vm: Vec<ConfigVm>) -> Self {
        Self { version: VERSION, as_of: None, vm, gpu_pool: Vec::new(), gpu: Vec::new() }
    }

    /// Reads JSON if the text begins with a brace, otherwise TOML.
    ///
    /// # Errors
    /// It is neither, has an unknown key or an invalid value, or contradicts itself.
    pub fn parse(text: &str) -> Result<Self, ConfigFileError> {
        let file: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| ConfigFileError::Invalid(error.to_string()))?
        } else {
            toml::from_str(text).map_err(|error| ConfigFileError::Invalid(crate::settings::with_line(&error, text)))?
        };
        if file.version != VERSION {
            return Err(ConfigFileError::OtherVersion(file.version));
        }
        file.refuse_what_cannot_be()?;
        Ok(file)
    }

    /// # Errors
    /// Never, for data from the database.
    pub fn to_text(&self, format: FileFormat) -> Result<String, ConfigFileError> {
        let invalid = |error: String| ConfigFileError::Invalid(error);
        match format {
            FileFormat::Toml => toml::to_string(self).map_err(|error| invalid(error.to_string())),
            FileFormat::Json => {
                serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| invalid(error.to_string()))
            }
        }
    }

    fn refuse_what_cannot_be(&self) -> Result<(), ConfigFileError> {
        let (mut seen, mut numbers) = (HashSet::new(), HashMap::new());
        for vm in &self.vm {
            if !seen.insert(vm.vm_uuid) {
                return Err(ConfigFileError::Twice(vm.vm_uuid));
            }
            if let Some(name) = vm.vm_name.as_ref().filter(|name| !fits_xapi(name)) {
                return Err(ConfigFileError::BadName { vm_uuid: vm.vm_uuid, name: name.clone() });
            }
            let Some(vm_id) = vm.vm_id else { continue };
            if let Some(one) = numbers.insert(vm_id, vm.vm_uuid) {
                return Err(ConfigFileError::SharedNumber { vm_id, one, other: vm.vm_uuid });
            }
        }
        let (mut pools, mut gpus) = (HashSet::new(), HashSet::new());
        if let Some(twice) = self.gpu_pool.iter().find(|pool| !pools.insert(pool.pool)) {
            return Err(ConfigFileError::GpuTwice(format!("GPU pool {}", twice.pool)));
        }
        match self.gpu.iter().find(|gpu| !gpus.insert(gpu.gpu())) {
            Some(twice) => Err(ConfigFileError::GpuTwice(format!("GPU {}", twice.gpu()))),
            None => Ok(()),
        }
    }
}
