//! What is refused has not happened anywhere.

use simulated_host::{Exit, Fault, Service};
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::{Dom0, uuid};

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
fn what_is_refused_for_what_it_says_was_never_told_to_anybody() {
    let dom0 = Dom0::new();
    let [good, long] = [uuid(1), uuid(2)];
    for vm in [&good, &long] {
        dom0.create_vm_with_uuid(vm, "web");
    }
    dom0.set_args_in_xapi(&long, Some(&format!("-name {}", "x".repeat(2030))));
    let vm = |uuid: &str| format!("[[vm]]\nvm_uuid = \"{uuid}\"\npool = \"A\"\npriority = \"high\"\n");
    let config = format!("version = 1\n{}{}", vm(&good), vm(&long));
    dom0.clear_calls();
    for (function, arguments) in [
        ("import", vec![("config", config.as_str())]),
        ("register_vm", vec![("vm_uuid", long.as_str()), ("pool", "A"), ("priority", "low")]),
    ] {
        let refused = dom0.call_plugin("vgpu", function, &arguments).unwrap_err();
        assert_eq!(refused.code, "VGPU_ARGS_TOO_LONG", "{function}");
    }
    let writes: Vec<_> = dom0.calls().into_iter().filter(|call| call.contains(".add_to_")).collect();
    assert_eq!(writes, Vec::<String>::new(), "what another host has read cannot be taken back from it");
}
