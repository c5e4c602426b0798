//! Register, start, change, reboot.

use std::thread;

use simulated_host::Exit;
use vgpu_tests::Dom0;
use vgpu_tests::dom0::hook_exit;

use crate::support::moved;

#[test]
fn the_first_start_after_registering_through_the_plugin_has_the_arguments() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(boot.device_model_args, dom0.argument(&vm));
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert_eq!(dom0.last_vm_add(&vm), None, "XAPI had it before the start: nothing was left to repair");
}

#[test]
fn the_first_start_after_registering_with_vgpu_admin_has_the_arguments() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    let reply = dom0.root.admin_json(&["register-vm", "--vm-uuid", &vm, "--pool=B", "--priority=medium"]);
    assert_eq!((&reply["vm"]["vm_name"], &reply["xapi"]), (&"web01".into(), &"written".into()));
    let args = dom0.start(&vm).unwrap();
    assert!(args.starts_with("-device vgpu-stub,pool_id=B,priority=medium,vm_id="), "{args}");
}

#[test]
fn a_change_while_halted_is_in_the_next_start() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.start(&vm).unwrap();
    dom0.shutdown(&vm).unwrap();
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let reply = dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "0")]);
    assert_eq!(reply["takes_effect"], "at_next_start");
    assert_eq!(dom0.start(&vm).unwrap(), moved(&before, "B", "low"));
}

#[test]
fn a_change_while_running_is_in_the_reboot_from_inside() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.start(&vm).unwrap();
    let reply = dom0.plugin("update_vm", &[("vm_uuid", &vm), ("pool", "B"), ("priority", "medium")]);
    assert_eq!((&reply["takes_effect"], &reply["power_state"]), (&"at_next_start_or_reboot".into(), &"Running".into()));
    let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!(shown["last_start"]["device_argument"], before);
    assert_eq!(shown["last_start"]["is_current"], false);
    assert_eq!(dom0.reboot_from_inside(&vm).unwrap(), moved(&before, "B", "medium"));
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm])["last_start"]["is_current"], true);
}

#[test]
fn the_repair_of_a_boot_changes_one_platform_key_and_keeps_every_other_byte() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.start(&vm).unwrap();
    let pushed_by_xapi = dom0.xenopsd_metadata_text(&vm).unwrap();
    dom0.shutdown(&vm).unwrap();
    dom0.sql("UPDATE vms SET priority = 0");
    let after = dom0.start(&vm).unwrap();
    let sent = dom0.last_vm_add(&vm).unwrap();
    assert_ne!(before, after);
    assert_eq!(sent, pushed_by_xapi.replace(&before, &after));
    assert!(sent.contains("\"shadow_multiplier\":1.0") && sent.contains("\"vcpus\":2,"), "{sent}");
}

#[test]
fn arguments_that_are_not_ours_are_kept_byte_for_byte() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    let theirs = "  -device  'usb-tablet,id=\"a b\"' -append \"x  y\"";
    dom0.set_args_in_xapi(&vm, Some(theirs));
    dom0.register(&vm, "A", "high");
    let ours = dom0.argument(&vm).unwrap();
    assert_eq!(dom0.start(&vm).unwrap(), format!("{theirs} {ours}"));
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    assert_eq!(dom0.reboot_from_inside(&vm).unwrap(), format!("{theirs} {}", moved(&ours, "B", "high")));
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), theirs);
    assert_eq!(dom0.reboot_from_inside(&vm).unwrap(), theirs);
}

#[test]
fn a_vm_that_is_not_registered_is_not_touched() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    for theirs in [None, Some("-vga std"), Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=77")] {
        dom0.set_args_in_xapi(&vm, theirs);
        dom0.clear_calls();
        let boot = dom0.vm_start(&vm).unwrap();
        assert_eq!((boot.device_model_args.as_deref(), hook_exit(&boot)), (theirs, Exit::Code(0)));
        assert_eq!(dom0.last_vm_add(&vm), None);
        let writes =
            |call: &String| call.contains(".add_to_") || call.contains(".remove_from_") || call.contains(".set_");
        assert!(!dom0.calls().iter().any(writes), "{:?}", dom0.calls());
        dom0.shutdown(&vm).unwrap();
    }
}

#[test]
fn resume_carries_what_the_vm_was_started_with() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let started = dom0.start(&vm);
    dom0.suspend(&vm).unwrap();
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    dom0.resume(&vm).unwrap();
    assert_eq!(dom0.running_platformdata(&vm).unwrap().get("device-model-args"), started.as_ref());
}

#[test]
fn another_device_name_is_used_throughout() {
    let dom0 = Dom0::new();
    dom0.root.settings("device = \"vgpu-real\"");
    let vm = dom0.create_vm("web01");
    dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=A"));
    dom0.register(&vm, "B", "low");
    let args = dom0.start(&vm).unwrap();
    assert!(args.starts_with("-device vgpu-stub,pool_id=A -device vgpu-real,pool_id=B,"), "{args}");
}

#[test]
fn sixty_vms_registered_and_started_at_once_all_get_their_own() {
    let dom0 = Dom0::new();
    let vms: Vec<_> = (0..60).map(|number| dom0.create_vm(&format!("vm{number:02}"))).collect();
    thread::scope(|scope| {
        for (worker, chunk) in vms.chunks(15).enumerate() {
            let dom0 = &dom0;
            scope.spawn(move || {
                for vm in chunk {
                    dom0.register(vm, ["A", "B"][worker % 2], ["low", "medium", "high"][worker % 3]);
                }
            });
        }
    });
    assert_eq!(dom0.plugin("list_pools", &[])["total"], 60);
    thread::scope(|scope| {
        for chunk in vms.chunks(15) {
            let dom0 = &dom0;
            scope.spawn(move || {
                for vm in chunk {
                    assert_eq!(dom0.start(vm), dom0.argument(vm));
                }
            });
        }
    });
    let list = dom0.plugin("list_vms", &[]);
    let numbers: std::collections::HashSet<_> =
        list.as_array().unwrap().iter().map(|vm| vm["vm_id"].as_u64()).collect();
    assert_eq!(numbers.len(), 60);
}
