//! Operations that only read.

use serde::Serializer;
use serde::ser::SerializeSeq;

use super::Host;
use super::catch_up::Current;
use super::running::{NotHalted, OnHosts};
use super::serving::Serving;
use crate::error::Error;
use crate::model::{PoolId, Priority, VmUuid};
use crate::reply::{
    CountByPool, CountByPriority, ListReply, PoolReply, PoolsReply, RunsWithReply, RunsWithState, VersionReply, VmReply,
};
use crate::store::{self, Counts, Filter, Reading, StoredVm};

/// Registered VMs: what is configured, and what each runs with.
///
/// # Errors
/// One of them is not registered, or the database cannot be read.
pub fn show_vms(host: &Host, uuids: &[VmUuid]) -> Result<Vec<VmReply>, Error> {
    let mut current = Current::of(host)?;
    let mut asked = OnHosts::new(host);
    uuids.iter().map(|uuid| show(host, &mut current, &mut asked, uuid)).collect()
}

fn show(host: &Host, current: &mut Current<'_>, asked: &mut OnHosts<'_>, uuid: &VmUuid) -> Result<VmReply, Error> {
    let vm = current.read().vm(uuid)?.ok_or(Error::NotRegistered(*uuid))?;
    let runs_with = current.look().map(|session| asked.compare(session, &vm));
    if let Some(Err(error)) = &runs_with
        && error.is_away()
    {
        // The other VMs need not wait for it too.
        current.session = None;
    }
    let runs_with = Some(known(runs_with.and_then(Result::ok)));
    Ok(VmReply { runs_with, as_of: current.as_of.clone(), ..VmReply::new(vm, &host.settings.device) })
}

/// The registered VMs that match the filter: by GPU pool, most urgent first, then by name.
///
/// # Errors
/// The database cannot be read.
pub fn list_vms(host: &Host, filter: Filter) -> Result<ListReply, Error> {
    let mut current = Current::of(host)?;
    let mut vms = Vec::new();
    for_each_vm(host, &mut current, filter, &mut |vm| {
        vms.push(vm);
        Ok(())
    })?;
    Ok(ListReply { vms, as_of: current.as_of })
}

/// The same as a JSON array, and [`VmReply::as_of`]. The database has been read when this returns, so the caller may wait
/// for a pager.
///
/// # Errors
/// The database cannot be read.
pub fn list_vms_as_json(host: &Host, filter: Filter) -> Result<(String, Option<String>), Error> {
    let unwritable = |error: serde_json::Error| Error::Reply(error.to_string());
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    let mut array = serializer.serialize_seq(None).map_err(unwritable)?;
    let mut current = Current::of(host)?;
    for_each_vm(host, &mut current, filter, &mut |vm| array.serialize_element(&vm).map_err(unwritable))?;
    array.end().map_err(unwritable)?;
    let json = String::from_utf8(json).map_err(|error| Error::Reply(error.to_string()))?;
    Ok((json, current.as_of))
}

fn for_each_vm(
    host: &Host,
    current: &mut Current<'_>,
    filter: Filter,
    visit: &mut dyn FnMut(VmReply) -> Result<(), Error>,
) -> Result<(), Error> {
    let not_halted = current.session.as_mut().and_then(|session| NotHalted::look(host, session).ok());
    let reply = |vm: StoredVm| {
        let runs_with = Some(known(not_halted.as_ref().map(|not_halted| not_halted.compare(&vm))));
        VmReply { runs_with, as_of: current.as_of.clone(), ..VmReply::new(vm, &host.settings.device) }
    };
    current.read().for_each_vm(filter, &mut |vm| visit(reply(vm)))
}

fn known(runs_with: Option<RunsWithReply>) -> RunsWithReply {
    runs_with.unwrap_or_else(|| RunsWithReply::only(RunsWithState::NotKnown))
}

/// Both GPU pools: name, GPUs, the number of their VMs by priority, and how many more there may be.
///
/// # Errors
/// The database cannot be read.
pub fn list_pools(host: &Host) -> Result<PoolsReply, Error> {
    let current = Current::of(host)?;
    let read = current.read();
    let pools = pools(read, &read.counts()?, &Serving::read(read)?)?;
    Ok(PoolsReply { total: pools.iter().map(|pool| pool.vms).sum(), pools, as_of: current.as_of })
}

pub(super) fn pools(read: Reading<'_>, counts: &Counts, serving: &Serving) -> Result<Vec<PoolReply>, Error> {
    let reply = |pool| Ok(PoolReply::new(pool, counts, read.gpu_pool(pool)?, serving.count(pool)));
    PoolId::ALL.into_iter().map(reply).collect()
}

/// How many VMs each GPU pool has.
///
/// # Errors
/// The database cannot be read.
pub fn count_by_pool(host: &Host) -> Result<CountByPool, Error> {
    let current = Current::of(host)?;
    let counts = current.read().counts()?;
    Ok(CountByPool { as_of: current.as_of, ..by_pool(&counts) })
}

pub(super) fn by_pool(counts: &Counts) -> CountByPool {
    CountByPool { a: counts.of_pool(PoolId::A), b: counts.of_pool(PoolId::B), as_of: None }
}

/// How many VMs there are of each priority.
///
/// # Errors
/// The database cannot be read.
pub fn count_by_priority(host: &Host) -> Result<CountByPriority, Error> {
    let current = Current::of(host)?;
    let counts = current.read().counts()?;
    Ok(CountByPriority { as_of: current.as_of, ..by_priority(&counts) })
}

pub(super) fn by_priority(counts: &Counts) -> CountByPriority {
    let of = |priority| counts.of_priority(priority);
    CountByPriority { high: of(Priority::High), medium: of(Priority::Medium), low: of(Priority::Low), as_of: None }
}

#[must_use]
pub fn version() -> VersionReply {
    VersionReply { version: crate::VERSION.to_owned(), schema: store::LATEST_SCHEMA }
}
