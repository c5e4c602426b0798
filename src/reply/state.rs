//! How this host and the others are.

use serde::{Deserialize, Serialize};

use crate::model::{PoolId, Priority};
use crate::settings::{OnError, Unregistered};
use crate::store::{CheckItem, Counts};

/// How many VMs of each priority a GPU pool has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolsReply {
    /// A, then B.
    pub pools: Vec<PoolReply>,
    /// How many VMs are registered.
    pub total: u64,
    /// Where XAPI could not be asked: when this host last knew what all hosts have, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
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
        Self { pools: PoolId::ALL.map(pool).into(), total: counts.total(), as_of: None }
    }
}

/// How many VMs each GPU pool has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct CountByPool {
    /// Of GPU pool A.
    pub a: u64,
    /// Of GPU pool B.
    pub b: u64,
    /// Where XAPI could not be asked: when this host last knew what all hosts have, UTC, or `unknown`.
    #[serde(default, rename = "as_of", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// How many VMs there are of each priority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountByPriority {
    /// Of high priority.
    pub high: u64,
    /// Of medium priority.
    pub medium: u64,
    /// Of low priority.
    pub low: u64,
    /// Where XAPI could not be asked: when this host last knew what all hosts have, UTC, or `unknown`.
    #[serde(default, rename = "as_of", skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// The state of vgpu-config on a host, in one screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The hosts of the resource pool, by name; empty where XAPI cannot be asked, or the caller's role may not ask hosts.
    pub hosts: Vec<HostState>,
    /// Where XAPI could not be asked in time: when this host last knew what all hosts have, UTC, or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
}

/// Whether everything on a host is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReply {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// The version of vgpu-config.
    pub version: String,
    /// Everything that was looked at.
    pub checks: Vec<CheckItem>,
}

/// Whether everything on every host of the resource pool is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolCheckReply {
    /// Whether nothing is wrong anywhere.
    pub ok: bool,
    /// Every host, by name.
    pub hosts: Vec<HostCheck>,
}

/// What a check has found, here or on every host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CheckedReply {
    /// On every host of the resource pool.
    AllHosts(PoolCheckReply),
    /// On this host.
    ThisHost(CheckReply),
}

/// Whether everything on one host of the resource pool is as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCheck {
    /// The host's UUID.
    pub host_uuid: String,
    /// Its name.
    pub host_name: String,
    /// The version of vgpu-config there; `null` where that could not be asked.
    pub version: Option<String>,
    /// Whether nothing is wrong there.
    pub ok: bool,
    /// Everything that was looked at.
    pub checks: Vec<CheckItem>,
}

/// A host of the resource pool, in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostState {
    /// The host's UUID.
    pub host_uuid: String,
    /// Its name.
    pub host_name: String,
    /// The version of vgpu-config there; `null` where that could not be asked.
    pub version: Option<String>,
    /// Whether nothing is wrong there.
    pub ok: bool,
    /// What is wrong there, in sentences.
    pub problems: Vec<String>,
}

impl From<HostCheck> for HostState {
    fn from(HostCheck { host_uuid, host_name, version, ok, checks }: HostCheck) -> Self {
        let problems = checks.into_iter().filter(|item| !item.ok).map(|item| item.message).collect();
        Self { host_uuid, host_name, version, ok, problems }
    }
}
