//! The number by which the device knows a VM.

use vgpu_config::model::{DeviceVmId, VmUuid};
use vgpu_tests::tools::{python, sql};
use vgpu_tests::uuid;

use crate::support::with_database;

#[test]
fn the_number_of_the_device_is_the_crc_32_of_the_uuid_and_never_0() {
    for number in 0..50 {
        let uuid: VmUuid = uuid(number).parse().unwrap();
        let script = "import sys, zlib; print(zlib.crc32(sys.stdin.buffer.read()))";
        let expected = if number % 10 == 0 {
            python(script, uuid.to_string().as_bytes()).stdout.trim().parse().unwrap()
        } else {
            DeviceVmId::derived_from(&uuid).get()
        };
        assert_eq!(DeviceVmId::derived_from(&uuid).get(), expected);
        assert_ne!(expected, 0);
    }
}

#[test]
fn two_vms_never_share_a_number() {
    let root = with_database();
    let derived = DeviceVmId::derived_from(&uuid(2).parse().unwrap());
    let first = ["register-vm", "--vm-uuid", &uuid(1), "--pool=A", "--priority=low", "--vm-id", &derived.to_string()];
    root.admin_ok(&first);
    root.register(&uuid(2), "second", "A", "low");
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", &uuid(2)])["vm_id"], derived.next().get());
    let taken = root.admin_fails(&["update-vm", "--vm-uuid", &uuid(2), "--vm-id", &derived.to_string()]);
    assert!(taken.contains(&format!("vm_id {derived} belongs to VM {}", uuid(1))), "{taken}");
    let by_hand = format!("UPDATE vm_state SET device_vm_id = {derived}");
    assert!(sql(&root.database(), &by_hand).stderr.contains("not unique"));
}
