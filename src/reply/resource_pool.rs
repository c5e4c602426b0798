//! Replies about the whole resource pool.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LeftAlone, PlannedGpuChange, PlannedPoolChange, RunsWithReply};
use crate::entry::GpuSubject;
use crate::model::{DeviceVmId, Gpu, PoolId, Priority, VmSettings, VmUuid};
use crate::store::{HeldGpuSettings, HeldSettings};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncReply {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Taken over from other hosts.
    pub taken: Vec<VmUuid>,
    /// Written to the shared copy.
    pub pushed: Vec<VmUuid>,
    /// XAPI's record of these VMs was different and was corrected.
    pub repaired: Vec<VmUuid>,
    pub left_alone: Vec<LeftAlone>,
    #[serde(default)]
    pub has_other_hosts: bool,
    #[serde(default)]
    pub gpu_pools: GpuPoolsSync,
}

/// What a sync did with GPU pools (`pool:A`) and GPUs (`gpu:` with the host's UUID and the PCI address).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuPoolsSync {
    /// Taken over from other hosts.
    pub taken: Vec<GpuSubject>,
    /// Written to the shared copy.
    pub pushed: Vec<GpuSubject>,
    /// Sentences for people.
    pub left_alone: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecoverReply {
    /// Nothing was changed.
    pub dry_run: bool,
    pub database: String,
    /// The path of the damaged file; none if it was empty, or for a dry run.
    pub kept_as: Option<String>,
    pub problems: Vec<String>,
    /// Registered in the new database.
    pub vms: u64,
    /// How many of these were in the file.
    pub from_file: u64,
    /// Those that were only in the file's history.
    pub from_history: Vec<VmUuid>,
    /// Lost in the file and restored from XAPI.
    pub filled_in: Vec<VmUuid>,
    /// VMs with newer settings in XAPI than in the file.
    pub newer_in_xapi: Vec<VmUuid>,
    pub removals: usize,
    /// Entries.
    pub history: usize,
    pub last_starts: usize,
    /// GPU pools with a name, description or limit, and GPUs that serve a GPU pool, in the file.
    #[serde(default)]
    pub gpu_pools: usize,
    /// Registered VMs whose settings are lost.
    pub lost: Vec<LeftAlone>,
    /// Sentences for people.
    pub notes: Vec<String>,
}

impl RecoverReply {
    /// Whether nothing was found in the file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from_file == 0 && self.gpu_pools == 0 && self.removals == 0 && self.history == 0 && self.last_starts == 0
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PruneReply {
    /// Nothing was changed.
    pub dry_run: bool,
    pub pruned: Vec<VmUuid>,
    /// GPUs of hosts that XAPI does not know.
    #[serde(default)]
    pub pruned_gpus: Vec<Gpu>,
}

/// A VM of the resource pool, registered or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScannedVm {
    pub vm_uuid: VmUuid,
    pub vm_name: String,
    /// `null` if it is not registered.
    pub pool: Option<PoolId>,
    pub priority: Option<Priority>,
    /// The device's number for the VM.
    pub vm_id: Option<DeviceVmId>,
    /// As in XAPI.
    pub power_state: String,
    pub host_uuid: Option<String>,
    pub host_name: Option<String>,
    /// What it runs with; `null` if it is not running.
    #[serde(default)]
    pub runs_with: Option<RunsWithReply>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdoptReply {
    /// Nothing was changed.
    pub dry_run: bool,
    pub adopted: Vec<AdoptedVm>,
    /// VMs that must not be registered, or whose argument cannot be read.
    pub left_alone: Vec<LeftAlone>,
    /// VMs whose registration failed.
    #[serde(default)]
    pub failed: Vec<LeftAlone>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdoptedVm {
    pub vm_uuid: VmUuid,
    pub vm_name: String,
    pub pool: PoolId,
    pub priority: Priority,
    /// The device's number for the VM.
    pub vm_id: DeviceVmId,
    /// The VM to which the number in the argument already belongs; `null` if the number was free.
    pub shared_with: Option<VmUuid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportReply {
    /// Nothing was changed.
    pub dry_run: bool,
    /// The VMs that are registered, changed or removed.
    pub changes: Vec<PlannedChange>,
    /// How many VMs of the file already have its settings.
    pub unchanged: usize,
    /// The GPU pools that are changed.
    #[serde(default)]
    pub gpu_pools: Vec<PlannedPoolChange>,
    /// The GPUs that serve a GPU pool from now on, or another one.
    #[serde(default)]
    pub gpus: Vec<PlannedGpuChange>,
    /// Sentences for the administrator.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedChange {
    pub vm_uuid: VmUuid,
    pub vm_name: Option<String>,
    /// `null` if it is not registered.
    pub from: Option<SettingsReply>,
    /// `null` if it is removed.
    pub to: Option<SettingsReply>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettingsReply {
    pub pool: PoolId,
    pub priority: Priority,
    pub vm_id: DeviceVmId,
}

impl From<VmSettings> for SettingsReply {
    fn from(VmSettings { pool, priority, vm_id }: VmSettings) -> Self {
        Self { pool, priority, vm_id }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApplyReply {
    /// Nothing was changed.
    pub dry_run: bool,
    /// The VMs that were rebooted and have their settings, in this order.
    pub applied: Vec<AppliedVm>,
    /// The VM that did not come back, or came back without its settings. No further VM was rebooted.
    pub failed: Option<LeftAlone>,
    /// The VMs that were not rebooted because of this.
    pub not_tried: Vec<VmUuid>,
    /// VMs of which it is not known what they run with, or that were not rebooted and keep running.
    pub left_alone: Vec<LeftAlone>,
    /// Sentences for the administrator.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppliedVm {
    pub vm_uuid: VmUuid,
    pub vm_name: String,
    /// The host on which it runs.
    pub host_name: Option<String>,
    /// What its QEMU has; empty for no vGPU.
    pub from: Option<String>,
    /// Empty for no vGPU.
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// UTC, by the clock of the host on which it was changed.
    pub changed_at: String,
    pub vm_uuid: String,
    /// At that time.
    pub vm_name: Option<String>,
    /// `null` if it was not registered.
    pub from: Option<HistorySettings>,
    /// `null` if it was removed.
    pub to: Option<HistorySettings>,
    /// `vgpu-admin`, `plugin`, `hook`, `by hand` (the database was edited), or `another host`, whose history has more.
    pub through: String,
    /// The user; `null` if not known.
    pub changed_by: Option<String>,
    /// The host on which it was changed; `null` if it was another host.
    pub host_uuid: Option<String>,
}

/// A change in the history: of a VM, or of a GPU pool or GPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum HistoryItem {
    Vm(HistoryEntry),
    GpuPool(GpuHistoryEntry),
}

impl HistoryItem {
    #[must_use]
    pub fn changed_at(&self) -> &str {
        match self {
            Self::Vm(entry) => &entry.changed_at,
            Self::GpuPool(entry) => &entry.changed_at,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuHistoryEntry {
    /// UTC, by the clock of the host on which it was changed.
    pub changed_at: String,
    /// `pool:A` or `pool:B`; or `gpu:` with the host's UUID and the PCI address.
    pub subject: String,
    pub from: GpuHistorySettings,
    pub to: GpuHistorySettings,
    /// As [`HistoryEntry::through`].
    pub through: String,
    /// The user; `null` if not known.
    pub changed_by: Option<String>,
    /// The host on which it was changed; `null` if it was another host.
    pub host_uuid: Option<String>,
}

/// As stored in a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GpuHistorySettings {
    /// The GPU pool that the GPU served; `null` for none.
    pub pool: Option<String>,
    /// Of a GPU pool.
    pub name: Option<String>,
    pub description: Option<String>,
    pub max_vms: Option<i64>,
}

impl From<HeldGpuSettings> for GpuHistorySettings {
    fn from(HeldGpuSettings { pool, name, description, max_vms }: HeldGpuSettings) -> Self {
        Self { pool, name, description, max_vms }
    }
}

/// Settings as stored in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistorySettings {
    pub pool: String,
    pub priority: String,
    /// `null` if none had been derived yet.
    pub vm_id: Option<i64>,
}

impl From<HeldSettings> for HistorySettings {
    fn from(HeldSettings { pool, priority, vm_id }: HeldSettings) -> Self {
        // An invalid value in the database is shown unchanged.
        let priority = priority.to_string();
        let priority = priority.parse::<Priority>().map_or(priority, |priority| priority.to_string());
        Self { pool, priority, vm_id }
    }
}
