//! Numbers for a monitoring system: the same as `status` shows.

mod text;

use std::collections::BTreeMap;

use super::Host;
use super::catch_up::Current;
use super::pending::{AllHosts, VmState};
use super::serving::Serving;
use crate::error::Error;
use crate::last_check::{self, LastCheck};
use crate::model::{PoolId, Priority, VmLimit};
use crate::reply::MetricsReply;

/// That of OpenMetrics 1.0.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug)]
struct Numbers {
    /// The registered VMs. All combinations are there, also those of no VM.
    vms: BTreeMap<(PoolId, Priority, VmState), u64>,
    /// As [`crate::reply::CountOfRunning::pending`]; `None` if XAPI is away.
    pending: Option<u64>,
    /// The changes that XAPI was not told of.
    unsynced: u64,
    limits: Vec<(PoolId, VmLimit)>,
    gpus: [(PoolId, u64); PoolId::ALL.len()],
    last_check: Option<LastCheck>,
}

/// # Errors
/// The database cannot be read.
pub fn metrics(host: &Host) -> Result<MetricsReply, Error> {
    let all_hosts = host.connect().map_err(Error::from).and_then(|mut session| AllHosts::look(host, &mut session));
    let current = Current::of(host)?;
    let read = current.read();
    let combinations = PoolId::ALL.into_iter().flat_map(|pool| Priority::ALL.map(|priority| (pool, priority)));
    let combinations = combinations.flat_map(|(pool, priority)| VmState::ALL.map(|state| ((pool, priority, state), 0)));
    let mut vms: BTreeMap<_, _> = combinations.collect();
    match &all_hosts {
        Ok(all_hosts) => {
            for (settings, state) in all_hosts.states() {
                *vms.entry((settings.pool, settings.priority, state)).or_default() += 1;
            }
        }
        Err(error) => {
            log::debug!("what the VMs run with is not known: {error}");
            let counts = read.counts()?;
            for ((pool, priority, state), vms) in &mut vms {
                *vms = if *state == VmState::NotKnown { counts.of(*pool, *priority) } else { 0 };
            }
        }
    }
    let serving = Serving::read(read)?;
    let numbers = Numbers {
        vms,
        pending: all_hosts.ok().map(|all_hosts| all_hosts.count().pending),
        unsynced: host.store.read().count_unpushed()?,
        limits: read.vm_limits()?,
        gpus: PoolId::ALL.map(|pool| (pool, serving.count(pool))),
        last_check: last_check::read(&host.root),
    };
    Ok(MetricsReply { content_type: CONTENT_TYPE.to_owned(), text: text::of(numbers)? })
}
