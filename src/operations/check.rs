//! Checks everything on a host, and changes nothing. Works even if nothing else does.

use std::collections::HashSet;
use std::time::Duration;

use super::Caller;
use super::device_model::{qemu_knows_device, wrapper_passes_arguments};
use super::guests;
use super::hosts::{Answered, on_every_host};
use super::installed;
use crate::deadline::Deadline;
use crate::device_args::PLATFORM_KEY;
use crate::error::Error;
use crate::paths::Root;
use crate::reply::{CheckReply, HostCheck, HostState, PoolCheckReply};
use crate::request::Request;
use crate::settings::Settings;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::store::{self, CheckItem, Store, StoreError};
use crate::xenapi::{self, Session, XapiError};

/// How long the comparison with the shared copy waits for another program's transaction.
pub(super) const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

/// From this number of entries for VMs that no longer exist, `check` reports them: each 100 cost every VM's start about 15 ms
/// (docs/resource-pools.md).
const MANY_GONE: usize = 100;

/// Checks this host.
#[must_use]
pub fn check(root: &Root) -> CheckReply {
    let device = Settings::load(&root.settings()).unwrap_or_default().device;
    let mut checks = vec![installed::settings(root)];
    checks.extend(store::check(&root.database()));
    checks.extend(installed::hook_and_plugin(root));
    checks.push(CheckItem::new("qemu-wrapper", wrapper_passes_arguments(root)));
    checks.push(CheckItem::new("QEMU", qemu_knows_device(root, &device)));
    match Session::log_in(&root.xapi_socket(), Deadline::after(xenapi::XAPI_TIMEOUT)) {
        Ok(mut session) => {
            checks.push(CheckItem::new("XAPI", platform_keys_pass(&mut session)));
            checks.extend(guests::without_qemu(root, &mut session));
            checks.push(CheckItem::new("resource pool", same_as_xapi(root, &mut session)));
        }
        Err(error) => checks.push(CheckItem::new("XAPI", Err(error.to_string()))),
    }
    CheckReply { ok: checks.iter().all(|item| item.ok), version: crate::VERSION.to_owned(), checks }
}

/// Checks every host of the resource pool, through its plugin.
///
/// # Errors
/// XAPI is away. A host's problems are in the reply.
pub fn check_all_hosts(root: &Root, caller: &Caller) -> Result<PoolCheckReply, Error> {
    let mut session = caller.connect(root, xenapi::XAPI_TIMEOUT)?;
    let hosts = check_each_host(root, &mut session)?;
    Ok(PoolCheckReply { ok: hosts.iter().all(|host| host.ok), hosts })
}

/// A summary of every host; empty if the session's role may not call plugins on hosts.
pub(super) fn states_of_all_hosts(root: &Root, session: &mut Session) -> Result<Vec<HostState>, XapiError> {
    match check_each_host(root, session) {
        Err(XapiError::Refused { code, .. }) if code == "RBAC_PERMISSION_DENIED" => Ok(Vec::new()),
        hosts => Ok(hosts?.into_iter().map(HostState::from).collect()),
    }
}

fn check_each_host(root: &Root, session: &mut Session) -> Result<Vec<HostCheck>, XapiError> {
    let hosts = on_every_host::<CheckReply>(root, session, &Request::Check { all_hosts: false })?;
    let mut hosts = hosts.into_iter().map(host_check).collect::<Result<Vec<_>, _>>()?;
    let newest =
        hosts.iter().filter_map(|host| Some((version_numbers(host.version.as_ref()?), host.version.clone()?))).max();
    for host in &mut hosts {
        if let (Some(version), Some((_, newest))) = (&host.version, &newest) {
            let same = if version == newest {
                Ok(format!("vgpu-config {version}"))
            } else {
                Err(format!("vgpu-config {version}, another host has {newest}: update this one"))
            };
            host.checks.insert(0, CheckItem::new("version", same));
            host.ok = host.checks.iter().all(|item| item.ok);
        }
    }
    Ok(hosts)
}

fn host_check(Answered { host, answer }: Answered<CheckReply>) -> Result<HostCheck, XapiError> {
    let (version, checks) = match answer {
        Ok(CheckReply { version, checks, .. }) => (Some(version), checks),
        // The caller's role is the reason: no other host would answer either.
        Err(Error::OtherHost { code, params, .. }) if code == "RBAC_PERMISSION_DENIED" => {
            return Err(XapiError::Refused { call: "host.call_plugin".to_owned(), code, params });
        }
        Err(error) => (None, vec![CheckItem::new("plugin", Err(error.to_string()))]),
    };
    let ok = checks.iter().all(|item| item.ok);
    Ok(HostCheck { host_uuid: host.uuid, host_name: host.name_label, version, ok, checks })
}

/// For comparison: 0.10.0 is newer than 0.9.0.
fn version_numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-']).map(|part| part.parse().unwrap_or_default()).collect()
}

/// XAPI's licence can make it drop unknown platform keys (`ocaml/xapi/xapi_xenops.ml`).
fn platform_keys_pass(session: &mut Session) -> Result<String, String> {
    let restrictions = session.pool_restrictions().map_err(|error| error.to_string())?;
    if restrictions.get("platform_filter").is_some_and(|filter| filter == "true") {
        return Ok(format!(
            "XAPI answers, but drops platform:{PLATFORM_KEY} at every start because of its licence (platform_filter): the hook still \
             gives each boot its vGPU"
        ));
    }
    Ok("XAPI answers, and passes platform keys on".to_owned())
}

/// Whether this host's database agrees with the shared copy. Older settings are fine: the host takes over newer ones before it
/// starts a VM.
fn same_as_xapi(root: &Root, session: &mut Session) -> Result<String, String> {
    let Difference { ahead, behind, gone, not_for_us } =
        difference(root, session).map_err(|error| error.to_string())?;
    let changes = |count: usize| if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
    if let Some(error) = not_for_us {
        return Err(error.to_string());
    }
    let same = match (ahead, behind) {
        (0, 0) => "this host agrees with the shared copy".to_owned(),
        (0, behind) => {
            format!("{} of other hosts will be taken over at the next start, or by 'vgpu-admin sync'", changes(behind))
        }
        (ahead, _) => {
            return Err(format!("{} on this host that no other host has: run 'vgpu-admin sync' here", changes(ahead)));
        }
    };
    if gone < MANY_GONE {
        return Ok(same);
    }
    Ok(format!(
        "{same}; the shared copy also has the settings of {gone} VMs that XAPI does not know, which slows down every VM's start: see \
         'vgpu-admin prune --dry-run'"
    ))
}

/// The differences between this host's database and the shared copy.
#[derive(Default)]
struct Difference {
    /// VMs with newer settings in the database.
    ahead: usize,
    /// VMs with newer settings in the shared copy.
    behind: usize,
    /// VMs in the shared copy that XAPI does not know.
    gone: usize,
    /// Set if a newer program has written an entry.
    not_for_us: Option<Error>,
}

fn difference(root: &Root, session: &mut Session) -> Result<Difference, Error> {
    let shared = SharedCopy::load(session)?;
    let known: HashSet<_> = session.vm_records()?.into_iter().map(|(_, record)| record.uuid).collect();
    let gone = shared.vms().filter(|vm| !known.contains(&vm.to_string())).count();
    let store = match Store::open_existing(&root.database(), DATABASE_TIMEOUT) {
        // The checks of the database report it.
        Err(StoreError::Missing(_)) => {
            return Ok(Difference { behind: shared.vms().count(), gone, ..Difference::default() });
        }
        store => store?,
    };
    let behind = shared.news(store.read())?.entries.len();
    let mut difference = Difference { behind, gone, ..Difference::default() };
    for (uuid, entry) in store.read().entries()? {
        // It was in the shared copy, and XAPI does not know the VM any more: it was pruned on another host.
        let is_pruned = !known.contains(&uuid.to_string()) && store.read().was_ever_pushed(&uuid)?;
        let is_newer = shared.compare(&uuid, Some(&entry)) == Comparison::HostIsNewer;
        difference.ahead += usize::from(is_newer && !is_pruned);
    }
    let newer = |vm_uuid| Some(Error::NewerFormat { vm_uuid, error: shared.written_by_newer(&vm_uuid)? });
    difference.not_for_us = shared.vms().find_map(newer);
    Ok(difference)
}
