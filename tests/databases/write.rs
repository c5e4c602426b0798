//! Writes the database of a host on which much has happened, with the programs of this working tree: `README.md` says what for.

use std::{env, fs};

use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, VM, uuid};

fn main() {
    let file = env::args_os().nth(1).expect("usage: write-database FILE");
    let dom0 = Dom0::new();
    with_xapi(&dom0);
    gpu_pools(&dom0);
    without_xapi(&dom0);
    by_hand(&dom0);
    fs::copy(dom0.root.database(), file).expect("the file can be written");
}

/// What XAPI was told.
fn with_xapi(dom0: &Dom0) {
    for (vm, name, pool, priority) in [
        (VM, "web01", "A", "high"),
        (&uuid(1), "O'Brien \"db\" <&>; -- ünïcödé 漢字", "B", "medium"),
        (&uuid(2), "a tab\tand\na second line", "A", "low"),
        (&uuid(3), "renumbered", "B", "high"),
        (&uuid(4), "removed", "A", "medium"),
        (&uuid(5), "removed, and registered again", "A", "high"),
        (&uuid(6), "removed, and its number given away", "B", "low"),
        (&uuid(7), "has the number of another", "B", "low"),
        (&uuid(8), "removed while XAPI was away", "A", "low"),
        (&uuid(9), "deleted by hand", "B", "high"),
        (&uuid(10), "destroyed", "A", "low"),
    ] {
        dom0.create_vm_with_uuid(vm, name);
        dom0.register(vm, pool, priority);
    }
    for vm in [VM, &uuid(1), &uuid(2), &uuid(4), &uuid(9)] {
        dom0.start(vm);
    }
    dom0.plugin("set_priority", &[("vm_uuid", &uuid(2)), ("priority", "medium")]);
    dom0.plugin("update_vm", &[("vm_uuid", &uuid(3)), ("vm_id", "7")]);
    let number = dom0.plugin("show_vm", &[("vm_uuid", &uuid(6))])["vm_id"].to_string();
    for vm in [4, 5, 6] {
        dom0.plugin("remove_vm", &[("vm_uuid", &uuid(vm))]);
    }
    dom0.register(&uuid(5), "B", "low");
    dom0.plugin("update_vm", &[("vm_uuid", &uuid(7)), ("vm_id", &number)]);
    dom0.destroy(&uuid(10)).expect("it is halted");
    dom0.plugin("set_priority", &[("vm_uuid", &uuid(10)), ("priority", "high")]);
}

/// GPU pools, of which XAPI was told.
fn gpu_pools(dom0: &Dom0) {
    dom0.plugin("set_gpu_pool", &[("pool", "A"), ("name", "O'Brien \"漢字\""), ("max_vms", "100")]);
    dom0.plugin("set_gpu_pool", &[("pool", "A"), ("description", "for CAD")]);
    for (address, pool) in [("0000:81:00.0", "A"), ("0000:82:00.0", "B")] {
        dom0.add_gpu(address, "NVIDIA Corporation", "AD102GL [L40S]");
        dom0.plugin("assign_gpu", &[("pool", pool), ("gpu", &format!("{}:{address}", dom0.host_uuid()))]);
    }
    dom0.plugin("unassign_gpu", &[("gpu", &format!("{}:0000:82:00.0", dom0.host_uuid()))]);
}

/// What XAPI was not told.
fn without_xapi(dom0: &Dom0) {
    dom0.set_fault(Service::Xapi, Fault::Absent).expect("the socket can be closed");
    dom0.root.admin_ok(&["register-vm", "--vm-uuid", &uuid(11), "--pool=B", "--priority=medium"]);
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &uuid(1), "--pool=A"]);
    dom0.root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(8)]);
    dom0.root.admin_ok(&["set-gpu-pool", "B", "--name=not told"]);
    dom0.clear_faults().expect("the socket can be opened");
}

/// What no program has seen.
fn by_hand(dom0: &Dom0) {
    dom0.sql(&format!(
        "INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('{}', 'by hand', 'A', 1);
         UPDATE vms SET priority = 0 WHERE vm_uuid = '{}';
         DELETE FROM vms WHERE vm_uuid = '{}';
         INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{}', '0000:83:00.0', 'B')",
        uuid(12).to_uppercase(),
        uuid(2),
        uuid(9),
        dom0.host_uuid()
    ));
}
