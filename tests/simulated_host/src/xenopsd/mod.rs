//! xenopsd: its own database of VMs, apart from XAPI's, and the domains it has built from it.

mod domain;
pub mod rpc;
mod schema;
mod vm_t;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use indexmap::IndexMap;

pub use domain::{Domain, Platformdata};
pub use vm_t::unmarshal_vm;

use crate::dom0::DeviceModel;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;
use crate::{lock, random};

/// One host's xenopsd.
#[derive(Debug)]
pub struct Xenopsd {
    vms: Mutex<IndexMap<String, Vm>>,
    last_domid: AtomicI64,
}

/// What xenopsd knows of a VM.
#[derive(Debug, Clone, Default)]
struct Vm {
    /// `Vm.t`: what the next domain will be built from. Gone after a shutdown.
    metadata: Option<Value>,
    /// The `Vm.t` that xapi pushed last, which is how xapi tells whether it must push again.
    pushed: Option<Value>,
    /// The bytes of the `vm` of the last VM.add that came by message.
    last_add: Option<Vec<u8>>,
    domain: Option<Domain>,
    /// From the first step of a reboot to its last (`rebooting` in `ocaml/xenopsd/lib/xenops_server.ml`).
    is_rebooting: bool,
}

/// What a migration carries from one xenopsd to the other.
pub struct Handover {
    /// `Vm.t`, from which a later reboot builds.
    pub metadata: Option<Value>,
    /// What the running domain was built from.
    pub platformdata: Platformdata,
}

impl Xenopsd {
    pub fn new() -> Self {
        Self { vms: Mutex::default(), last_domid: AtomicI64::new(0) }
    }

    /// `VM.import_metadata`: xapi's own view replaces whatever is there.
    pub fn push(&self, uuid: &str, metadata: Value) {
        let mut vms = lock(&self.vms);
        let vm = vms.entry(uuid.to_owned()).or_default();
        vm.pushed = Some(metadata.clone());
        vm.metadata = Some(metadata);
    }

    /// What another host's xenopsd knew of a VM that has come from there. xapi here has not pushed anything yet.
    pub fn import(&self, uuid: &str, metadata: Value) {
        lock(&self.vms).entry(uuid.to_owned()).or_default().metadata = Some(metadata);
    }

    /// Pushes only what differs from the last push, as xapi's event thread does, and only of a VM that xenopsd knows.
    pub fn push_if_changed(&self, uuid: &str, metadata: Value) {
        let is_news =
            lock(&self.vms).get(uuid).is_some_and(|vm| vm.metadata.is_some() && vm.pushed.as_ref() != Some(&metadata));
        if is_news {
            self.push(uuid, metadata);
        }
    }

    /// `VM.add`: somebody else's view replaces whatever is there. The reader has checked it.
    pub fn add(&self, uuid: &str, metadata: Value, sent: Vec<u8>) {
        let mut vms = lock(&self.vms);
        let vm = vms.entry(uuid.to_owned()).or_default();
        vm.metadata = Some(metadata);
        vm.last_add = Some(sent);
    }

    pub fn metadata(&self, uuid: &str) -> Option<Value> {
        lock(&self.vms).get(uuid).and_then(|vm| vm.metadata.clone())
    }

    pub fn last_add(&self, uuid: &str) -> Option<Vec<u8>> {
        lock(&self.vms).get(uuid).and_then(|vm| vm.last_add.clone())
    }

    pub fn domain(&self, uuid: &str) -> Option<Domain> {
        lock(&self.vms).get(uuid).and_then(|vm| vm.domain.clone())
    }

    /// `VM_create` and what follows: reads the database again and builds a domain from it.
    pub fn create_domain(&self, uuid: &str) -> ApiResult<Domain> {
        let mut vms = lock(&self.vms);
        let vm = vms.entry(uuid.to_owned()).or_default();
        let metadata = vm.metadata.as_ref().ok_or_else(|| {
            ApiError::internal(&format!("Object with type VM and id {uuid}/config does not exist in xenopsd"))
        })?;
        let platformdata = domain::platformdata(metadata);
        domain::check_xenstore_limits(&platformdata)?;
        let built = self.new_domain(platformdata);
        vm.domain = Some(built.clone());
        Ok(built)
    }

    fn new_domain(&self, platformdata: Platformdata) -> Domain {
        let domid = self.last_domid.fetch_add(1, Ordering::Relaxed) + 1;
        Domain { domid, platformdata, started: random::now(), paused: false, device_model: None }
    }

    /// Sets a domain's QEMU.
    pub fn set_device_model(&self, uuid: &str, device_model: DeviceModel) {
        if let Some(domain) = lock(&self.vms).get_mut(uuid).and_then(|vm| vm.domain.as_mut()) {
            domain.device_model = Some(Arc::new(device_model));
        }
    }

    /// Says whether a VM is being rebooted: for as long as it is, VM.stat hides that it has no domain.
    pub fn set_rebooting(&self, uuid: &str, is_rebooting: bool) {
        lock(&self.vms).entry(uuid.to_owned()).or_default().is_rebooting = is_rebooting;
    }

    pub fn is_rebooting(&self, uuid: &str) -> bool {
        lock(&self.vms).get(uuid).is_some_and(|vm| vm.is_rebooting)
    }

    /// Pauses a domain, or lets it go on.
    pub fn set_paused(&self, uuid: &str, paused: bool) {
        if let Some(domain) = lock(&self.vms).get_mut(uuid).and_then(|vm| vm.domain.as_mut()) {
            domain.paused = paused;
        }
    }

    /// A xapi that starts anew remembers nothing of what it has pushed, and so pushes everything again
    /// (`Xapi_cache` in `ocaml/xapi/xapi_xenops.ml`).
    pub fn forget_pushed(&self) {
        for vm in lock(&self.vms).values_mut() {
            vm.pushed = None;
        }
    }

    pub fn destroy_domain(&self, uuid: &str) {
        if let Some(vm) = lock(&self.vms).get_mut(uuid) {
            vm.domain = None;
        }
    }

    /// xapi removes a VM's metadata once it no longer runs here.
    pub fn forget(&self, uuid: &str) {
        if let Some(vm) = lock(&self.vms).get_mut(uuid) {
            vm.metadata = None;
            vm.pushed = None;
        }
    }

    /// Ends the domain and gives what a resume needs of it.
    pub fn suspend(&self, uuid: &str) -> Option<Platformdata> {
        lock(&self.vms).get_mut(uuid)?.domain.take().map(|domain| domain.platformdata)
    }

    /// Gives a domain back that was suspended or comes from another host, with the platform data it had and not with
    /// what is set by now.
    pub fn resume(&self, uuid: &str, platformdata: Platformdata) -> Domain {
        let built = self.new_domain(platformdata);
        lock(&self.vms).entry(uuid.to_owned()).or_default().domain = Some(built.clone());
        built
    }

    /// Lets another host's xenopsd have all that this one knows of a VM.
    pub fn hand_over(&self, uuid: &str) -> Option<Handover> {
        let vm = lock(&self.vms).shift_remove(uuid)?;
        Some(Handover { metadata: vm.metadata, platformdata: vm.domain?.platformdata })
    }

    /// The VMs that have a domain: their UUIDs, and it.
    pub fn domains(&self) -> Vec<(String, Domain)> {
        let vms = lock(&self.vms);
        vms.iter().filter_map(|(uuid, vm)| Some((uuid.clone(), vm.domain.clone()?))).collect()
    }

    /// Forgets everything, as after a crash: its database is below `/var/run`, which is in memory.
    pub fn reset(&self) {
        lock(&self.vms).clear();
    }
}
