//! The whole configuration as one file, to keep, to compare and to bring elsewhere: TOML for people, JSON for programs.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::model::{DeviceVmId, PoolId, Priority, VmUuid, fits_xapi};

/// The version of the file's format.
const VERSION: u32 = 1;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// It says something that such a file cannot say.
    #[error("{0}")]
    Invalid(String),
    /// It is of another version.
    #[error("the file has version {0}, this program knows version {VERSION}: install the vgpu-config that wrote it")]
    OtherVersion(u32),
    /// It names a VM twice.
    #[error("the file names VM {0} twice: leave one of the two out")]
    Twice(VmUuid),
    /// It names a VM as XAPI could not.
    #[error("the name of VM {vm_uuid} is '{}': expected one without control characters", name.escape_debug())]
    BadName {
        /// The VM.
        vm_uuid: VmUuid,
        /// Its name.
        name: String,
    },
    /// It gives two VMs one `vm_id`.
    #[error("the file gives vm_id {vm_id} to VM {one} and to VM {other}: leave one of the two out, and it is derived")]
    SharedNumber {
        /// The number.
        vm_id: DeviceVmId,
        /// The one VM.
        one: VmUuid,
        /// The other.
        other: VmUuid,
    },
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// For people.
    Toml,
    /// For programs.
    Json,
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    version: u32,
    /// Where XAPI could not be asked when it was written: when its host last knew what all hosts have, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// The registered VMs.
    #[serde(default)]
    pub vm: Vec<ConfigVm>,
}

/// A VM's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigVm {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_name: Option<String>,
    /// Its GPU pool.
    pub pool: PoolId,
    /// Its priority.
    pub priority: Priority,
    /// The device's number for it; the one that it has, or a derived one, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vm_id: Option<DeviceVmId>,
}

impl ConfigFile {
    /// A configuration of these VMs.
    #[must_use]
    pub fn new(vm: Vec<ConfigVm>) -> Self {
        Self { version: VERSION, as_of: None, vm }
    }

    /// Reads a file: JSON where it begins with a brace, else TOML.
    ///
    /// # Errors
    /// It is neither, has a key that is not known, or contradicts itself; says where.
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

    /// Writes a file, one that [`Self::parse`] reads.
    ///
    /// # Errors
    /// Never with what the database can hold.
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
        Ok(())
    }
}
