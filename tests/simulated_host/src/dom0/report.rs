//! What a host tells the pool about the VMs on it.

use super::Dom0;
use super::operation::{allowed_operations, text};
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

    /// Tells what really runs here, as a xapi does that starts or finds its coordinator again (`on_xapi_restart` in
    /// `ocaml/xapi/xapi_xenops.ml`), and passes on what it has missed. That it does so at once is a guess: the real one
    /// may try again for 15 seconds.
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

    /// The VMs with a domain here. One that was started elsewhere while nobody could see it here ends; one that XAPI has
    /// no record of runs on unseen.
    fn running_vms(&self) -> Vec<(String, Domain)> {
        let mut running = Vec::new();
        for (uuid, domain) in self.xenopsd.domains() {
            let Ok(vm) = self.pool.read().table(Class::Vm).by_uuid(Class::Vm, &uuid) else { continue };
            let elsewhere = self.pool.host_of_vm(&vm).ok().flatten();
            let elsewhere = elsewhere.filter(|host| host.reference != self.reference);
            if elsewhere.is_some_and(|host| host.xenopsd.domain(&uuid).is_some()) {
                self.xenopsd.destroy_domain(&uuid);
                self.xenopsd.forget(&uuid);
            } else {
                running.push((vm, domain));
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
            let record = database.change(Class::Vm, vm)?;
            if text(record, "power_state") == "Running" {
                record.insert("allowed_operations".to_owned(), allowed_operations("Running", has_agent));
            }
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
    let mut former = NULL.to_owned();
    let has_agent = !database.without_agent.contains(vm);
    if let Ok(record) = database.change(Class::Vm, vm) {
        former = text(record, "resident_on");
        record.insert("power_state".to_owned(), state.into());
        record.insert("domid".to_owned(), Value::Int(domid.unwrap_or(-1)));
        record.insert("resident_on".to_owned(), if domid.is_some() { host } else { NULL }.into());
        record.insert("allowed_operations".to_owned(), allowed_operations(state, has_agent));
    }
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
