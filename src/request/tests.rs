#![allow(clippy::unwrap_used)]

use super::*;

const VM: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";

fn arguments(given: &[(&str, &str)]) -> Arguments {
    given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn read(function: &str, given: &[(&str, &str)]) -> Result<Option<Request>, Error> {
    Request::read(function, arguments(given))
}

#[test]
fn every_request_is_read_as_it_was_written() {
    let config =
        "version = 1\n\n[[vm]]\nvm_uuid = \"cda8bcd3-f410-bd1f-3688-8c308ff28e90\"\npool = \"A\"\npriority = \"low\"\n";
    let whole: &[(&str, &[(&str, &str)])] = &[
        ("register_vm", &[("vm_uuid", VM), ("vm_name", "a"), ("pool", "A"), ("priority", "high"), ("force", "true")]),
        ("register_vm", &[("vm_name", "web01")]),
        ("register_vm", &[("vm_name", "web01"), ("priority", "low"), ("if_needed", "true"), ("dry_run", "true")]),
        ("register_vm", &[("vms", "web01\ncda8bcd3-f410-bd1f-3688-8c308ff28e90"), ("pool", "A")]),
        ("show_vm", &[("vm_name", "web <01>")]),
        ("show_vm", &[("vms", "web <01>\n web, 02 ")]),
        ("set_pool", &[("vms", "web01"), ("pool", "B"), ("dry_run", "true")]),
        ("set_pool", &[("vm_uuid", VM), ("pool", "B")]),
        ("set_priority", &[("vm_uuid", VM), ("priority", "low")]),
        ("update_vm", &[("vm_uuid", VM), ("vm_id", "7")]),
        ("list_vms", &[("pool", "A"), ("priority", "medium")]),
        ("remove_vm", &[("vm_uuid", VM)]),
        ("adopt", &[("dry_run", "true")]),
        ("import", &[("config", config), ("prune", "true")]),
        ("history", &[("vm_uuid", VM), ("limit", "3")]),
        ("history", &[]),
        ("apply", &[("pending", "true"), ("hard", "true"), ("dry_run", "true")]),
        ("apply", &[("vm_uuid", VM)]),
        ("check", &[("all_hosts", "true")]),
        ("scan_gpus", &[]),
        ("metrics", &[]),
        ("version", &[]),
    ];
    for (function, given) in whole {
        let request = read(function, given).unwrap().unwrap();
        assert_eq!((request.function(), request.arguments()), (*function, arguments(given)));
    }
}

#[test]
fn a_function_that_there_is_not_is_none() {
    assert_eq!(read("frobnicate", &[("a", "b")]).unwrap(), None);
    assert_eq!(Request::arguments_of("frobnicate"), None);
}

#[test]
fn arguments_that_belong_together_are_told_by_their_names() {
    assert_eq!(Request::arguments_of("set_pool").unwrap(), ["vm_uuid", "vm_name", "vms", "pool", "force", "dry_run"]);
    assert_eq!(Request::arguments_of("apply").unwrap(), ["vm_uuid", "vm_name", "pending", "hard", "dry_run"]);
    assert!(Request::arguments_of("version").unwrap().is_empty());
}

#[test]
fn a_vm_is_named_one_way_and_apply_says_which_vms() {
    let refused = |function, given: &[(&str, &str)]| read(function, given).unwrap_err().params();
    let both = [("vm_uuid", VM), ("vm_name", "web01")];
    assert_eq!(refused("show_vm", &both), ["vm_name", "web01", "either vm_uuid or vm_name"]);
    for given in [&[][..], &[("vm_uuid", VM), ("pending", "yes")]] {
        assert_eq!(refused("apply", given), ["vm_uuid", "", "either a VM, or pending=true for all"]);
    }
}

#[test]
fn a_list_of_vms_has_names_and_uuids_on_a_line_each_and_is_never_empty() {
    let Some(Request::ShowVm { vm }) =
        read("show_vm", &[("vms", &format!("\nweb01\r\n{}\n", VM.to_uppercase()))]).unwrap()
    else {
        panic!("show_vm reads a list");
    };
    let expected = vec![VmSelector::Name("web01".to_owned()), VmSelector::Uuid(VM.parse().unwrap())];
    assert_eq!(vm, VmSelectors::Several(expected));
    let refused = |given: &[(&str, &str)]| read("remove_vm", given).unwrap_err().params();
    assert_eq!(refused(&[("vms", "\n\n")]), ["vms", "\\n\\n", "the name or UUID of a VM on each line"]);
    assert_eq!(refused(&[("vms", "web01"), ("vm_name", "web02")]), ["vms", "web02", "either vms, or one VM"]);
    assert_eq!(refused(&[("vms", "")])[0], "vm_uuid");
}
