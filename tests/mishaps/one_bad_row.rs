//! A row or entry that cannot be understood or written down is no other VM's trouble.

use std::process::Command;

use vgpu_tests::{Dom0, shared_key, uuid};

#[test]
fn one_row_or_entry_that_cannot_be_understood_is_no_other_vms_trouble() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("on_error = \"block\"");
    dom0.sql(&format!(
        "PRAGMA ignore_check_constraints = 1; INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{}', 'A', 3)",
        uuid(1)
    ));
    dom0.root.admin_ok(&["status"]);
    let argument = dom0.argument(&vm);
    assert_eq!(dom0.start(&vm), argument);
    dom0.shutdown(&vm).unwrap();
    assert!(dom0.root.admin_ok(&["sync"]).contains("Nothing to do"));
    assert!(dom0.root.admin(&["check"]).stdout.contains("WRONG  rows"));
    for entry in ["1 B 2 7 9223372036854775807 0", "1 B 2 7 1 99999999999999", "1 B 2 7 -5 0"] {
        dom0.set_pool_other_config(&shared_key(&uuid(2)), Some(entry));
        assert_eq!(dom0.start(&vm), argument, "{entry}");
        dom0.shutdown(&vm).unwrap();
        assert!(dom0.root.admin_ok(&["sync"]).contains("Nothing to do"), "{entry}");
    }
}

#[test]
fn news_of_another_vm_that_cannot_be_written_down_do_not_keep_a_vm_from_starting() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("on_error = \"block\"");
    dom0.set_args_in_xapi(&vm, None);
    dom0.set_pool_other_config(&shared_key(&uuid(1)), Some("1 B 2 7 1 1790000000"));
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(dom0.root.database()).status();
    if !chattr("+i").is_ok_and(|status| status.success()) {
        eprintln!("not tested: no file can be made immutable here");
        return;
    }
    let got = dom0.start(&vm);
    chattr("-i").unwrap();
    assert_eq!(got, dom0.argument(&vm));
}
