//! Replies about the state of the hosts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Link, ScannedGpu, VmCheckReply};
use crate::model::{GpuPoolSettings, PoolDescription, PoolId, PoolName, Priority, VmLimit};
use crate::settings::{OnError, Unregistered};
use crate::store::{CheckItem, Counts, Verdict};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolReply {
    pub pool: PoolId,
    #[serde(default)]
    pub name: Option<PoolName>,
    #[serde(default)]
    pub description: Option<PoolDescription>,
    pub vms: u64,
    pub high: u64,
    pub medium: u64,
    pub low: u64,
    /// How many VMs it may have; `null` for any number.
    #[serde(default)]
    pub max_vms: Option<VmLimit>,
    /// How many more it may have; `null` for any number.
    #[serde(default)]
    pub free: Option<u64>,
    /// The physical GPUs that serve it, on all hosts.
    #[serde(default)]
    pub gpus: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolsReply {
    /// A, then B.
    pub pools: Vec<PoolReply>,
    pub total: u64,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

impl PoolReply {
    pub(crate) fn new(pool: PoolId, counts: &Counts, settings: GpuPoolSettings, gpus: u64) -> Self {
        let GpuPoolSettings { name, description, max_vms } = settings;
        let vms = counts.of_pool(pool);
        Self {
            pool,
            name,
            description,
            vms,
            high: counts.of(pool, Priority::High),
            medium: counts.of(pool, Priority::Medium),
            low: counts.of(pool, Priority::Low),
            max_vms,
            free: max_vms.map(|max_vms| max_vms.free(vms)),
            gpus,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub struct CountByPool {
    pub a: u64,
    pub b: u64,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, rename = "as_of", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountByPriority {
    pub high: u64,
    pub medium: u64,
    pub low: u64,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, rename = "as_of", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusReply {
    pub version: String,
    pub database: String,
    pub schema: i64,
    pub vms: u64,
    pub by_pool: CountByPool,
    pub by_priority: CountByPriority,
    /// How many changes were not written to XAPI yet.
    pub not_in_xapi: u64,
    pub xapi_answers: bool,
    /// Set if XAPI does not answer.
    pub xapi_problem: Option<String>,
    pub device: String,
    pub on_error: OnError,
    pub unregistered: Unregistered,
    pub deadline_seconds: f64,
    /// The hosts of the resource pool, by name. Empty if XAPI is away, or if the caller's role may not call plugins on hosts.
    pub hosts: Vec<HostState>,
    /// How many VMs run with and without their settings; `null` if XAPI is away.
    #[serde(default)]
    pub running: Option<CountOfRunning>,
    /// What needs attention: problems first, then warnings.
    #[serde(default)]
    pub attention: Vec<Attention>,
    /// A, then B.
    #[serde(default)]
    pub pools: Vec<PoolReply>,
    /// As `scan_gpus` returns them. Empty if XAPI is away.
    #[serde(default)]
    pub gpus: Vec<ScannedGpu>,
    /// Set if XAPI was away: when this host last had the settings of all hosts, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attention {
    /// The host that it is about; `null` if it is about all of them.
    pub host_name: Option<String>,
    /// A sentence for people: what it is, and what to do.
    pub message: String,
    /// Whether everything works all the same.
    pub warning: bool,
}

/// The running VMs of the resource pool that are registered, or were and still run with a vGPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountOfRunning {
    pub as_configured: u64,
    /// Those that get their settings at their next start or reboot.
    pub pending: u64,
    /// Those of which it is not known.
    pub not_known: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckReply {
    pub ok: bool,
    pub version: String,
    pub checks: Vec<CheckItem>,
    /// The first link of the chain from the settings to QEMU that is not right.
    #[serde(default)]
    pub broken_link: Option<Link>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PoolCheckReply {
    pub ok: bool,
    /// By name.
    pub hosts: Vec<HostCheck>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CheckedReply {
    Vm(VmCheckReply),
    AllHosts(PoolCheckReply),
    ThisHost(CheckReply),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostCheck {
    pub host_uuid: String,
    pub host_name: String,
    /// `null` if the host did not answer.
    pub version: Option<String>,
    pub ok: bool,
    pub checks: Vec<CheckItem>,
    /// As [`CheckReply::broken_link`].
    #[serde(default)]
    pub broken_link: Option<Link>,
}

/// A summary of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostState {
    pub host_uuid: String,
    pub host_name: String,
    /// `null` if the host did not answer.
    pub version: Option<String>,
    pub ok: bool,
    /// Sentences for people.
    pub problems: Vec<String>,
    /// Sentences for people about what does not keep anything from working. Left out if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl From<HostCheck> for HostState {
    fn from(HostCheck { host_uuid, host_name, version, ok, checks, .. }: HostCheck) -> Self {
        let of = |verdict| {
            let items = checks.iter().filter(move |item| item.verdict() == verdict);
            items.map(|item| item.message.clone()).collect()
        };
        let (problems, warnings) = (of(Verdict::Failed), of(Verdict::Warning));
        Self { host_uuid, host_name, version, ok, problems, warnings }
    }
}
