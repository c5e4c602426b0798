//! XAPI's objects, as far as we need to know them.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::device_args::PLATFORM_KEY;

/// XAPI's reference to an object.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Reference(pub(super) String);

impl Reference {
    /// A reference that XAPI has given.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The reference as XAPI writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a VM is rebooted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebootKind {
    /// Its guest is told to.
    Clean,
    /// It is reset.
    Hard,
}

impl RebootKind {
    /// XAPI's method.
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Clean => "VM.clean_reboot",
            Self::Hard => "VM.hard_reboot",
        }
    }
}

/// The key of a VM's `other_config` that keeps its device-model-args while they are changed. XAPI changes a key of a map by
/// removing and adding it; in between an administrator's own arguments would be nowhere else.
pub const PUT_ASIDE_KEY: &str = "vgpu:device-model-args";

/// A VM as XAPI has it.
#[derive(Debug)]
pub enum XapiVm {
    /// XAPI knows it.
    Known {
        /// Its reference.
        vm: Reference,
        /// Its record.
        record: Box<VmRecord>,
    },
    /// XAPI does not know it.
    Unknown,
    /// XAPI could not be asked.
    Away,
}

impl XapiVm {
    /// The VM's record, where there is one.
    #[must_use]
    pub fn record(&self) -> Option<&VmRecord> {
        match self {
            Self::Known { record, .. } => Some(record),
            Self::Unknown | Self::Away => None,
        }
    }

    /// The VM's name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.record().map(|record| record.name_label.as_str())
    }

    /// The VM's power state.
    #[must_use]
    pub fn power_state(&self) -> Option<&str> {
        self.record().map(|record| record.power_state.as_str())
    }

    /// Whether it is a template, which never starts.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.record().is_some_and(|record| record.is_a_template)
    }
}

/// A map of XAPI's of which we own keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapField {
    /// A VM's `platform`.
    VmPlatform,
    /// A VM's `other_config`.
    VmOtherConfig,
    /// The resource pool's `other_config`.
    PoolOtherConfig,
}

impl MapField {
    pub(super) fn get(self) -> &'static str {
        match self {
            Self::VmPlatform => "VM.get_platform",
            Self::VmOtherConfig => "VM.get_other_config",
            Self::PoolOtherConfig => "pool.get_other_config",
        }
    }

    pub(super) fn add(self) -> &'static str {
        match self {
            Self::VmPlatform => "VM.add_to_platform",
            Self::VmOtherConfig => "VM.add_to_other_config",
            Self::PoolOtherConfig => "pool.add_to_other_config",
        }
    }

    pub(super) fn remove(self) -> &'static str {
        match self {
            Self::VmPlatform => "VM.remove_from_platform",
            Self::VmOtherConfig => "VM.remove_from_other_config",
            Self::PoolOtherConfig => "pool.remove_from_other_config",
        }
    }
}

/// What we need to know of a VM.
#[derive(Debug, Clone, Deserialize)]
pub struct VmRecord {
    /// Its UUID.
    pub uuid: String,
    /// Its name.
    pub name_label: String,
    /// Halted, Running, Paused or Suspended.
    pub power_state: String,
    /// Whether it is a template.
    pub is_a_template: bool,
    /// Whether it is a snapshot, which is never started.
    pub is_a_snapshot: bool,
    /// Whether it is dom0 itself.
    pub is_control_domain: bool,
    /// The host on which it runs.
    pub resident_on: Reference,
    /// What goes to the device model, and more.
    pub platform: IndexMap<String, String>,
    /// What add-ons keep with the VM.
    pub other_config: IndexMap<String, String>,
}

impl VmRecord {
    /// Whether it is a VM that can be started: no template, no snapshot, not dom0.
    #[must_use]
    pub fn is_a_vm(&self) -> bool {
        !(self.is_a_template || self.is_a_snapshot || self.is_control_domain)
    }

    /// What `platform` holds for the device model.
    #[must_use]
    pub fn stored_args(&self) -> Option<&str> {
        self.platform.get(PLATFORM_KEY).map(String::as_str)
    }

    /// The arguments that a program had taken out of `platform` to put others in, and was ended before it could.
    #[must_use]
    pub fn args_put_aside(&self) -> Option<&str> {
        self.other_config.get(PUT_ASIDE_KEY).map(String::as_str)
    }

    /// The device model's arguments: those in `platform`, or those put aside where it holds none.
    #[must_use]
    pub fn args(&self) -> Option<&str> {
        self.stored_args().or(self.args_put_aside())
    }
}

/// What we need to know of a host.
#[derive(Debug, Clone, Deserialize)]
pub struct HostRecord {
    /// Its UUID.
    pub uuid: String,
    /// Its name.
    pub name_label: String,
}

/// How a task stands.
#[derive(Debug, Clone, Deserialize)]
pub struct TaskRecord {
    /// `pending`, `success`, `failure`, `cancelling` or `cancelled`.
    pub status: String,
    /// The error's code and parameters, where it failed.
    pub error_info: Vec<String>,
}
