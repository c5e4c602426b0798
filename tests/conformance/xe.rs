//! What xe prints beyond the recordings of `xe host-call-plugin` and `xe vm-start`. Each test names the lines of the real
//! sources that say so.

use simulated_host::{Fault, Service, XeOutput, xe};

use crate::support::{HOST_UUID, Lab, VM};

fn run(lab: &Lab, line: &str) -> XeOutput {
    xe(lab.host.root(), &line.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>())
}

fn printed(lab: &Lab, line: &str) -> String {
    let output = run(lab, line);
    assert_eq!((output.code, output.stderr.as_slice()), (0, b"".as_slice()), "{line}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(lab: &Lab, line: &str) -> String {
    let output = run(lab, line);
    assert_eq!((output.code, output.stdout.as_slice()), (1, b"".as_slice()), "{line}");
    String::from_utf8(output.stderr).unwrap()
}

/// `multi_line_record` in `cli_printer.ml`; `select_fields` and `print_field` in `cli_operations.ml`: the order is the
/// record's, whatever the order of the parameters asked for, and what is no parameter is left out.
#[test]
fn a_list_shows_the_record_s_order_and_what_may_be_done_with_each_parameter() {
    let lab = Lab::with_vm();
    lab.host.set_platform_key(VM, "vga", Some("std")).unwrap();
    let list =
        printed(&lab, &format!("vm-list uuid={VM} params=tags,power-state,nonsense,name-label,uuid,resident-on"));
    let expected = [
        format!("uuid ( RO)           : {VM}"),
        "     name-label ( RW): lab-vm".to_owned(),
        "    power-state ( RO): halted".to_owned(),
        "    resident-on ( RO): <not in database>".to_owned(),
        "           tags (SRW): ".to_owned(),
    ];
    assert_eq!(list, format!("{}\n\n\n", expected.join("\n")));
    assert!(printed(&lab, &format!("vm-list uuid={VM} params=platform")).starts_with("platform (MRW)    : vga: std; "));
    assert_eq!(printed(&lab, &format!("vm-list uuid={VM} params=name-label,uuid --minimal")), format!("{VM}\n"));
    lab.host.vm_start(VM).unwrap();
    assert_eq!(printed(&lab, &format!("vm-list uuid={VM} params=resident-on --minimal")), format!("{HOST_UUID}\n"));
}

/// `gen_cmds` in `cli_operations.ml`.
#[test]
fn a_pool_s_list_names_its_coordinator() {
    let lab = Lab::start();
    let list = printed(&lab, "pool-list");
    assert!(list.contains(&format!("           master ( RO): {HOST_UUID}\n")), "{list}");
    assert!(list.contains("       default-SR ( RW): "), "{list}");
}

/// `select_vms` and `do_vm_op` in `cli_operations.ml`.
#[test]
fn a_command_takes_the_only_vm_that_fits_which_is_no_template() {
    let lab = Lab::with_vm();
    printed(&lab, "vm-start");
    assert_eq!(lab.host.power_state(VM), "Running");
    assert_eq!(refused(&lab, "vm-start power-state=halted"), "Error: No matching VMs found\n");
    let other = lab.host.create_vm("other");
    let words = "Error: Multiple matches VMs found. --multiple required to complete the operation\n";
    assert_eq!(refused(&lab, "vm-shutdown"), words);
    let snapshot = lab.host.snapshot(&other, "snap").unwrap();
    assert_eq!(refused(&lab, &format!("vm-start uuid={snapshot}")), "Error: No matching VMs found\n");
    assert_eq!(refused(&lab, "vm-start vm=other on=nowhere"), "Error: Host nowhere not found\n");
    let words =
        format!("Error: This operation can only be performed on a VM snapshot. {other} is not a VM snapshot.\n");
    assert_eq!(refused(&lab, &format!("snapshot-revert snapshot-uuid={other}")), words);
}

/// The last handlers of `newcli.ml`.
#[test]
fn without_xapi_xe_says_what_it_could_not_call() {
    let lab = Lab::start();
    lab.host.set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert_eq!(refused(&lab, "vm-list"), "Error: No such file or directory (calling connect )\n");
    lab.host.set_fault(Service::Xapi, Fault::Refuses).unwrap();
    assert_eq!(refused(&lab, "vm-list"), "Error: Connection refused (calling connect )\n");
    lab.host.clear_faults().unwrap();
    lab.host.set_fault_in(Service::Xapi, "VM.get_all_records", Fault::Absent).unwrap();
    assert_eq!(refused(&lab, "vm-list"), "Lost connection to the server.\n");
}
