//! The physical GPUs that XAPI knows, and the VMs that have one passed through.

use std::sync::Arc;

use super::{Dom0, text};
use crate::database::{self, Class, Database, map_of};
use crate::error::{ApiError, ApiResult};
use crate::random;

impl Dom0 {
    /// What `update_pcis` in `ocaml/xapi/xapi_pci.ml` and `update_gpus` in `xapi_pgpu.ml` make of a device that is new when
    /// xapi starts. A GPU group and GPU types, which the real ones add, are left out.
    pub fn add_gpu(self: &Arc<Self>, address: &str, vendor: &str, device: &str) {
        let (pci, pgpu) = (random::reference(), random::reference());
        let mut record = database::pci();
        for (field, value) in [
            ("uuid", random::uuid().as_str()),
            ("vendor_name", vendor),
            ("device_name", device),
            ("host", &self.reference),
            ("pci_id", address),
        ] {
            record.insert(field.to_owned(), value.into());
        }
        let mut gpu = database::pgpu();
        for (field, value) in [("uuid", random::uuid().as_str()), ("PCI", &pci), ("host", &self.reference)] {
            gpu.insert(field.to_owned(), value.into());
        }
        self.pool.write(|database| {
            database.insert(Class::Pci, &pci, record);
            database.insert(Class::Pgpu, &pgpu, gpu);
            self.list_devices(database);
        });
    }

    /// The same functions forget a device that is gone.
    pub fn remove_gpu(&self, address: &str) -> ApiResult<()> {
        self.pool.write(|database| {
            let pci = self.pci_at(database, address)?;
            let gpus: Vec<_> = database.table(Class::Pgpu).having("PCI", &pci).cloned().collect();
            for gpu in gpus {
                database.remove(Class::Pgpu, &gpu)?;
            }
            database.remove(Class::Pci, &pci)?;
            self.list_devices(database);
            Ok(())
        })
    }

    /// Says which of this host's devices is the one that shows the console.
    pub fn set_system_display(&self, address: &str) -> ApiResult<()> {
        self.pool.write(|database| {
            let pci = self.pci_at(database, address)?;
            let gpus: Vec<_> = database.table(Class::Pgpu).having("PCI", &pci).cloned().collect();
            gpus.iter().try_for_each(|gpu| database.set(Class::Pgpu, gpu, "is_system_display_device", true))
        })
    }

    fn pci_at(&self, database: &Database, address: &str) -> ApiResult<String> {
        let found = pci_at(database, &self.reference, address);
        found.ok_or_else(|| ApiError::handle_invalid("PCI", address))
    }

    /// The host's own lists of its devices.
    fn list_devices(&self, database: &mut Database) {
        for (class, field) in [(Class::Pci, "PCIs"), (Class::Pgpu, "PGPUs")] {
            let devices: Vec<_> = database.table(class).having("host", &self.reference).cloned().collect();
            let _ = database.set(Class::Host, &self.reference, field, devices);
        }
    }
}

fn pci_at(database: &Database, host: &str, address: &str) -> Option<String> {
    let mut on_host = database.table(Class::Pci).having("host", host);
    on_host.find(|pci| database.record(Class::Pci, pci).is_ok_and(|record| text(record, "pci_id") == address)).cloned()
}

/// The devices of a host that `VM.other_config:pci` names, as `0/0000:81:00.0,1/…` (`other_pcidevs_of_vm` in
/// `ocaml/xapi/pciops.ml`). That a VM starts without those that the host does not have is a guess.
pub fn passed_through(database: &Database, host: &str, vm: &str) -> Vec<String> {
    let Ok(record) = database.record(Class::Vm, vm) else { return Vec::new() };
    let named = map_of(record, "other_config").get("pci").cloned().unwrap_or_default();
    let addresses = named.split(',').filter_map(|device| device.split_once('/'));
    addresses.filter_map(|(_, address)| pci_at(database, host, address)).collect()
}
