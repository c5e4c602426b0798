//! One VM's chain: what its database, the shared copy, XAPI, xenopsd, the qemu-wrapper and its QEMU have.

use super::links::Chain;
use crate::entry::Entry;
use crate::error::Error;
use crate::model::VmUuid;
use crate::operations::Caller;
use crate::operations::hosts::{EVERY_HOST_TIMEOUT, ask_host};
use crate::paths::Root;
use crate::reply::{CheckedReply, VmCheckReply};
use crate::request::{Request, VmSelector};
use crate::settings::Settings;
use crate::shared_copy::SharedCopy;
use crate::store::{Store, StoreError};
use crate::xenapi::{self, HostRecord, Session, XapiError, XapiVm};

/// Checks a VM's chain, on the host where it runs.
///
/// # Errors
/// The VM is not registered and never was.
pub fn check_vm(root: &Root, caller: &Caller, vm_uuid: VmUuid) -> Result<VmCheckReply, Error> {
    let seen = caller.connect(root, xenapi::XAPI_TIMEOUT).and_then(|mut session| {
        let seen = Seen::read(&mut session, &vm_uuid)?;
        Ok((seen, session))
    });
    match seen {
        Ok((seen, session)) if seen.is_elsewhere(root) => match seen.ask_there(root, &session, vm_uuid) {
            Err(error @ Error::NotRegistered(_)) => Err(error),
            Err(error) => here(root, vm_uuid, Ok(seen), Some(&error.to_string())),
            answer => answer,
        },
        Ok((seen, _)) => here(root, vm_uuid, Ok(seen), None),
        Err(error) => here(root, vm_uuid, Err(error), None),
    }
}

/// What XAPI has of the VM.
pub(super) struct Seen {
    pub shared: SharedCopy,
    pub vm: XapiVm,
    /// The host on which it runs.
    pub on: Option<HostRecord>,
}

impl Seen {
    fn read(session: &mut Session, vm_uuid: &VmUuid) -> Result<Self, XapiError> {
        let shared = SharedCopy::load(session)?;
        let vm = session.look_up(vm_uuid)?;
        let resident_on = vm.record().filter(|record| record.has_domain()).map(|record| &record.resident_on);
        let on = resident_on.map(|on| session.host_record(on)).transpose()?;
        Ok(Self { shared, vm, on })
    }

    fn is_elsewhere(&self, root: &Root) -> bool {
        self.on.as_ref().is_some_and(|on| root.host_uuid().as_ref() != Some(&on.uuid))
    }

    fn ask_there(&self, root: &Root, session: &Session, vm_uuid: VmUuid) -> Result<VmCheckReply, Error> {
        let (Some(on), Some(record)) = (&self.on, self.vm.record()) else { return Err(Error::NotRegistered(vm_uuid)) };
        let request = Request::Check { vm: Some(VmSelector::Uuid(vm_uuid)), all_hosts: false };
        match ask_host(root, session.token(), &record.resident_on, &on.name_label, &request, EVERY_HOST_TIMEOUT)? {
            CheckedReply::Vm(reply) => Ok(reply),
            CheckedReply::AllHosts(_) | CheckedReply::ThisHost(_) => {
                Err(Error::OtherAnswer { host: on.name_label.clone(), reason: "it is not about a VM".to_owned() })
            }
        }
    }
}

/// What this host's database has of the VM: its entry, which may be what cannot be read, and its name.
fn stored(root: &Root, vm_uuid: &VmUuid) -> (Result<Option<Entry>, StoreError>, Option<String>) {
    let read = || {
        let store = Store::open_existing(&root.database(), super::DATABASE_TIMEOUT)?;
        let name = store.read().vm(vm_uuid)?.and_then(|vm| vm.name);
        Ok((store.read().entry(vm_uuid)?, name))
    };
    match read() {
        Ok((entry, name)) => (Ok(entry), name),
        Err(error) => (Err(error), None),
    }
}

/// The chain as far as this host knows it. `elsewhere` is why the host could not be asked on which the VM runs.
fn here(
    root: &Root,
    vm_uuid: VmUuid,
    seen: Result<Seen, XapiError>,
    elsewhere: Option<&str>,
) -> Result<VmCheckReply, Error> {
    let settings = Settings::load(&root.settings()).unwrap_or_default();
    let (stored, name) = stored(root, &vm_uuid);
    let away = seen.as_ref().err().map(ToString::to_string);
    let seen = seen.ok();
    let entry = stored.as_ref().ok().and_then(Option::as_ref);
    let newest = match &seen {
        Some(seen) => seen.shared.newest(&vm_uuid, entry),
        None => entry.cloned(),
    };
    if newest.is_none() && stored.is_ok() {
        return Err(Error::NotRegistered(vm_uuid));
    }
    let record = seen.as_ref().and_then(|seen| seen.vm.record());
    let wanted = newest.and_then(|entry| entry.settings);
    let chain = Chain { root, settings: &settings, vm_uuid, wanted, record, elsewhere };
    let links = vec![
        chain.database(&stored, seen.as_ref()),
        chain.shared_copy(entry, seen.as_ref(), away.as_deref()),
        chain.xapi(away.as_deref()),
        chain.xenopsd(),
        chain.qemu_wrapper(),
        chain.qemu(),
    ];
    let broken_link = links.iter().find(|link| !link.ok).map(|link| link.link);
    Ok(VmCheckReply {
        ok: broken_link.is_none(),
        vm_uuid,
        vm_name: record.map(|record| record.name_label.clone()).or(name),
        host_name: seen.as_ref().and_then(|seen| Some(seen.on.as_ref()?.name_label.clone())),
        power_state: record.map(|record| record.power_state.clone()),
        links,
        broken_link,
    })
}
