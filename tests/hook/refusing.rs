//! Which start is refused: only one that `on_error = "block"` asks for.

use simulated_host::{Exit, Fault, Service};
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::{Dom0, ScratchRoot};

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
fn whatever_happens_to_the_program_the_script_lets_the_vm_start() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let program = "usr/libexec/vgpu/vgpu-hook";
    dom0.root.unlink(program);
    for (script, exit) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 3", 1),
        ("exit 101", 1),
        ("exit 255", 1),
        ("kill -9 $$", 1),
        ("kill -11 $$", 1),
    ] {
        dom0.root.write(program, format!("#!/bin/sh\n{script}\n"));
        dom0.root.chmod(program, 0o755);
        let boot = dom0.vm_start(&vm).unwrap();
        assert_eq!(hook_exit(&boot), Exit::Code(exit), "{script}");
        dom0.shutdown(&vm).unwrap();
    }
    dom0.root.write(program, "#!/bin/sh\nexit 2\n");
    dom0.root.chmod(program, 0o755);
    assert_eq!(dom0.vm_start(&vm).unwrap_err().code, "XAPI_HOOK_FAILED", "a wanted 2 passes");
    dom0.root.write(program, "not a program");
    for mode in [0o755, 0o644] {
        dom0.root.chmod(program, mode);
        assert_eq!(hook_exit(&dom0.vm_start(&vm).unwrap()), Exit::Code(1), "mode {mode:o}");
        dom0.shutdown(&vm).unwrap();
    }
    std::fs::remove_file(dom0.root.path(program)).unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(1));
    assert!(boot.hook_runs[0].stdout.contains("is missing or empty: install vgpu-config again"), "{boot:?}");
}

#[test]
fn wrong_arguments_are_no_reason_to_block_a_start() {
    let root = ScratchRoot::new();
    for arguments in [&[][..], &["--help"], &["-vmuuid"], &["-vmuuid", "x"], &["-reason", "none"]] {
        let ran = root.run("etc/xapi.d/vm-pre-start/50vgpu", arguments);
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(1), 1), "{arguments:?}: {ran:?}");
        assert!(ran.stdout.contains("expected"), "{ran:?}");
    }
}
