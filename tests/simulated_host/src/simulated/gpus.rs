//! Physical GPUs, and what depends on the host that has them.

use super::SimulatedHost;
use super::vms::set_key;
use crate::database::Class;
use crate::error::ApiError;

impl SimulatedHost {
    /// Gives the host a physical GPU, as xapi finds one when it starts: its PCI address, vendor and device.
    pub fn add_gpu(&self, address: &str, vendor: &str, device: &str) {
        self.dom0.add_gpu(address, vendor, device);
    }

    /// Takes a GPU out of the host.
    ///
    /// # Errors
    /// There is none at that address.
    pub fn remove_gpu(&self, address: &str) -> Result<(), ApiError> {
        self.dom0.remove_gpu(address)
    }

    /// Says that a GPU shows the host's console.
    ///
    /// # Errors
    /// There is none at that address.
    pub fn set_system_display(&self, address: &str) -> Result<(), ApiError> {
        self.dom0.set_system_display(address)
    }

    /// Says which GPUs a VM is to have passed through from its next start on, whatever the host, as
    /// `xe vm-param-set other-config:pci=…` does.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn pass_through(&self, vm: &str, addresses: &[&str]) -> Result<(), ApiError> {
        let named: Vec<_> = addresses.iter().enumerate().map(|(order, address)| format!("{order}/{address}")).collect();
        let named = named.join(",");
        let value = Some(named.as_str()).filter(|named| !named.is_empty());
        self.change(vm, |database, vm| set_key(database, Class::Vm, vm, "other_config", "pci", value))
    }

    /// Gives the host another name.
    pub fn rename_host(&self, name: &str) {
        let host = self.host_ref();
        let _ = self.dom0.pool.write(|database| database.set(Class::Host, host, "name_label", name));
    }

    /// Says on which host a VM likes to start.
    ///
    /// # Errors
    /// There is no such VM.
    pub fn set_affinity(&self, vm: &str, host: &Self) -> Result<(), ApiError> {
        self.change(vm, |database, vm| database.set(Class::Vm, vm, "affinity", host.host_ref()))
    }
}
