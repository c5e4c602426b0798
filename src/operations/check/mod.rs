//! Checks everything on a host, and changes nothing. Works even if nothing else does.
//!
//! The checks follow the chain from the settings to QEMU: database, shared copy, XAPI, xenopsd, qemu-wrapper, QEMU.

mod gpu_pools;
mod links;
mod one_vm;
mod running_vms;
mod shared_copy;

use std::collections::HashSet;
use std::time::Duration;

use indexmap::IndexMap;

use super::Caller;
use super::device_model::{qemu_knows_device, wrapper_passes_arguments};
use super::guests;
use super::hosts::{Answered, on_every_host};
use super::installed;
use crate::deadline::Deadline;
use crate::device_args::PLATFORM_KEY;
use crate::error::Error;
use crate::last_check;
use crate::model::VmUuid;
use crate::paths::Root;
use crate::reply::{CheckReply, HostCheck, HostState, Link, PoolCheckReply};
use crate::request::Request;
use crate::settings::Settings;
use crate::shared_copy::SharedCopy;
use crate::store::{self, CheckItem};
use crate::xenapi::{self, HostRecord, Reference, Session, VmRecord, XapiError};
use crate::xenopsd::Xenopsd;

pub use one_vm::check_vm;

/// How long the comparison with the shared copy waits for another program's transaction.
pub(super) const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long xenopsd may take to answer.
const XENOPSD_TIMEOUT: Duration = Duration::from_secs(3);
/// No VM has it.
const NO_VM: &str = "00000000-0000-0000-0000-000000000000";

/// Checks this host.
#[must_use]
pub fn check(root: &Root) -> CheckReply {
    let device = Settings::load(&root.settings()).unwrap_or_default().device;
    let mut checks = Checks::default();
    checks.items.push(installed::settings(root));
    checks.items.extend(installed::hook_and_plugin(root));
    checks.of(Link::Database, store::check(&root.database()));
    let log_in = || Session::log_in(&root.xapi_socket(), Deadline::after(xenapi::XAPI_TIMEOUT));
    let (mut running, mut gpu_pools) = (None, Vec::new());
    match log_in().and_then(|mut session| Ok((InXapi::read(root, &mut session)?, session))) {
        Ok((in_xapi, mut session)) => {
            checks.of(Link::SharedCopy, [CheckItem::new("shared copy", shared_copy::agrees(root, &in_xapi))]);
            checks.of(Link::Xapi, [CheckItem::new("XAPI", platform_keys_pass(&mut session))]);
            checks.items.extend(guests::without_qemu(root, &in_xapi.records));
            gpu_pools = gpu_pools::check(root, &mut session, &in_xapi);
            running = Some(running_vms::have_their_settings(root, &device, &in_xapi));
        }
        Err(error) => checks.of(Link::Xapi, [CheckItem::new("XAPI", Err(error.to_string()))]),
    }
    checks.of(Link::Xenopsd, [CheckItem::new("xenopsd", xenopsd_answers(root))]);
    checks.of(Link::QemuWrapper, [CheckItem::new("qemu-wrapper", wrapper_passes_arguments(root))]);
    checks.of(Link::Qemu, [CheckItem::new("QEMU", qemu_knows_device(root, &device))]);
    checks.of(Link::Qemu, running.map(|running| CheckItem::new("running VMs", running)));
    checks.items.extend(gpu_pools);
    let Checks { items, broken_link } = checks;
    last_check::note(root, &items);
    CheckReply { ok: items.iter().all(|item| item.ok), version: crate::VERSION.to_owned(), checks: items, broken_link }
}

#[derive(Default)]
struct Checks {
    items: Vec<CheckItem>,
    broken_link: Option<Link>,
}

impl Checks {
    fn of(&mut self, link: Link, items: impl IntoIterator<Item = CheckItem>) {
        for item in items {
            if !item.ok {
                self.broken_link = self.broken_link.or(Some(link));
            }
            self.items.push(item);
        }
    }
}

/// What XAPI has of all VMs and hosts.
struct InXapi {
    shared: SharedCopy,
    records: Vec<VmRecord>,
    hosts: IndexMap<String, HostRecord>,
    /// This host.
    here: Option<Reference>,
}

impl InXapi {
    fn read(root: &Root, session: &mut Session) -> Result<Self, XapiError> {
        let shared = SharedCopy::load(session)?;
        let records = session.vm_records()?.into_iter().map(|(_, record)| record).collect();
        let here = root.host_uuid().map(|uuid| session.host_by_uuid(&uuid)).transpose()?;
        Ok(Self { shared, records, hosts: session.hosts()?, here })
    }
}

fn xenopsd_answers(root: &Root) -> Result<String, String> {
    let until = Deadline::after(XENOPSD_TIMEOUT);
    let no_vm: VmUuid = NO_VM.parse().map_err(|error| format!("{error}"))?;
    let asked = Xenopsd::connect(&root.message_switch_socket(), until).and_then(|mut xenopsd| xenopsd.stat(&no_vm));
    let remedy = "the hook cannot correct the start of a VM: run xe-toolstack-restart (running VMs keep running)";
    asked.map(|_| "xenopsd answers".to_owned()).map_err(|error| format!("{error}; {remedy}"))
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
    let hosts = on_every_host::<CheckReply>(root, session, &Request::Check { vm: None, all_hosts: false })?;
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
    name_warnings_once(&mut hosts);
    Ok(hosts)
}

/// What every host warns of alike is about all of them: the first one says it.
fn name_warnings_once(hosts: &mut [HostCheck]) {
    let mut said = HashSet::new();
    for host in hosts {
        host.checks.retain(|item| !item.warning || said.insert((item.name.clone(), item.message.clone())));
    }
}

fn host_check(Answered { host, answer }: Answered<CheckReply>) -> Result<HostCheck, XapiError> {
    let (version, checks, broken_link) = match answer {
        Ok(CheckReply { version, checks, broken_link, .. }) => (Some(version), checks, broken_link),
        // The caller's role is the reason: no other host would answer either.
        Err(Error::OtherHost { code, params, .. }) if code == "RBAC_PERMISSION_DENIED" => {
            return Err(XapiError::Refused { call: "host.call_plugin".to_owned(), code, params });
        }
        Err(error) => (None, vec![CheckItem::new("plugin", Err(error.to_string()))], None),
    };
    let ok = checks.iter().all(|item| item.ok);
    Ok(HostCheck { host_uuid: host.uuid, host_name: host.name_label, version, ok, checks, broken_link })
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
