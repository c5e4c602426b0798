//! A host on which VMs run that lack their settings.

use serde_json::Value;
use vgpu_tests::{Dom0, uuid};

/// A host on which so many registered VMs run: `vm1`, `vm2`, …
pub fn running(vms: u32) -> (Dom0, Vec<String>) {
    let dom0 = Dom0::new();
    let vms: Vec<_> = (1..=vms).map(uuid).collect();
    for (number, vm) in vms.iter().enumerate() {
        dom0.create_vm_with_uuid(vm, &format!("vm{}", number + 1));
        dom0.register(vm, "A", "low");
        dom0.start(vm);
    }
    (dom0, vms)
}

pub fn set_high(dom0: &Dom0, vms: &[&String]) {
    for vm in vms {
        dom0.plugin("set_priority", &[("vm_uuid", vm), ("priority", "high")]);
    }
}

/// The arguments of a running VM's QEMU.
pub fn args(dom0: &Dom0, vm: &str) -> Option<String> {
    dom0.running_platformdata(vm)?.get("device-model-args").cloned()
}

pub fn uuids(vms: &Value) -> Vec<&str> {
    vms.as_array().unwrap().iter().map(|vm| vm["vm_uuid"].as_str().unwrap()).collect()
}
