//! Replies. The plugin and `vgpu-admin --format json` print these types as JSON, byte for byte.
//!
//! Fields may be added, but never removed.

mod chain;
mod gpu_pools;
mod gpus;
mod metrics;
mod one_or_more;
mod qemu_wrapper;
mod resource_pool;
mod running;
mod schema;
mod state;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::device_args;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuid};
use crate::settings::DeviceName;
use crate::store::StoredVm;

pub use chain::{Link, LinkReply, VmCheckReply};
pub use gpu_pools::{
    GpuChangeReply, GpuPoolChangeReply, GpuPoolReply, PlannedGpuChange, PlannedPoolChange, PoolGpu, ShowPoolReply,
};
pub use gpus::{NamedVm, ScannedGpu};
pub use metrics::MetricsReply;
pub use one_or_more::OneOrMore;
pub use qemu_wrapper::{QemuWrapperReply, WrapperState};
pub use resource_pool::{
    AdoptReply, AdoptedVm, AppliedVm, ApplyReply, GpuHistoryEntry, GpuHistorySettings, GpuPoolsSync, HistoryEntry,
    HistoryItem, HistorySettings, ImportReply, PlannedChange, PruneReply, RecoverReply, ScannedVm, SettingsReply,
    SyncReply,
};
pub use running::{RunningReply, RunningState, RunningVm, RunsWithReply, RunsWithState};
pub use schema::{ErrorBody, ErrorReply, schema_of};
pub use state::{
    Attention, CheckReply, CheckedReply, CountByPool, CountByPriority, CountOfRunning, HostCheck, HostState,
    PoolCheckReply, PoolReply, PoolsReply, StatusReply,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VmReply {
    pub vm_uuid: VmUuid,
    pub vm_name: Option<String>,
    pub pool: PoolId,
    pub priority: Priority,
    /// The device's number for the VM.
    pub vm_id: DeviceVmId,
    /// QEMU's argument from the next start on.
    pub device_argument: String,
    /// Counts the changes of the settings.
    pub revision: i64,
    /// Whether XAPI knows the VM and has the last change.
    pub in_xapi: bool,
    /// UTC.
    pub created_at: String,
    /// UTC.
    pub updated_at: String,
    /// `null` before the first start.
    pub last_start: Option<LastStartReply>,
    /// What it runs with; only where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs_with: Option<RunsWithReply>,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShowReply {
    #[serde(flatten)]
    pub vm: VmReply,
    /// Sentences for the administrator.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The VMs of a list; as JSON an array of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListReply {
    pub vms: Vec<VmReply>,
    /// As [`VmReply::as_of`], also where there is no VM.
    pub as_of: Option<String>,
}

impl Serialize for ListReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.vms.serialize(serializer)
    }
}

impl JsonSchema for ListReply {
    fn schema_name() -> Cow<'static, str> {
        "ListReply".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<VmReply>::json_schema(generator)
    }
}

impl<'de> Deserialize<'de> for ListReply {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let vms = Vec::<VmReply>::deserialize(deserializer)?;
        let as_of = vms.first().and_then(|vm| vm.as_of.clone());
        Ok(Self { vms, as_of })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastStartReply {
    pub started_at: String,
    pub host_uuid: String,
    /// QEMU's argument; empty for no vGPU.
    pub device_argument: String,
    pub pool: Option<PoolId>,
    pub priority: Option<Priority>,
    /// Whether that start had the current settings.
    pub is_current: bool,
}

impl VmReply {
    #[must_use]
    pub fn new(vm: StoredVm, device: &DeviceName) -> Self {
        let in_xapi = vm.is_pushed() && vm.is_known_to_xapi;
        let device_argument = device_args::argument(device, &vm.settings);
        let last_start = vm.last_start.map(|start| {
            // Nearly always it was given what it has now, and nothing has to be searched.
            let (pool, priority, is_current) = if start.device_argument == device_argument {
                (Some(vm.settings.pool), Some(vm.settings.priority), true)
            } else {
                let found = device_args::find(device, &start.device_argument);
                let (pool, priority) = found.as_ref().map_or((None, None), |found| (found.pool, found.priority));
                (pool, priority, found.and_then(|found| found.settings()) == Some(vm.settings))
            };
            LastStartReply {
                started_at: start.started_at,
                host_uuid: start.host_uuid,
                device_argument: start.device_argument,
                pool,
                priority,
                is_current,
            }
        });
        Self {
            vm_uuid: vm.uuid,
            vm_name: vm.name,
            pool: vm.settings.pool,
            priority: vm.settings.priority,
            vm_id: vm.settings.vm_id,
            device_argument,
            revision: vm.revision,
            in_xapi,
            created_at: vm.created_at,
            updated_at: vm.updated_at,
            last_start,
            runs_with: None,
            as_of: None,
        }
    }
}

/// The effect of a change on XAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum XapiOutcome {
    /// XAPI's record of the VM was changed.
    Written,
    /// XAPI's record of the VM was already right.
    AlreadyRight,
    /// XAPI does not know the VM.
    UnknownVm,
    /// XAPI cannot be reached; it is updated at the VM's next start or change.
    Away,
}

/// When a change takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakesEffect {
    /// The VM is not running.
    AtNextStart,
    /// The VM is running.
    AtNextStartOrReboot,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeReply {
    /// Nothing was changed; the rest says what would be. Left out if false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether the settings have changed.
    pub changed: bool,
    /// The settings before the change; left out if it was not registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SettingsReply>,
    /// The VM after the change, or before its removal.
    pub vm: VmReply,
    pub xapi: XapiOutcome,
    /// As in XAPI; `null` if XAPI does not know the VM or is away.
    pub power_state: Option<String>,
    /// `null` if nothing changed, or for a template, which never starts.
    pub takes_effect: Option<TakesEffect>,
    /// Sentences for the administrator.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftAlone {
    pub vm_uuid: VmUuid,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionReply {
    pub version: String,
    /// The newest schema.
    pub schema: i64,
}
