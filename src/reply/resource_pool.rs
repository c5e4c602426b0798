//! What was done in the whole resource pool.

use serde::{Deserialize, Serialize};

use super::LeftAlone;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};
use crate::store::HeldSettings;

/// What was brought to one state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// VMs whose settings were taken over from other hosts.
    pub taken: Vec<VmUuid>,
    /// VMs whose settings were written for the other hosts.
    pub pushed: Vec<VmUuid>,
    /// VMs whose record in XAPI said something else and was corrected.
    pub repaired: Vec<VmUuid>,
    /// VMs for which it could not be done.
    pub left_alone: Vec<LeftAlone>,
    /// Whether the resource pool has other hosts.
    #[serde(default)]
    pub has_other_hosts: bool,
}

/// What was saved of a damaged database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// The database.
    pub database: String,
    /// The name under which the damaged file is kept; none where there was nothing in it, or nothing was done.
    pub kept_as: Option<String>,
    /// What was wrong with it.
    pub problems: Vec<String>,
    /// How many VMs are registered in the new one.
    pub vms: u64,
    /// How many of them the file had.
    pub from_file: u64,
    /// Those of them that only the file's history had.
    pub from_history: Vec<VmUuid>,
    /// VMs whose settings the file had lost and XAPI had.
    pub filled_in: Vec<VmUuid>,
    /// VMs of which XAPI had newer settings than the file.
    pub newer_in_xapi: Vec<VmUuid>,
    /// How many removals the file had.
    pub removals: usize,
    /// How many changes its history had.
    pub history: usize,
    /// The last starts of how many VMs it had.
    pub last_starts: usize,
    /// VMs that were registered and whose settings nobody has.
    pub lost: Vec<LeftAlone>,
    /// Sentences for people.
    pub notes: Vec<String>,
}

impl RecoverReply {
    /// Whether nothing was saved.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from_file == 0 && self.removals == 0 && self.history == 0 && self.last_starts == 0
    }
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// VMs that XAPI does not know.
    pub pruned: Vec<VmUuid>,
}

/// A VM of the resource pool, registered or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScannedVm {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name in XAPI.
    pub vm_name: String,
    /// Its GPU pool; `null` where it is not registered.
    pub pool: Option<PoolId>,
    /// Its priority.
    pub priority: Option<Priority>,
    /// The device's number for it.
    pub vm_id: Option<DeviceVmId>,
    /// Its power state, as XAPI has it.
    pub power_state: String,
    /// The host on which it runs.
    pub host_uuid: Option<String>,
    /// That host's name.
    pub host_name: Option<String>,
}

/// What was registered of what had been written by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// The VMs that were registered.
    pub adopted: Vec<AdoptedVm>,
    /// VMs that are not to be registered, or whose argument does not say how.
    pub left_alone: Vec<LeftAlone>,
    /// VMs whose registration failed.
    #[serde(default)]
    pub failed: Vec<LeftAlone>,
}

/// A VM that was registered as its hand-written argument said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptedVm {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name in XAPI.
    pub vm_name: String,
    /// Its GPU pool.
    pub pool: PoolId,
    /// Its priority.
    pub priority: Priority,
    /// The device's number for it.
    pub vm_id: DeviceVmId,
    /// The VM that had the number of its argument already, and keeps it; `null` where it could have its own.
    pub shared_with: Option<VmUuid>,
}

/// What an import changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// The VMs that get other settings, get some, or lose them.
    pub changes: Vec<PlannedChange>,
    /// How many VMs of the file are as it says already.
    pub unchanged: usize,
    /// What else the administrator should know, in sentences.
    pub notes: Vec<String>,
}

/// A VM whose settings an import changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name, for people.
    pub vm_name: Option<String>,
    /// What it has; `null` where it is not registered.
    pub from: Option<SettingsReply>,
    /// What it gets; `null` where it is removed.
    pub to: Option<SettingsReply>,
}

/// A VM's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsReply {
    /// The GPU pool.
    pub pool: PoolId,
    /// The priority.
    pub priority: Priority,
    /// The device's number.
    pub vm_id: DeviceVmId,
}

impl From<VmSettings> for SettingsReply {
    fn from(VmSettings { pool, priority, vm_id }: VmSettings) -> Self {
        Self { pool, priority, vm_id }
    }
}

/// What VMs' last starts on a host were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartReply {
    /// The VM.
    pub vm_uuid: String,
    /// When it started, UTC; by the clock of that host.
    pub started_at: String,
    /// The same in seconds since 1970.
    pub started: i64,
    /// The host on which it started.
    pub host_uuid: String,
    /// What QEMU was given; empty where it got no vGPU.
    pub device_argument: String,
}

/// What was made true for running VMs, by rebooting them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// The VMs that were rebooted and have their settings, in that order.
    pub applied: Vec<AppliedVm>,
    /// The VM that did not come back, or came back without its settings; with it everything ended.
    pub failed: Option<LeftAlone>,
    /// The VMs that were not rebooted because of that.
    pub not_tried: Vec<VmUuid>,
    /// VMs of which it cannot be told whether they have their settings, or that could not be rebooted and run on.
    pub left_alone: Vec<LeftAlone>,
    /// What else the administrator should know, in sentences.
    pub notes: Vec<String>,
}

/// A running VM that does not have its settings, and gets them by a reboot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedVm {
    /// Its UUID.
    pub vm_uuid: VmUuid,
    /// Its name in XAPI.
    pub vm_name: String,
    /// The name of the host on which it runs.
    pub host_name: Option<String>,
    /// What it was started with; empty for no vGPU, `null` where that is not known.
    pub from: Option<String>,
    /// What it gets; empty for no vGPU.
    pub to: String,
}

/// A change of what a VM's device is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When, UTC; by the clock of the host on which it was changed.
    pub changed_at: String,
    /// The VM's UUID.
    pub vm_uuid: String,
    /// The VM's name at that time.
    pub vm_name: Option<String>,
    /// What it had; `null` where it was not registered.
    pub from: Option<HistorySettings>,
    /// What it has since; `null` where it was removed.
    pub to: Option<HistorySettings>,
    /// What the change came through: `vgpu-admin`, `plugin`, `hook`, `by hand` (the database was edited), or
    /// `another host`, whose history knows more.
    pub through: String,
    /// The user; `null` where that is not known.
    pub changed_by: Option<String>,
    /// The host on which it was changed; `null` where that is another one.
    pub host_uuid: Option<String>,
}

/// Settings as a row held them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySettings {
    /// The GPU pool.
    pub pool: String,
    /// The priority.
    pub priority: String,
    /// The device's number; `null` where none had been derived yet.
    pub vm_id: Option<i64>,
}

impl From<HeldSettings> for HistorySettings {
    fn from(HeldSettings { pool, priority, vm_id }: HeldSettings) -> Self {
        // What the database held when no trigger had refused it yet is shown as it was.
        let priority = priority.to_string();
        let priority = priority.parse::<Priority>().map_or(priority, |priority| priority.to_string());
        Self { pool, priority, vm_id }
    }
}
