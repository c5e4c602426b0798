//! Looks at everything that has to be right, and changes nothing. Works where nothing else does.

use std::collections::HashSet;
use std::time::Duration;

use super::Caller;
use super::device_model::{qemu_knows_device, wrapper_passes_arguments};
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

/// How long the comparison with XAPI waits for another program's transaction.
const PATIENCE: Duration = Duration::from_secs(3);

/// From how many entries of VMs that are gone on `check` names them: each 100 cost every VM's start about 15 ms
/// (docs/resource-pools.md).
const MANY_GONE: usize = 100;

/// Looks at everything that has to be right on this host.
#[must_use]
pub fn check(root: &Root) -> CheckReply {
    let device = Settings::load(&root.settings()).unwrap_or_default().device;
    let mut checks = vec![installed::settings(root)];
    checks.extend(store::check(&root.database()));
    checks.extend(installed::hook_and_plugin(root));
    checks.push(CheckItem::new("qemu-wrapper", wrapper_passes_arguments(root)));
    checks.push(CheckItem::new("QEMU", qemu_knows_device(root, &device)));
    match Session::log_in(&root.xapi_socket(), Deadline::after(xenapi::TIMEOUT)) {
        Ok(mut session) => {
            checks.push(CheckItem::new("XAPI", platform_keys_pass(&mut session)));
            checks.push(CheckItem::new("resource pool", same_as_xapi(root, &mut session)));
        }
        Err(error) => checks.push(CheckItem::new("XAPI", Err(error.to_string()))),
    }
    CheckReply { ok: checks.iter().all(|item| item.ok), version: crate::VERSION.to_owned(), checks }
}

/// Looks at everything that has to be right on every host of the resource pool, through the plugin of each.
///
/// # Errors
/// XAPI is away. What is wrong with a host is in the reply.
pub fn check_all_hosts(root: &Root, caller: &Caller) -> Result<PoolCheckReply, Error> {
    let mut session = caller.connect(root, xenapi::TIMEOUT)?;
    let hosts = check_each_host(root, &mut session)?;
    Ok(PoolCheckReply { ok: hosts.iter().all(|host| host.ok), hosts })
}

/// Every host of the resource pool in short; none where the session's role may not ask hosts.
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
        // Not the host is to blame, but the caller's role: no other host would answer either.
        Err(Error::OtherHost { code, params, .. }) if code == "RBAC_PERMISSION_DENIED" => {
            return Err(XapiError::Refused { call: "host.call_plugin".to_owned(), code, params });
        }
        Err(error) => (None, vec![CheckItem::new("plugin", Err(error.to_string()))]),
    };
    let ok = checks.iter().all(|item| item.ok);
    Ok(HostCheck { host_uuid: host.uuid, host_name: host.name_label, version, ok, checks })
}

/// Numbers that can be compared: 0.10.0 is newer than 0.9.0.
fn version_numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-']).map(|part| part.parse().unwrap_or_default()).collect()
}

/// XAPI can be told by its licence to drop platform keys that it does not know (`ocaml/xapi/xapi_xenops.ml`).
fn platform_keys_pass(session: &mut Session) -> Result<String, String> {
    let restrictions = session.pool_restrictions().map_err(|error| error.to_string())?;
    if restrictions.get("platform_filter").is_some_and(|filter| filter == "true") {
        return Ok(format!(
            "XAPI answers, and drops platform:{PLATFORM_KEY} at every start, as its licence says (platform_filter): the hook gives \
             each boot its vGPU all the same"
        ));
    }
    Ok("XAPI answers, and passes platform keys on".to_owned())
}

/// Whether this host's database says what the copy in XAPI's own says. One that is behind is as it should be: it takes over
/// what is newer before it starts a VM.
fn same_as_xapi(root: &Root, session: &mut Session) -> Result<String, String> {
    let Difference { ahead, behind, gone, not_for_us } =
        difference(root, session).map_err(|error| error.to_string())?;
    let changes = |count: usize| if count == 1 { "1 change".to_owned() } else { format!("{count} changes") };
    if let Some(error) = not_for_us {
        return Err(error.to_string());
    }
    let same = match (ahead, behind) {
        (0, 0) => "this host has what XAPI carries to all hosts".to_owned(),
        (0, behind) => {
            format!("{} of other hosts to take over at the next start, or 'vgpu-admin sync'", changes(behind))
        }
        (ahead, _) => {
            return Err(format!(
                "{} on this host that no other host knows: run 'vgpu-admin sync' here",
                changes(ahead)
            ));
        }
    };
    if gone < MANY_GONE {
        return Ok(same);
    }
    Ok(format!(
        "{same}; XAPI also carries the settings of {gone} VMs that it does not know, which slows down every VM's start: see \
         'vgpu-admin prune --dry-run'"
    ))
}

/// What differs between this host's database and the copy.
#[derive(Default)]
struct Difference {
    /// How many VMs are newer here.
    ahead: usize,
    /// How many VMs are newer in XAPI.
    behind: usize,
    /// How many VMs of the copy XAPI does not know.
    gone: usize,
    /// What a newer program has written, if it has.
    not_for_us: Option<Error>,
}

fn difference(root: &Root, session: &mut Session) -> Result<Difference, Error> {
    let shared = SharedCopy::load(session)?;
    let known: HashSet<_> = session.vm_records()?.into_iter().map(|(_, record)| record.uuid).collect();
    let gone = shared.vms().filter(|vm| !known.contains(&vm.to_string())).count();
    let store = match Store::open_existing(&root.database(), PATIENCE) {
        // What is wrong with it is told elsewhere.
        Err(StoreError::Missing(_)) => {
            return Ok(Difference { behind: shared.vms().count(), gone, ..Difference::default() });
        }
        store => store?,
    };
    let behind = shared.news(store.read())?.entries.len();
    let mut difference = Difference { behind, gone, ..Difference::default() };
    for (uuid, entry) in store.read().entries()? {
        // XAPI had it and does not know the VM any more: it was pruned on another host.
        let is_pruned = !known.contains(&uuid.to_string()) && store.read().was_ever_pushed(&uuid)?;
        let is_newer = shared.compare(&uuid, Some(&entry)) == Comparison::HostIsNewer;
        difference.ahead += usize::from(is_newer && !is_pruned);
    }
    difference.not_for_us = shared.vms().find_map(|vm_uuid| match shared.compare(&vm_uuid, None) {
        Comparison::NotForUs(error) => Some(Error::NewerFormat { vm_uuid, error }),
        _ => None,
    });
    Ok(difference)
}
