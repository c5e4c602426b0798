//! The hook as an administrator runs it.

use vgpu_tests::Dom0;

#[test]
fn run_by_hand_for_a_halted_vm_it_says_what_it_found_and_that_this_is_no_start() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let argument = dom0.argument(&vm).unwrap();
    let ran = dom0.root.hook(&vm);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let number = argument.rsplit('=').next().unwrap();
    assert_eq!(
        ran.stdout,
        format!(
            "VM {vm} (web01) is registered: GPU pool B, priority high, vm_id {number}.\n\
             This boot: the VM is not being started.\n\
             Next boots: XAPI's record was corrected.\n"
        )
    );
    assert_eq!(dom0.args_in_xapi(&vm), Some(argument));
}

#[test]
fn run_by_hand_for_a_running_vm_it_leaves_its_qemu_alone() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.start(&vm);
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    let ran = dom0.root.hook(&vm);
    assert!(ran.stdout.contains("the VM is already running"), "{ran:?}");
    assert_eq!(dom0.last_vm_add(&vm), None);
    assert_eq!(dom0.args_in_xapi(&vm), dom0.argument(&vm));
    let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!(shown["last_start"]["is_current"], false, "what was not a start is not noted as one");
}

#[test]
fn run_by_hand_for_a_clone_it_says_whose_argument_it_carries() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    let ran = dom0.root.hook(&clone);
    assert!(ran.stdout.contains(&format!("has the vGPU argument of VM {vm}")), "{ran:?}");
    let stranger = dom0.create_vm("stranger");
    let ran = dom0.root.hook(&stranger);
    assert!(ran.stdout.contains("is not registered.\nThis boot: the VM is not being started."), "{ran:?}");
}
