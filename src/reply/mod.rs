//! What operations answer: the plugin's JSON and `vgpu-admin --format json` are these types, byte for byte.
//!
//! Fields are only ever added.

mod resource_pool;
mod state;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::device_args;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};
use crate::settings::DeviceName;
use crate::store::StoredVm;

pub use resource_pool::{
    AdoptReply, AdoptedVm, AppliedVm, ApplyReply, HistoryEntry, HistorySettings, ImportReply, PlannedChange,
    PruneReply, RecoverReply, ScannedVm, SettingsReply, StartReply, SyncReply,
};
pub use state::{
    CheckReply, CheckedReply, CountByPool, CountByPriority, HostCheck, HostState, PoolCheckReply, PoolReply,
    PoolsReply, StatusReply,
};

/// A registered VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VmReply {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name, for people.
    pub vm_name: Option<String>,
    /// Its GPU pool.
    pub pool: PoolId,
    /// Its priority.
    pub priority: Priority,
    /// The device's number for it.
    pub vm_id: DeviceVmId,
    /// What QEMU is given from the next start on.
    pub device_argument: String,
    /// Counts the changes of the settings.
    pub revision: i64,
    /// Whether XAPI knows the VM, and was told of the last change.
    pub in_xapi: bool,
    /// When it was registered, UTC.
    pub created_at: String,
    /// When it was last changed, UTC.
    pub updated_at: String,
    /// What its last start was given; `null` before the first.
    pub last_start: Option<LastStartReply>,
    /// Where XAPI could not be asked: when this host last knew what all hosts have, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// One VM that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowReply {
    /// The VM.
    #[serde(flatten)]
    pub vm: VmReply,
    /// What else the administrator should know, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The VMs of a list; as JSON an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListReply {
    /// The VMs.
    pub vms: Vec<VmReply>,
    /// As [`VmReply::as_of`], also where there is no VM.
    pub as_of: Option<String>,
}

impl Serialize for ListReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.vms.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ListReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let vms = Vec::<VmReply>::deserialize(deserializer)?;
        let as_of = vms.first().and_then(|vm| vm.as_of.clone());
        Ok(Self { vms, as_of })
    }
}

/// What a VM's last start was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastStartReply {
    /// When, UTC.
    pub started_at: String,
    /// The host on which it started.
    pub host_uuid: String,
    /// What QEMU was given; empty where it got no vGPU.
    pub device_argument: String,
    /// The GPU pool that it was given.
    pub pool: Option<PoolId>,
    /// The priority that it was given.
    pub priority: Option<Priority>,
    /// Whether that is what is configured now.
    pub is_current: bool,
}

impl VmReply {
    /// A VM as the database has it, told as the device will be.
    #[must_use]
    pub fn new(vm: StoredVm, device: &DeviceName) -> Self {
        let in_xapi = vm.is_pushed() && vm.is_known_to_xapi;
        let last_start = vm.last_start.map(|start| {
            let found = device_args::find(device, &start.device_argument);
            LastStartReply {
                started_at: start.started_at,
                host_uuid: start.host_uuid,
                pool: found.as_ref().and_then(|found| found.pool),
                priority: found.as_ref().and_then(|found| found.priority),
                is_current: found.and_then(|found| found.settings()) == Some(vm.settings),
                device_argument: start.device_argument,
            }
        });
        Self {
            vm_uuid: vm.uuid,
            vm_name: vm.name,
            pool: vm.settings.pool,
            priority: vm.settings.priority,
            vm_id: vm.settings.vm_id,
            device_argument: device_args::argument(device, &vm.settings),
            revision: vm.revision,
            in_xapi,
            created_at: vm.created_at,
            updated_at: vm.updated_at,
            last_start,
            as_of: None,
        }
    }
}

/// What XAPI has to do with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XapiOutcome {
    /// XAPI's record of the VM was changed.
    Written,
    /// XAPI's record of the VM said so already.
    AlreadyRight,
    /// XAPI knows no such VM.
    UnknownVm,
    /// XAPI cannot be reached; it is told at the VM's next start or change.
    Away,
}

/// When a change is in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TakesEffect {
    /// The VM is not running: when it is started.
    AtNextStart,
    /// The VM is running: when it is started again or rebooted.
    AtNextStartOrReboot,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeReply {
    /// Whether the settings are others than before.
    pub changed: bool,
    /// The VM as it is now, or as it was before it was removed.
    pub vm: VmReply,
    /// What XAPI has to do with it.
    pub xapi: XapiOutcome,
    /// The VM's power state, as XAPI has it; `null` where XAPI does not know.
    pub power_state: Option<String>,
    /// When the change is in effect; `null` where nothing changed, or for a template, which never starts.
    pub takes_effect: Option<TakesEffect>,
    /// What else the administrator should know, in sentences.
    pub notes: Vec<String>,
}

/// A VM that was left alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAlone {
    /// The VM.
    pub vm_uuid: VmUuid,
    /// Why.
    pub why: String,
}

/// The version of vgpu-config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionReply {
    /// The version.
    pub version: String,
    /// The newest schema that it knows.
    pub schema: i64,
}
