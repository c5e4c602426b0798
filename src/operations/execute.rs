//! Carries out requests on this host.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use super::selector::{self, Meant};
use super::single::{show_device, show_settings, visit_vms};
use super::{
    Caller, Host, Importing, RegisterVm, SetGpuPool, UpdateVm, adopt, apply, assign_gpu, check, check_all_hosts,
    check_vm, count_by_pool, count_by_priority, export, history, import, list_pools, list_vms, list_vms_as_json,
    metrics, prune, register_vms, remove_vms, running, scan_gpus, scan_vms, set_gpu_pool, show_pool, show_vms, status,
    sync, unassign_gpu, update_vms, version,
};
use crate::error::Error;
use crate::host::Guest;
use crate::model::{DeviceVmId, VmUuid};
use crate::paths::Root;
use crate::reply::{ApplyReply, ChangeReply, CheckedReply, HistoryItem, OneOrMore, ShowReply, VmReply};
use crate::request::{ApplyTo, NewVm, NewVms, Reply, Request, VmSelector, VmSelectors};
use crate::store::{self, CheckItem, Filter};

/// This host, in a caller's name. The first request that needs its settings and its database opens them: a check works
/// without.
#[derive(Debug)]
pub struct ThisHost {
    root: Root,
    caller: Caller,
    user: Option<String>,
    guest: Option<Guest>,
    opened: OnceCell<Host>,
}

impl ThisHost {
    /// This host, with the files below `root`.
    #[must_use]
    pub fn new(root: Root, caller: Caller) -> Self {
        Self { root, caller, user: None, guest: None, opened: OnceCell::new() }
    }

    /// Names the user for the history. For a plugin's caller, XAPI says who it is.
    #[must_use]
    pub fn on_behalf_of(self, user: String) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Inside another program.
    #[must_use]
    pub fn inside(self, guest: Guest) -> Self {
        Self { guest: Some(guest), ..self }
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Whether the database is open, and its path names another file by now.
    pub(super) fn is_replaced(&self) -> bool {
        self.opened.get().is_some_and(|host| host.store.is_replaced())
    }

    /// The next request reads the settings and opens the database again.
    pub(super) fn close(&mut self) {
        self.opened.take();
    }

    pub(super) fn host(&self) -> Result<&Host, Error> {
        if let Some(host) = self.opened.get() {
            return Ok(host);
        }
        let host = Host::open_for(self.root.clone(), self.caller.clone(), self.guest)?.on_behalf_of(self.user.clone());
        Ok(self.opened.get_or_init(|| host))
    }

    /// # Errors
    /// Those of the operation.
    #[allow(clippy::too_many_lines, reason = "a line or two for each request")]
    pub fn execute(&self, request: Request) -> Result<Reply, Error> {
        let host = || self.host();
        Ok(match request {
            Request::RegisterVm { vm, pool, priority, vm_id, force, dry_run } => {
                let update = UpdateVm { pool, priority, vm_id, force };
                Reply::RegisterVm(self.register(vm, update, dry_run)?)
            }
            Request::ShowVm { vm } => Reply::ShowVm(self.show(&vm)?),
            Request::SetPool { vm, pool, force, dry_run } => {
                let update = UpdateVm { pool: Some(pool), force, ..UpdateVm::default() };
                Reply::SetPool(self.update(&vm, update, dry_run)?)
            }
            Request::SetPriority { vm, priority, dry_run } => {
                let update = UpdateVm { priority: Some(priority), ..UpdateVm::default() };
                Reply::SetPriority(self.update(&vm, update, dry_run)?)
            }
            Request::UpdateVm { vm, pool, priority, vm_id, force, dry_run } => {
                Reply::UpdateVm(self.update(&vm, UpdateVm { pool, priority, vm_id, force }, dry_run)?)
            }
            Request::ListVms { pool, priority } => Reply::ListVms(list_vms(host()?, Filter { pool, priority })?),
            Request::ListPools {} => Reply::ListPools(list_pools(host()?)?),
            Request::SetGpuPool { pool, name, description, max_vms, dry_run } => {
                let change = SetGpuPool { name, description, max_vms };
                Reply::SetGpuPool(set_gpu_pool(host()?, pool, &change, dry_run)?)
            }
            Request::ShowPool { pool } => Reply::ShowPool(show_pool(host()?, pool)?),
            Request::AssignGpu { pool, gpu, dry_run } => Reply::AssignGpu(assign_gpu(host()?, pool, &gpu, dry_run)?),
            Request::UnassignGpu { gpu, dry_run } => Reply::UnassignGpu(unassign_gpu(host()?, &gpu, dry_run)?),
            Request::CountByPool {} => Reply::CountByPool(count_by_pool(host()?)?),
            Request::CountByPriority {} => Reply::CountByPriority(count_by_priority(host()?)?),
            Request::RemoveVm { vm, dry_run } => {
                Reply::RemoveVm(self.change(&vm, |host, uuids| remove_vms(host, uuids, dry_run))?)
            }
            Request::ScanVms {} => Reply::ScanVms(scan_vms(host()?)?),
            Request::ScanGpus {} => Reply::ScanGpus(scan_gpus(host()?)?),
            Request::Adopt { dry_run } => Reply::Adopt(adopt(host()?, dry_run)?),
            Request::Sync { dry_run } => Reply::Sync(sync(host()?, dry_run)?),
            Request::Prune { vm_uuids, gpus, dry_run } => {
                Reply::Prune(prune(host()?, vm_uuids.as_ref(), gpus.as_ref(), dry_run)?)
            }
            Request::Export {} => Reply::Export(export(host()?)?),
            Request::Import { config, prune, force, dry_run } => {
                Reply::Import(import(host()?, &config, Importing { prune, force, dry_run })?)
            }
            Request::History { vm, limit } => Reply::History(self.history(vm, limit)?),
            Request::Apply { to, hard, dry_run } => Reply::Apply(self.apply(&to, hard, dry_run)?),
            Request::Running {} => Reply::Running(running(&self.root, &self.caller)?),
            Request::Status {} => Reply::Status(status(host()?)?),
            Request::Check { vm, all_hosts } => Reply::Check(self.check(vm, all_hosts)?),
            Request::Metrics {} => Reply::Metrics(metrics(host()?)?),
            Request::Version {} => Reply::Version(version()),
        })
    }

    /// Carries out a request, and returns the reply as JSON. A list of VMs becomes JSON while it is read, however long it
    /// is.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn execute_to_json(&self, request: Request) -> Result<String, Error> {
        match request {
            Request::ListVms { pool, priority } => Ok(list_vms_as_json(self.host()?, Filter { pool, priority })?.0),
            request => self.execute(request)?.to_json(),
        }
    }

    /// Lists VMs as JSON, and returns the same time as [`Reply::as_of`].
    ///
    /// # Errors
    /// As [`list_vms`].
    pub fn list_to_json(&self, filter: Filter) -> Result<(String, Option<String>), Error> {
        list_vms_as_json(self.host()?, filter)
    }

    /// Shows a VM's settings alone.
    ///
    /// # Errors
    /// As [`show_settings`].
    pub fn show_settings(&self, uuid: VmUuid) -> Result<VmReply, Error> {
        show_settings(self.host()?, uuid)
    }

    /// Shows the VM whose device has a number.
    ///
    /// # Errors
    /// As [`show_device`].
    pub fn show_device(&self, vm_id: DeviceVmId) -> Result<VmReply, Error> {
        show_device(self.host()?, vm_id)
    }

    /// Lists VMs one by one.
    ///
    /// # Errors
    /// As [`visit_vms`].
    pub fn visit_vms(
        &self,
        filter: Filter,
        visit: &mut dyn FnMut(VmReply) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        visit_vms(self.host()?, filter, visit)
    }

    /// The part of a check that is about the database.
    #[must_use]
    pub fn check_database(&self) -> Vec<CheckItem> {
        store::check(&self.root.database())
    }

    fn apply(&self, to: &ApplyTo, hard: bool, dry_run: bool) -> Result<ApplyReply, Error> {
        let host = self.host()?;
        let only = match to {
            ApplyTo::Vm(vm) => Some(selector::find(host, vm)?.uuid),
            ApplyTo::Pending => None,
        };
        apply(host, only, hard, dry_run)
    }

    fn register(
        &self,
        vms: NewVms,
        UpdateVm { pool, priority, vm_id, force }: UpdateVm,
        dry_run: bool,
    ) -> Result<OneOrMore<ChangeReply>, Error> {
        let host = self.host()?;
        let is_list = matches!(vms, NewVms::Several(_));
        let found = match vms {
            NewVms::One(NewVm::Uuid { uuid, name }) => vec![(uuid, name)],
            NewVms::One(NewVm::Name(name)) => selector::find_all_new(host, &[VmSelector::Name(name)])?,
            NewVms::Several(vms) => selector::find_all_new(host, &vms)?,
        };
        refuse_one_number_for_several(vm_id, found.len())?;
        let defaults = host.settings.defaults;
        let (pool, priority) = (pool.unwrap_or(defaults.pool), priority.unwrap_or(defaults.priority));
        let vm = |(vm_uuid, vm_name)| RegisterVm { vm_uuid, vm_name, pool, priority, vm_id, force };
        let vms: Vec<_> = found.into_iter().map(vm).collect();
        one_or_more(register_vms(host, &vms, dry_run)?, is_list)
    }

    fn history(&self, vm: Option<VmSelector>, limit: Option<u32>) -> Result<Vec<HistoryItem>, Error> {
        let host = self.host()?;
        // Each entry names its VM: no note is needed if XAPI is away.
        let only = vm.map(|vm| selector::find_to_read(host, &vm)).transpose()?.map(|meant| meant.uuid);
        history(host, only, limit)
    }

    fn show(&self, vms: &VmSelectors) -> Result<OneOrMore<ShowReply>, Error> {
        let host = self.host()?;
        let found = selector::find_all_to_read(host, vms.as_slice())?;
        let uuids: Vec<_> = found.iter().map(|meant| meant.uuid).collect();
        let reply = |(vm, Meant { name, note, .. }): (VmReply, Meant)| ShowReply {
            vm: VmReply { vm_name: name.or(vm.vm_name), ..vm },
            notes: note.into_iter().collect(),
        };
        let replies = show_vms(host, &uuids)?.into_iter().zip(found).map(reply).collect();
        one_or_more(replies, matches!(vms, VmSelectors::Several(_)))
    }

    fn update(&self, vms: &VmSelectors, update: UpdateVm, dry_run: bool) -> Result<OneOrMore<ChangeReply>, Error> {
        refuse_one_number_for_several(update.vm_id, vms.as_slice().len())?;
        self.change(vms, |host, uuids| update_vms(host, uuids, &update, dry_run))
    }

    fn change(
        &self,
        vms: &VmSelectors,
        change: impl FnOnce(&Host, &[VmUuid]) -> Result<Vec<ChangeReply>, Error>,
    ) -> Result<OneOrMore<ChangeReply>, Error> {
        let host = self.host()?;
        let found = selector::find_all(host, vms.as_slice())?;
        let uuids: Vec<_> = found.iter().map(|meant| meant.uuid).collect();
        let mut replies = change(host, &uuids)?;
        for (reply, Meant { note, .. }) in replies.iter_mut().zip(found) {
            reply.notes.extend(note);
        }
        one_or_more(replies, matches!(vms, VmSelectors::Several(_)))
    }

    fn check(&self, vm: Option<VmSelector>, all_hosts: bool) -> Result<CheckedReply, Error> {
        Ok(match (vm, all_hosts) {
            (None, false) => CheckedReply::ThisHost(check(&self.root)),
            (None, true) => CheckedReply::AllHosts(check_all_hosts(&self.root, &self.caller)?),
            (Some(vm), false) => {
                // Without the database where that is possible: it may be what is broken.
                let uuid = match vm {
                    VmSelector::Uuid(uuid) => uuid,
                    name @ VmSelector::Name(_) => selector::find_to_read(self.host()?, &name)?.uuid,
                };
                CheckedReply::Vm(check_vm(&self.root, &self.caller, uuid)?)
            }
            (Some(_), true) => {
                return Err(Error::InvalidParam {
                    name: "all_hosts".to_owned(),
                    value: "true".to_owned(),
                    expected: "nothing if a VM is named: it is checked on the host where it runs".to_owned(),
                });
            }
        })
    }
}

fn one_or_more<T>(mut replies: Vec<T>, is_list: bool) -> Result<OneOrMore<T>, Error> {
    if is_list {
        return Ok(OneOrMore::More(replies));
    }
    let one = replies.pop().ok_or_else(|| Error::Internal("no reply for a VM".to_owned()))?;
    Ok(OneOrMore::One(Box::new(one)))
}

fn refuse_one_number_for_several(vm_id: Option<DeviceVmId>, vms: usize) -> Result<(), Error> {
    match vm_id {
        Some(vm_id) if vms > 1 => Err(Error::InvalidParam {
            name: "vm_id".to_owned(),
            value: vm_id.to_string(),
            expected: "nothing if several VMs are given: each has a number of its own".to_owned(),
        }),
        _ => Ok(()),
    }
}
