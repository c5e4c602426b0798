//! An administrator's days: register, start, change, reboot, copy, revert, remove, and what QEMU really gets.

use std::thread;
use std::time::Duration;

use simulated_host::{Exit, Fault, Role, Service};
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::{Dom0, uuid};

/// Our argument with another GPU pool and priority.
fn moved(argument: &str, pool: &str, priority: &str) -> String {
    argument.replace("pool_id=A", &format!("pool_id={pool}")).replace("priority=high", &format!("priority={priority}"))
}

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
fn the_first_start_after_an_insert_by_hand_has_the_arguments_and_so_has_xapi() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'A', 0)"));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert_eq!(boot.device_model_args, dom0.argument(&vm));
    assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm));
    let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!((&shown["in_xapi"], &shown["vm_name"]), (&true.into(), &"web01".into()));
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
fn a_change_by_hand_while_running_is_in_the_reboot_whoever_asks_for_it() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.start(&vm).unwrap();
    dom0.sql("UPDATE vms SET priority = 0");
    assert_eq!(dom0.reboot_from_inside(&vm).unwrap(), moved(&before, "A", "low"));
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let boot = dom0.clean_reboot(&vm).unwrap();
    assert_eq!(boot.device_model_args.unwrap(), moved(&before, "B", "low"));
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), moved(&before, "B", "low"));
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
fn a_clone_does_not_keep_the_argument_of_its_origin() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    assert_eq!(dom0.args_in_xapi(&clone), dom0.args_in_xapi(&vm));
    assert_eq!(dom0.start(&clone), None);
    assert_eq!(dom0.args_in_xapi(&clone), None);
    assert_eq!(dom0.start(&vm), dom0.argument(&vm), "the origin keeps it");
}

#[test]
fn a_clone_under_unregistered_default_gets_the_defaults_and_a_number_of_its_own() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("unregistered = \"default\"\ndefaults = { pool = \"B\", priority = \"low\" }");
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    let stranger = dom0.create_vm("stranger");
    let hand_written = dom0.create_vm("hand-written");
    dom0.set_args_in_xapi(&hand_written, Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=77"));
    for new in [&clone, &stranger] {
        let args = dom0.start(new).unwrap();
        assert!(args.starts_with("-device vgpu-stub,pool_id=B,priority=low,"), "{args}");
        assert_eq!(Some(&args), dom0.argument(new).as_ref());
        assert_eq!(Some(&args), dom0.args_in_xapi(new).as_ref());
    }
    assert_ne!(dom0.argument(&clone).unwrap().rsplit('=').next(), dom0.argument(&vm).unwrap().rsplit('=').next());
    let kept = dom0.start(&hand_written);
    assert_eq!(kept.as_deref(), Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=77"));
    assert_eq!(dom0.plugin("list_pools", &[])["total"], 3);
}

#[test]
fn a_clone_under_unregistered_inherit_gets_its_origins_settings_and_a_number_of_its_own() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("unregistered = \"inherit\"");
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    let stranger = dom0.create_vm("stranger");
    let args = dom0.start(&clone).unwrap();
    assert!(args.starts_with("-device vgpu-stub,pool_id=A,priority=high,"), "{args}");
    assert_ne!(Some(&args), dom0.argument(&vm).as_ref());
    assert_eq!(dom0.start(&stranger), None, "who is no clone inherits nothing");
}

#[test]
fn a_vm_from_a_template_of_a_registered_vm_does_not_keep_its_argument() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let snapshot = dom0.snapshot(&vm, "before").unwrap();
    let copy = dom0.clone_vm(&snapshot, "from the snapshot").unwrap();
    let refused = dom0.root.admin_fails(&["register-vm", "--vm-uuid", &snapshot, "--pool=A", "--priority=low"]);
    assert!(refused.contains("a snapshot, which is never started"), "{refused}");
    if dom0.platform(&copy).contains_key("device-model-args") {
        let _ = dom0.vm_start(&copy).map(|boot| assert_eq!(boot.device_model_args, None));
    }
}

#[test]
fn a_reverted_snapshot_does_not_bring_old_settings_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let old = dom0.argument(&vm).unwrap();
    let snapshot = dom0.snapshot(&vm, "before").unwrap();
    dom0.plugin("update_vm", &[("vm_uuid", &vm), ("pool", "B"), ("priority", "low")]);
    dom0.revert(&snapshot).unwrap();
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), old, "XAPI itself brings them back");
    assert_eq!(dom0.start(&vm).unwrap(), moved(&old, "B", "low"));
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), moved(&old, "B", "low"));
}

#[test]
fn a_reverted_snapshot_does_not_bring_a_removed_registration_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let snapshot = dom0.snapshot(&vm, "before").unwrap();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    dom0.revert(&snapshot).unwrap();
    assert!(dom0.args_in_xapi(&vm).is_some());
    assert_eq!(dom0.start(&vm), None);
    assert_eq!(dom0.args_in_xapi(&vm), None);
}

#[test]
fn a_row_deleted_by_hand_takes_the_argument_with_it_at_the_next_start() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("DELETE FROM vms");
    assert_eq!(dom0.start(&vm), None);
    assert_eq!(dom0.args_in_xapi(&vm), None);
    dom0.root.settings("unregistered = \"default\"");
    assert_eq!(dom0.reboot_from_inside(&vm), None, "who was removed on purpose is not registered again");
}

#[test]
fn a_change_made_while_xapi_was_away_reaches_the_next_boot_and_xapi() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.start(&vm).unwrap();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let said = dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    assert!(said.contains("Only the database was changed"), "{said}");
    assert_eq!(
        dom0.reboot_from_inside(&vm).unwrap(),
        moved(&before, "B", "high"),
        "a row with changes of its own wins"
    );
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), before);
    let boot = dom0.guest_reboot(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), moved(&before, "B", "high"), "the next boot tells XAPI");
}

#[test]
fn while_xapi_is_away_a_row_that_it_knows_yields_to_arguments_with_the_vms_own_number() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let registered = dom0.start(&vm).unwrap();
    // Another host's change, say, that this host's database has not seen.
    let newer = moved(&registered, "B", "low");
    dom0.set_args_in_xapi(&vm, Some(&newer));
    dom0.pass_on_events();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let boot = dom0.guest_reboot(&vm).unwrap();
    assert_eq!((&boot.device_model_args, hook_exit(&boot)), (&Some(newer), Exit::Code(1)));
    let log = dom0.hook_log();
    assert!(log.last().unwrap().contains("the existing arguments were kept"), "{log:?}");
}

#[test]
fn while_xapi_is_away_arguments_with_another_vms_number_or_none_are_still_corrected() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let registered = dom0.start(&vm).unwrap();
    for wrong in [None, Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=5")] {
        dom0.set_args_in_xapi(&vm, wrong);
        dom0.pass_on_events();
        dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
        assert_eq!(dom0.reboot_from_inside(&vm).as_ref(), Some(&registered));
        dom0.clear_faults().unwrap();
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
fn with_on_error_block_a_registered_vm_that_cannot_be_configured_is_refused_with_our_message() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    dom0.set_fault(Service::Xenopsd, Fault::error("Internal_error", &["no"])).unwrap();
    dom0.root.settings("on_error = \"block\"");
    let error = dom0.vm_start(&vm).unwrap_err();
    assert_eq!((error.code.as_str(), error.params[0].as_str()), ("XAPI_HOOK_FAILED", "vm-pre-start/50vgpu"));
    assert_eq!(error.params[3], "2");
    assert!(error.params[2].contains("xenopsd refused VM.stat") && error.params[2].contains("on_error"), "{error}");
    assert_eq!(dom0.power_state(&vm), "Halted");
    dom0.root.settings("on_error = \"continue\"");
    assert_eq!(hook_exit(&dom0.vm_start(&vm).unwrap()), Exit::Code(1));
}

#[test]
fn with_on_error_block_everybody_else_starts() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("on_error = \"block\"");
    let stranger = dom0.create_vm("stranger");
    dom0.set_fault(Service::MessageSwitch, Fault::Absent).unwrap();
    assert_eq!(hook_exit(&dom0.vm_start(&stranger).unwrap()), Exit::Code(1));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1), "xenopsd cannot be asked, but XAPI has what the settings say");
    dom0.clear_faults().unwrap();
    dom0.shutdown(&vm).unwrap();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::error("INTERNAL_ERROR", &["no"])).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1), "this boot is right, only the next is in doubt");
    assert_eq!(boot.device_model_args, dom0.argument(&vm));
}

#[test]
fn what_xapi_refuses_has_not_happened_anywhere() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let dump = dom0.sql(".dump");
    let args = dom0.args_in_xapi(&vm);
    for (function, arguments) in [
        ("set_pool", vec![("vm_uuid", vm.as_str()), ("pool", "B")]),
        ("set_priority", vec![("vm_uuid", &vm), ("priority", "low")]),
        ("remove_vm", vec![("vm_uuid", &vm)]),
    ] {
        let error = dom0.call_plugin_as(Role::VmOperator, "vgpu", function, &arguments).unwrap_err();
        assert_eq!(error.code, "RBAC_PERMISSION_DENIED", "{function}: {error}");
        assert_eq!((dom0.sql(".dump"), dom0.args_in_xapi(&vm)), (dump.clone(), args.clone()), "{function}");
    }
    let stranger = dom0.create_vm("stranger");
    let register = [("vm_uuid", stranger.as_str()), ("pool", "B"), ("priority", "low")];
    let error = dom0.call_plugin_as(Role::VmOperator, "vgpu", "register_vm", &register).unwrap_err();
    assert_eq!(error.code, "RBAC_PERMISSION_DENIED");
    assert_eq!(dom0.sql(".dump"), dump);
    assert!(dom0.call_plugin_as(Role::ReadOnly, "vgpu", "list_vms", &[]).is_ok(), "everybody may look");
}

#[test]
fn a_role_is_asked_for_even_where_xapi_has_nothing_to_write() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let dump = dom0.sql(".dump");
    let unknown = uuid(1);
    let forced = [("vm_uuid", unknown.as_str()), ("pool", "A"), ("priority", "high"), ("force", "true")];
    for role in [Role::ReadOnly, Role::VmOperator, Role::VmAdmin] {
        for (function, arguments) in [("register_vm", &forced[..]), ("set_pool", &[("vm_uuid", &vm), ("pool", "A")])] {
            let error = dom0.call_plugin_as(role, "vgpu", function, arguments).unwrap_err();
            assert_eq!(error.code, "RBAC_PERMISSION_DENIED", "{role:?} {function}: {error}");
        }
        // What a vm-admin may write to the platform map is corrected at the next start.
        dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=B,priority=high,vm_id=1"));
        let raise = [("vm_uuid", vm.as_str()), ("pool", "B")];
        assert_eq!(dom0.call_plugin_as(role, "vgpu", "set_pool", &raise).unwrap_err().code, "RBAC_PERMISSION_DENIED");
        assert_eq!(dom0.start(&vm), dom0.argument(&vm));
        dom0.shutdown(&vm).unwrap();
    }
    let without_starts =
        |dump: &str| dump.lines().filter(|line| !line.contains("last_starts")).collect::<Vec<_>>().join("\n");
    assert_eq!(without_starts(&dom0.sql(".dump")), without_starts(&dump));
    assert!(dom0.call_plugin_as(Role::PoolOperator, "vgpu", "register_vm", &forced).is_ok());
}

#[test]
fn a_second_half_that_xapi_refuses_puts_the_first_half_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = dom0.args_in_xapi(&vm);
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::error("INTERNAL_ERROR", &["disk full"])).unwrap();
    let error = dom0.call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap_err();
    assert_eq!(error.code, "VGPU_XAPI_ERROR");
    assert!(error.params[0].contains("VM.add_to_platform: INTERNAL_ERROR (disk full)"), "{error}");
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["pool"], "A");
    // XAPI refused to take the old value back as well: the next start repairs it.
    assert_eq!(dom0.start(&vm), args);
}

#[test]
fn a_commit_that_fails_puts_xapi_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = dom0.args_in_xapi(&vm);
    // A constraint that is looked at only at the commit.
    dom0.sql(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY);
         CREATE TABLE child (id INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER too_late AFTER UPDATE OF pool_id ON vms BEGIN INSERT INTO child VALUES (1); END;",
    );
    let error = dom0.call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap_err();
    assert_eq!(error.code, "VGPU_DB_ERROR", "{error}");
    assert_eq!(dom0.args_in_xapi(&vm), args);
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["pool"], "A");
}

#[test]
fn errors_that_a_member_forwards_as_arrays_are_understood() {
    let dom0 = Dom0::new();
    dom0.set_fault(Service::Xapi, Fault::ForwardedErrors).unwrap();
    let error = dom0.root.admin_fails(&["register-vm", "--vm-uuid", &uuid(1), "--pool=A", "--priority=low"]);
    assert!(error.contains("XAPI does not know VM"), "{error}");
}

#[test]
fn a_vm_that_xapi_does_not_know_is_registered_only_by_force() {
    let dom0 = Dom0::new();
    let register = [("vm_uuid", uuid(1)), ("pool", "A".into()), ("priority", "low".into())];
    let arguments: Vec<_> = register.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let error = dom0.call_plugin("vgpu", "register_vm", &arguments).unwrap_err();
    assert_eq!(error.code, "VGPU_UNKNOWN_VM");
    assert!(error.params[0].contains("force"), "{error}");
    let reply = dom0.plugin("register_vm", &[arguments.as_slice(), &[("force", "true")]].concat());
    assert_eq!(reply["xapi"], "unknown_vm");
    let in_xapi = || dom0.plugin("show_vm", &[("vm_uuid", &uuid(1))])["in_xapi"].clone();
    assert_eq!((&reply["vm"]["in_xapi"], in_xapi()), (&false.into(), false.into()));
    assert!(dom0.root.admin_ok(&["show-vm", "--vm-uuid", &uuid(1)]).contains("or does not know the VM (xe vm-list)"));
    dom0.plugin("sync", &[]);
    assert_eq!(in_xapi(), false, "a sync does not make it known");
    dom0.create_vm_with_uuid(&uuid(1), "arrived");
    assert_eq!(dom0.start(&uuid(1)), dom0.argument(&uuid(1)));
    assert_eq!(in_xapi(), true);
}

#[test]
fn a_registered_template_is_told_what_becomes_of_vms_made_from_it() {
    let dom0 = Dom0::new();
    for (template, made, settings, expected) in [
        (uuid(1), uuid(2), "", "VMs created from it get no vGPU"),
        (uuid(3), uuid(4), "unregistered = \"default\"", "with the defaults of vgpu.toml"),
        (uuid(5), uuid(6), "unregistered = \"inherit\"", "registered with its settings at their first start"),
    ] {
        dom0.root.settings(settings);
        dom0.create_vm_with_uuid(&template, "template");
        dom0.make_template(&template).unwrap();
        let reply = dom0.plugin("register_vm", &[("vm_uuid", &template), ("pool", "B"), ("priority", "high")]);
        assert_eq!(reply["takes_effect"], serde_json::Value::Null);
        let [note] = &reply["notes"].as_array().unwrap()[..] else { panic!("{reply}") };
        assert!(note.as_str().unwrap().contains(expected), "{note}");
        dom0.clone_vm_with_uuid(&template, "made", &made).unwrap();
        dom0.provision(&made).unwrap();
        let args = dom0.start(&made);
        let is_like_it = args.as_deref().is_some_and(|args| args.contains("pool_id=B,priority=high"));
        assert_eq!((args.is_some(), is_like_it), (!settings.is_empty(), settings.contains("inherit")), "{args:?}");
    }
}

#[test]
fn a_vm_is_registered_once() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let error =
        dom0.call_plugin("vgpu", "register_vm", &[("vm_uuid", &vm), ("pool", "B"), ("priority", "low")]).unwrap_err();
    assert_eq!(error.code, "VGPU_ALREADY_EXISTS");
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["pool"], "A");
}

#[test]
fn arguments_that_would_keep_the_vm_from_starting_are_refused() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.set_args_in_xapi(&vm, Some(&"x".repeat(2040)));
    let error =
        dom0.call_plugin("vgpu", "register_vm", &[("vm_uuid", &vm), ("pool", "A"), ("priority", "low")]).unwrap_err();
    assert_eq!(error.code, "VGPU_ARGS_TOO_LONG");
    assert_eq!(dom0.plugin("list_pools", &[])["total"], 0);
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'A', 0)"));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!((boot.device_model_args.as_ref().unwrap().len(), hook_exit(&boot)), (2040, Exit::Code(1)));
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
fn a_start_in_the_middle_of_a_change_ends_with_xapi_and_the_database_agreed() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_fault_in(Service::Xapi, "session.logout", Fault::Slow(Duration::from_millis(1))).unwrap();
    for round in 0..6 {
        let pool = if round % 2 == 0 { "B" } else { "A" };
        let delay = Fault::Slow(Duration::from_millis(20 * round));
        dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", delay).unwrap();
        thread::scope(|scope| {
            let change = scope.spawn(|| dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", pool)]));
            thread::sleep(Duration::from_millis(40));
            dom0.start(&vm);
            change.join().unwrap();
        });
        assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm), "round {round}");
        dom0.shutdown(&vm).unwrap();
        assert_eq!(dom0.start(&vm), dom0.argument(&vm), "round {round}");
        dom0.shutdown(&vm).unwrap();
    }
}

#[test]
fn nobody_leaves_a_session_open_and_nobody_ends_the_callers() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let session = dom0.open_session(Role::PoolAdmin);
    let before = dom0.open_sessions();
    dom0.call_plugin_in(&session, "vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap();
    dom0.call_plugin_in(&session, "vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "C")]).unwrap_err();
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=A"]);
    let _ = dom0.root.admin(&["check"]);
    dom0.sql("UPDATE vms SET priority = 1");
    dom0.start(&vm);
    assert_eq!(dom0.open_sessions(), before);
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

#[test]
fn the_plugin_logs_each_change_with_its_vm() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let lines = dom0.syslog_lines();
    let logged = lines.iter().any(|line| line.contains("vgpu-plugin") && line.contains(&vm) && line.contains("pool=A"));
    assert!(logged, "{lines:?}");
}
