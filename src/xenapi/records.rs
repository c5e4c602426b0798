//! XAPI's objects, with the fields that vgpu-config uses.

use indexmap::IndexMap;
use serde::Deserialize;

use crate::device_args::PLATFORM_KEY;

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct Reference(pub(super) String);

impl Reference {
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a VM is rebooted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebootKind {
    /// The guest shuts down by itself.
    Clean,
    /// The VM is reset.
    Hard,
}

impl RebootKind {
    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Clean => "VM.clean_reboot",
            Self::Hard => "VM.hard_reboot",
        }
    }
}

/// The key of a VM's `other_config` that keeps its device-model-args while they are changed. XAPI changes a key of a map by
/// removing and adding it, and in between an administrator's own arguments would be lost if the program were killed.
pub const PUT_ASIDE_KEY: &str = "vgpu:device-model-args";

/// A VM as XAPI has it.
#[derive(Debug)]
pub enum XapiVm {
    Known { vm: Reference, record: Box<VmRecord> },
    Unknown,
    Away,
}

impl XapiVm {
    #[must_use]
    pub fn record(&self) -> Option<&VmRecord> {
        match self {
            Self::Known { record, .. } => Some(record),
            Self::Unknown | Self::Away => None,
        }
    }

    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.record().map(|record| record.name_label.as_str())
    }

    #[must_use]
    pub fn power_state(&self) -> Option<&str> {
        self.record().map(|record| record.power_state.as_str())
    }

    /// A template never starts.
    #[must_use]
    pub fn is_template(&self) -> bool {
        self.record().is_some_and(|record| record.is_a_template)
    }
}

/// A map of XAPI's in which vgpu-config owns keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapField {
    VmPlatform,
    VmOtherConfig,
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

#[derive(Debug, Clone, Deserialize)]
pub struct VmRecord {
    pub uuid: String,
    pub name_label: String,
    /// Halted, Running, Paused or Suspended.
    pub power_state: String,
    pub is_a_template: bool,
    /// A snapshot never starts.
    pub is_a_snapshot: bool,
    /// True for dom0.
    pub is_control_domain: bool,
    /// `hvm`, `pv`, `pvh`, `pv_in_pvh` or `unspecified`; only `hvm` has a QEMU.
    #[serde(default)]
    pub domain_type: String,
    /// The host; `OpaqueRef:NULL` if it is halted.
    pub resident_on: Reference,
    /// The host on which it starts if it can; `OpaqueRef:NULL` for none in particular.
    #[serde(default)]
    pub affinity: Reference,
    /// The PCI devices that it has passed through while it runs.
    #[serde(default, rename = "attached_PCIs")]
    pub attached_pcis: Vec<Reference>,
    /// The domain on that host; -1 if it is halted.
    #[serde(default = "no_domain")]
    pub domid: i64,
    pub platform: IndexMap<String, String>,
    pub other_config: IndexMap<String, String>,
}

fn no_domain() -> i64 {
    -1
}

impl VmRecord {
    /// Whether it can be started: neither a template, nor a snapshot, nor dom0.
    #[must_use]
    pub fn is_a_vm(&self) -> bool {
        !(self.is_a_template || self.is_a_snapshot || self.is_control_domain)
    }

    /// Whether it has a domain: XAPI's other states are Halted and Suspended.
    #[must_use]
    pub fn has_domain(&self) -> bool {
        matches!(self.power_state.as_str(), "Running" | "Paused")
    }

    /// The arguments in `platform`.
    #[must_use]
    pub fn stored_args(&self) -> Option<&str> {
        self.platform.get(PLATFORM_KEY).map(String::as_str)
    }

    /// The arguments that a program put aside while it changed `platform`, if it was killed before it was done.
    #[must_use]
    pub fn args_put_aside(&self) -> Option<&str> {
        self.other_config.get(PUT_ASIDE_KEY).map(String::as_str)
    }

    /// The arguments in `platform`, or those put aside if it has none.
    #[must_use]
    pub fn args(&self) -> Option<&str> {
        self.stored_args().or(self.args_put_aside())
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct HostRecord {
    pub uuid: String,
    pub name_label: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TaskRecord {
    /// `pending`, `success`, `failure`, `cancelling` or `cancelled`.
    pub status: String,
    /// The error's code and parameters, if it failed.
    pub error_info: Vec<String>,
}
