//! The physical GPUs of every host, as XAPI has them.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::json;

use super::{HostRecord, Reference, Session, VmRecord, XapiError};
use crate::model::{Gpu, PciAddress, VmUuid};

/// The key of a VM's `other_config` that names the PCI devices that it has passed through: `0/0000:81:00.0,1/…`
/// (`other_pcidevs_of_vm` in `ocaml/xapi/pciops.ml`).
const PASSED_THROUGH_KEY: &str = "pci";

/// A physical GPU that XAPI knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XapiGpu {
    pub gpu: Gpu,
    pub host_name: String,
    pub vendor: String,
    pub device: String,
    /// The VMs that have it passed through, or will when they are next started, and their names.
    pub passed_through_to: Vec<(VmUuid, String)>,
    /// Whether it shows the host's console.
    pub is_system_display: bool,
}

#[derive(Deserialize)]
struct GpuRecord {
    #[serde(rename = "PCI")]
    pci: Reference,
    host: Reference,
    #[serde(default)]
    is_system_display_device: bool,
}

/// `attached_VMs` is not in it: clients do not see that field (`internal_only` in `ocaml/idl/datamodel.ml`).
#[derive(Deserialize)]
struct PciRecord {
    pci_id: String,
    vendor_name: String,
    device_name: String,
}

impl Session {
    /// The physical GPUs of all hosts, by the host's name, then by address.
    ///
    /// # Errors
    /// XAPI is away or refuses.
    pub fn gpus(&mut self) -> Result<Vec<XapiGpu>, XapiError> {
        let hosts = self.hosts()?;
        let vms = self.vm_records()?;
        self.gpus_of(&hosts, &vms.iter().map(|(_, record)| record).collect::<Vec<_>>())
    }

    /// The same, for those who have the records of hosts and VMs already.
    pub(crate) fn gpus_of(
        &mut self,
        hosts: &IndexMap<String, HostRecord>,
        vms: &[&VmRecord],
    ) -> Result<Vec<XapiGpu>, XapiError> {
        let gpus: IndexMap<String, GpuRecord> = self.call("PGPU.get_all_records", &json!([self.token]))?;
        let devices: IndexMap<String, PciRecord> = self.call("PCI.get_all_records", &json!([self.token]))?;
        let address_of = |record: &GpuRecord| devices.get(record.pci.as_str())?.pci_id.parse().ok();
        let with_address = |address| gpus.values().filter(|record| address_of(record) == Some(address)).count();
        let read = |record: &GpuRecord| {
            let (host, device) = (hosts.get(record.host.as_str())?, devices.get(record.pci.as_str())?);
            let gpu = Gpu { host: host.uuid.parse().ok()?, address: device.pci_id.parse().ok()? };
            let is_the_only_one = with_address(gpu.address) == 1;
            let has_it = |vm: &&VmRecord| {
                let may_start_there = is_the_only_one && !hosts.contains_key(vm.affinity.as_str());
                vm.is_a_vm() && vm.has_passed_through(record, gpu.address, may_start_there)
            };
            let passed_through_to = vms.iter().copied().filter(has_it);
            Some(XapiGpu {
                gpu,
                host_name: host.name_label.clone(),
                vendor: device.vendor_name.clone(),
                device: device.device_name.clone(),
                passed_through_to: passed_through_to
                    .filter_map(|vm| Some((vm.uuid.parse().ok()?, vm.name_label.clone())))
                    .collect(),
                is_system_display: record.is_system_display_device,
            })
        };
        // A record without its host or its device is about to be deleted (`ocaml/xapi/db_gc_util.ml`).
        let mut gpus: Vec<_> = gpus.values().filter_map(read).collect();
        gpus.sort_by(|one, other| (&one.host_name, one.gpu).cmp(&(&other.host_name, other.gpu)));
        Ok(gpus)
    }
}

impl VmRecord {
    /// Whether it has the device, or will have it when it is next started. If it prefers no host, that is certain only if one host alone
    /// has a GPU at that address.
    fn has_passed_through(&self, gpu: &GpuRecord, address: PciAddress, may_start_there: bool) -> bool {
        let named = self.other_config.get(PASSED_THROUGH_KEY).map(String::as_str).unwrap_or_default();
        let addresses = named.split(',').filter_map(|device| device.split_once('/'));
        let is_named = addresses.into_iter().any(|(_, named)| named.trim().parse() == Ok(address));
        let is_here =
            if self.has_domain() { self.resident_on == gpu.host } else { self.affinity == gpu.host || may_start_there };
        self.attached_pcis.contains(&gpu.pci) || (is_named && is_here)
    }
}
