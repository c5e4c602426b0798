//! What a test does with VMs, short of starting them.

use std::io;

use indexmap::IndexMap;

use super::SimulatedHost;
use crate::database::{self, Class, Database, map_of};
use crate::dom0::CopyKind;
use crate::error::ApiError;
use crate::wire::{Value, json};
use crate::{random, seed};

/// The VMs.
impl SimulatedHost {
    /// Creates a halted HVM guest and gives its UUID.
    #[must_use]
    pub fn create_vm(&self, name: &str) -> String {
        let uuid = random::uuid();
        self.create_vm_with_uuid(&uuid, name);
        uuid
    }

    /// Creates a halted HVM guest of a given UUID.
    pub fn create_vm_with_uuid(&self, uuid: &str, name: &str) {
        seed::create_vm(&self.dom0.pool, uuid, name);
    }

    /// Puts a recorded object into XAPI's database: its class (`VM`, `host`, `pool`, `task`, `PCI`, `PGPU`), its reference, and its
    /// record in JSON.
    ///
    /// # Errors
    /// There is no such class, or that is not JSON.
    pub fn import_record(&self, class: &str, reference: &str, record: &[u8]) -> io::Result<()> {
        let class = Class::of_name(class).ok_or_else(|| io::Error::other("no such class"))?;
        let value = json::parse(record).map_err(|error| io::Error::other(error.as_exception()))?;
        self.dom0.pool.write(|database| database.insert(class, reference, database::from_value(&value)));
        Ok(())
    }

    /// XAPI's record of a VM, or nothing.
    #[must_use]
    pub fn vm_record(&self, uuid: &str) -> Option<serde_json::Value> {
        let database = self.dom0.pool.read();
        let reference = database.table(Class::Vm).by_uuid(Class::Vm, uuid).ok()?;
        let record = database.record(Class::Vm, &reference).ok()?;
        Some(Value::dict(record.iter().map(|(name, value)| (name, value.clone()))).to_serde())
    }

    /// The reference of a VM.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn vm_ref(&self, uuid: &str) -> Result<String, ApiError> {
        self.dom0.pool.read().table(Class::Vm).by_uuid(Class::Vm, uuid)
    }

    fn map(&self, uuid: &str, field: &str) -> IndexMap<String, String> {
        let Ok(vm) = self.vm_ref(uuid) else { return IndexMap::new() };
        self.dom0.pool.read().record(Class::Vm, &vm).map(|record| map_of(record, field)).unwrap_or_default()
    }

    /// `VM.platform`, as XAPI has it.
    #[must_use]
    pub fn platform(&self, uuid: &str) -> IndexMap<String, String> {
        self.map(uuid, "platform")
    }

    /// `VM.other_config`.
    #[must_use]
    pub fn other_config(&self, uuid: &str) -> IndexMap<String, String> {
        self.map(uuid, "other_config")
    }

    /// Sets a platform key, or removes it, as `xe vm-param-set` and `vm-param-remove` do.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn set_platform_key(&self, uuid: &str, key: &str, value: Option<&str>) -> Result<(), ApiError> {
        self.change(uuid, |database, vm| set_key(database, Class::Vm, vm, "platform", key, value))
    }

    /// Says whether a VM's guest has an agent; at first it has. XAPI asks a guest without one neither to reboot nor to
    /// shut down, to suspend or to migrate: `VM_LACKS_FEATURE`. A copy of the VM is like it.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn set_guest_agent(&self, uuid: &str, has_agent: bool) -> Result<(), ApiError> {
        self.dom0.set_guest_agent(&self.vm_ref(uuid)?, has_agent)
    }

    /// Gives a VM another name.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn rename(&self, uuid: &str, name: &str) -> Result<(), ApiError> {
        self.change(uuid, |database, vm| database.set(Class::Vm, vm, "name_label", name))
    }

    /// Makes a VM a template, as `xe vm-param-set is-a-template=true` does.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn make_template(&self, uuid: &str) -> Result<(), ApiError> {
        self.change(uuid, |database, vm| database.set(Class::Vm, vm, "is_a_template", true))
    }

    pub(super) fn change(
        &self,
        uuid: &str,
        change: impl FnOnce(&mut Database, &str) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let vm = self.vm_ref(uuid)?;
        self.dom0.pool.check_coordinator()?;
        self.dom0.pool.write(|database| change(database, &vm))?;
        self.dom0.pool.vm_has_changed(&vm)
    }

    /// `Halted`, `Running`, `Paused` or `Suspended`; empty if there is no such VM.
    #[must_use]
    pub fn power_state(&self, uuid: &str) -> String {
        let record = self.vm_record(uuid).unwrap_or_default();
        record["power_state"].as_str().unwrap_or_default().to_owned()
    }

    /// Copies a VM and gives the copy's UUID.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn clone_vm(&self, uuid: &str, name: &str) -> Result<String, ApiError> {
        self.copy(uuid, name, CopyKind::Clone)
    }

    /// Copies a VM; the copy gets a given UUID, where a test is to be repeated exactly.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn clone_vm_with_uuid(&self, uuid: &str, name: &str, copy: &str) -> Result<(), ApiError> {
        let cloned = self.vm_ref(&self.clone_vm(uuid, name)?)?;
        self.dom0.pool.write(|database| database.set(Class::Vm, &cloned, "uuid", copy))
    }

    /// Makes a VM of a template's copy, as `xe vm-install` does.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn provision(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.provision_vm(&self.vm_ref(uuid)?)
    }

    /// Takes a snapshot and gives its UUID.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn snapshot(&self, uuid: &str, name: &str) -> Result<String, ApiError> {
        self.copy(uuid, name, CopyKind::Snapshot)
    }

    fn copy(&self, uuid: &str, name: &str, kind: CopyKind) -> Result<String, ApiError> {
        let copy = self.dom0.copy_vm(&self.vm_ref(uuid)?, name, kind)?;
        let database = self.dom0.pool.read();
        let uuid = database.record(Class::Vm, &copy)?["uuid"].text().unwrap_or_default().into_owned();
        Ok(uuid)
    }

    /// Takes a VM back to a snapshot, which ends it if it runs.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn revert(&self, snapshot_uuid: &str) -> Result<(), ApiError> {
        self.dom0.revert_vm(&self.vm_ref(snapshot_uuid)?)
    }

    /// Removes a halted VM or a snapshot.
    ///
    /// # Errors
    /// As XAPI has them.
    pub fn destroy(&self, uuid: &str) -> Result<(), ApiError> {
        self.dom0.destroy_vm(&self.vm_ref(uuid)?)
    }
}

/// Sets a key of a map field, or removes it.
pub(super) fn set_key(
    database: &mut Database,
    class: Class,
    reference: &str,
    field: &str,
    key: &str,
    value: Option<&str>,
) -> Result<(), ApiError> {
    database.remove_from_map(class, reference, field, key.as_bytes())?;
    match value {
        Some(value) => database.add_to_map(class, reference, field, key.as_bytes(), value.as_bytes()),
        None => Ok(()),
    }
}
