//! What a host tells the pool about the VMs on it.

use super::operation::text;
use super::rules::update_allowed_operations;
use super::{Dom0, gpus};
use crate::database::{Class, Database, NULL};
use crate::error::ApiResult;
use crate::wire::Value;
use crate::xenopsd::Domain;

impl Dom0 {
    /// Notes what has become of a VM: its state, and the domain that it is on this host, if any. A host that does not
    /// reach its coordinator tells it later.
    pub(super) fn set_power_state(&self, vm: &str, state: &str, domid: Option<i64>) {
        if self.pool.is_in_contact(self) {
            self.pool.write(|database| note(database, &self.reference, vm, state, domid));
        }
    }

    /// Tells what really runs here, as a xapi does that starts or finds its coordinator again (`resync_resident_on` and
    /// `resync_all_vms` in `ocaml/xapi/xapi_xenops.ml`), and passes on what it has missed. That it does so at once is a
    /// guess: the real one tries again every 2 to 256 seconds (`ocaml/database/master_connection.ml`), and its event
    /// thread after 15.
    pub fn report(&self) {
        if !self.xapi_works() {
            return;
        }
        let running = self.running_vms();
        let ended = self.pool.write(|database| {
            for (vm, domain) in &running {
                note(database, &self.reference, vm, domain.power_state(), Some(domain.domid));
            }
            let mut ended = recorded_on(database, &self.reference);
            ended.retain(|vm| !running.iter().any(|(running, _)| running == vm));
            for vm in &ended {
                note(database, &self.reference, vm, "Halted", None);
            }
            // What another host has left in the list, or a database that is older than a migration.
            let residents: Vec<_> = database.table(Class::Vm).having("resident_on", &self.reference).cloned().collect();
            let _ = database.set(Class::Host, &self.reference, "resident_VMs", residents);
            let uuid = |vm: &String| database.record(Class::Vm, vm).map(|record| text(record, "uuid")).ok();
            ended.iter().filter_map(uuid).collect::<Vec<_>>()
        });
        for uuid in ended {
            self.xenopsd.forget(&uuid);
        }
        self.all_have_changed();
    }

    /// The VMs with a domain here. One that XAPI has on another host, or has no record of, "isn't supposed to be" here:
    /// it is ended, without a hook.
    fn running_vms(&self) -> Vec<(String, Domain)> {
        let mut running = Vec::new();
        for (uuid, domain) in self.xenopsd.domains() {
            let vm = self.pool.read().table(Class::Vm).by_uuid(Class::Vm, &uuid);
            let host = vm.as_ref().ok().and_then(|vm| self.pool.host_of_vm(vm).ok().flatten());
            match vm {
                Ok(vm) if host.is_none_or(|host| host.reference == self.reference) => running.push((vm, domain)),
                _ => {
                    self.xenopsd.destroy_domain(&uuid);
                    self.xenopsd.forget(&uuid);
                }
            }
        }
        running
    }

    /// A guest's agent announces itself, or is gone.
    pub fn set_guest_agent(&self, vm: &str, has_agent: bool) -> ApiResult<()> {
        self.pool.write(|database| {
            if has_agent {
                database.without_agent.remove(vm);
            } else {
                database.without_agent.insert(vm.to_owned());
            }
            database.record(Class::Vm, vm)?;
            update_allowed_operations(database, vm);
            Ok(())
        })
    }

    /// `host.declare_dead`: whatever ran here counts as halted.
    pub fn declare_dead(&self) {
        self.pool.write(|database| {
            for vm in recorded_on(database, &self.reference) {
                note(database, &self.reference, &vm, "Halted", None);
            }
        });
    }
}

/// The VMs that are said to run on a host, but for its control domain.
fn recorded_on(database: &Database, host: &str) -> Vec<String> {
    let residents = database.table(Class::Vm).having("resident_on", host);
    let is_guest = |vm: &&String| {
        let record = database.record(Class::Vm, vm);
        record.is_ok_and(|record| record.get("is_control_domain") == Some(&Value::Bool(false)))
    };
    residents.filter(is_guest).cloned().collect()
}

fn note(database: &mut Database, host: &str, vm: &str, state: &str, domid: Option<i64>) {
    let (mut former, mut attach_pcis) = (NULL.to_owned(), false);
    if let Ok(record) = database.change(Class::Vm, vm) {
        former = text(record, "resident_on");
        attach_pcis = (former == NULL) == domid.is_some();
        record.insert("power_state".to_owned(), state.into());
        record.insert("domid".to_owned(), Value::Int(domid.unwrap_or(-1)));
        record.insert("resident_on".to_owned(), if domid.is_some() { host } else { NULL }.into());
    }
    if attach_pcis {
        let pcis = domid.map(|_| gpus::passed_through(database, host, vm)).unwrap_or_default();
        let _ = database.set(Class::Vm, vm, "attached_PCIs", pcis);
    }
    update_allowed_operations(database, vm);
    for resident_on in [&former, host] {
        if let Some(residents) = residents(database, resident_on) {
            residents.retain(|resident| resident != &Value::from(vm));
        }
    }
    if let Some(residents) = residents(database, host).filter(|_| domid.is_some()) {
        residents.insert(0, vm.into());
    }
}

/// The VMs that a host's record lists.
fn residents<'a>(database: &'a mut Database, host: &str) -> Option<&'a mut Vec<Value>> {
    database.record(Class::Host, host).ok()?;
    match database.change(Class::Host, host).ok()?.get_mut("resident_VMs") {
        Some(Value::List(residents)) => Some(residents),
        _ => None,
    }
}
