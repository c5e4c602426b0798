//! What operations answer: the plugin's JSON and `vgpu-admin --format json` are these types, byte for byte.
//!
//! Fields are only ever added.

use serde::Serialize;

use crate::device_args;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};
use crate::settings::{DeviceName, OnError, Unregistered};
use crate::store::{CheckItem, Counts, StoredVm};

/// A registered VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    /// Whether XAPI was told of the last change.
    pub in_xapi: bool,
    /// When it was registered, UTC.
    pub created_at: String,
    /// When it was last changed, UTC.
    pub updated_at: String,
    /// What its last start was given; `null` before the first.
    pub last_start: Option<LastStartReply>,
}

/// What a VM's last start was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
        let in_xapi = vm.is_pushed();
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
        }
    }
}

/// What XAPI has to do with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TakesEffect {
    /// The VM is not running: when it is started.
    AtNextStart,
    /// The VM is running: when it is started again or rebooted.
    AtNextStartOrReboot,
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChangeReply {
    /// Whether the settings are others than before.
    pub changed: bool,
    /// The VM as it is now, or as it was before it was removed.
    pub vm: VmReply,
    /// What XAPI has to do with it.
    pub xapi: XapiOutcome,
    /// The VM's power state, as XAPI has it; `null` where XAPI does not know.
    pub power_state: Option<String>,
    /// When the change is in effect; `null` where nothing changed.
    pub takes_effect: Option<TakesEffect>,
    /// What else the administrator should know, in sentences.
    pub notes: Vec<String>,
}

/// How many VMs of each priority a GPU pool has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolReply {
    /// The GPU pool.
    pub pool: PoolId,
    /// How many VMs it has.
    pub vms: u64,
    /// How many of them are of high priority.
    pub high: u64,
    /// How many of them are of medium priority.
    pub medium: u64,
    /// How many of them are of low priority.
    pub low: u64,
}

/// Both GPU pools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolsReply {
    /// A, then B.
    pub pools: Vec<PoolReply>,
    /// How many VMs are registered.
    pub total: u64,
}

impl From<Counts> for PoolsReply {
    fn from(counts: Counts) -> Self {
        let pool = |pool| PoolReply {
            pool,
            vms: counts.of_pool(pool),
            high: counts.of(pool, Priority::High),
            medium: counts.of(pool, Priority::Medium),
            low: counts.of(pool, Priority::Low),
        };
        Self { pools: PoolId::ALL.map(pool).into(), total: counts.total() }
    }
}

/// How many VMs each GPU pool has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct CountByPool {
    /// Of GPU pool A.
    pub a: u64,
    /// Of GPU pool B.
    pub b: u64,
}

/// How many VMs there are of each priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CountByPriority {
    /// Of high priority.
    pub high: u64,
    /// Of medium priority.
    pub medium: u64,
    /// Of low priority.
    pub low: u64,
}

/// The state of vgpu-config on a host, in one screen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusReply {
    /// The version of vgpu-config.
    pub version: String,
    /// The database's path.
    pub database: String,
    /// The database's schema.
    pub schema: i64,
    /// How many VMs are registered.
    pub vms: u64,
    /// The same by GPU pool.
    pub by_pool: CountByPool,
    /// The same by priority.
    pub by_priority: CountByPriority,
    /// How many changes XAPI was not told of yet.
    pub not_in_xapi: u64,
    /// Whether XAPI answers.
    pub xapi_answers: bool,
    /// Why it does not.
    pub xapi_problem: Option<String>,
    /// The QEMU device's name.
    pub device: String,
    /// What is done with a registered VM that could not be configured.
    pub on_error: OnError,
    /// What is done with a VM that is not registered.
    pub unregistered: Unregistered,
    /// How long a VM's start may be held up, in seconds.
    pub deadline_seconds: f64,
}

/// Whether everything is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReply {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Everything that was looked at.
    pub checks: Vec<CheckItem>,
}

/// What was brought to one state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PruneReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// VMs that XAPI does not know any more.
    pub pruned: Vec<VmUuid>,
}

/// A VM of the resource pool, registered or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptReply {
    /// Whether this is only what would be done.
    pub dry_run: bool,
    /// The VMs that were registered.
    pub adopted: Vec<AdoptedVm>,
    /// VMs for which it could not be done.
    pub left_alone: Vec<LeftAlone>,
}

/// A VM that was registered as its hand-written argument said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// A VM that was left alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftAlone {
    /// The VM.
    pub vm_uuid: VmUuid,
    /// Why.
    pub why: String,
}

/// The version of vgpu-config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionReply {
    /// The version.
    pub version: &'static str,
    /// The newest schema that it knows.
    pub schema: i64,
}
