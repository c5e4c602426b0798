//! `sync`: this host and XAPI come to say the same.

use std::fs;

use serde_json::json;
use simulated_host::{Fault, Service};
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ResourcePool, VM, shared_key, uuid};

/// Writes the copy as another host would, with other settings and a revision so much higher.
fn another_host_writes(dom0: &Dom0, vm: &str, pool: &str, revisions: i64) -> String {
    let mut entry = dom0.shared(vm).unwrap();
    entry.settings.as_mut().unwrap().pool = pool.parse().unwrap();
    entry.revision += revisions;
    dom0.set_pool_other_config(&shared_key(vm), Some(&entry.to_text()));
    format!("pool_id={pool}")
}

#[test]
fn sync_says_what_it_does_and_a_dry_run_only_says() {
    let (dom0, taken) = Dom0::with_registered_vm();
    let [pushed, repaired] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), "A", "low");
        uuid(number)
    });
    let newer = another_host_writes(&dom0, &taken, "B", 1);
    dom0.sql(&format!("UPDATE vms SET priority = 2 WHERE vm_uuid = '{pushed}'"));
    dom0.set_args_in_xapi(&repaired, Some("-vga std"));
    let state = || (dom0.sql(".dump"), dom0.pool_other_config(), dom0.platform(&taken), dom0.platform(&repaired));
    let before = state();
    let planned = dom0.root.admin_json(&["sync", "--dry-run"]);
    assert_eq!(state(), before);
    let done = dom0.plugin("sync", &[]);
    for reply in [&planned, &done] {
        assert_eq!(reply["taken"], json!([taken]));
        assert_eq!(reply["pushed"], json!([pushed]));
        assert_eq!(reply["repaired"], json!([pushed, repaired, taken]));
        assert_eq!(reply["left_alone"], json!([]));
    }
    assert!(dom0.args_in_xapi(&taken).unwrap().contains(&newer));
    assert!(dom0.args_in_xapi(&repaired).unwrap().starts_with("-vga std -device vgpu-stub,"));
    let said = dom0.root.admin_ok(&["sync"]);
    assert_eq!(said, "Nothing to do: this host and XAPI agree.\n");
}

#[test]
fn sync_speaks_of_other_hosts_only_where_there_are_any() {
    let alone = Dom0::new();
    let pool = ResourcePool::new(2);
    let register = format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{VM}', 'A', 2)");
    for (root, told, agreed) in [
        (&alone.root, "written for the shared copy", "this host and XAPI agree"),
        (pool.on(1).root, "written for the other hosts", "this host, the other hosts and XAPI agree"),
    ] {
        sql_ok(&root.database(), &register);
        let planned = root.admin_ok(&["sync", "--dry-run"]);
        assert!(planned.contains(&format!("would be {told}")), "{planned}");
        let said = root.admin_ok(&["sync"]);
        assert!(said.contains(told) && said.contains("other host") == told.contains("other host"), "{said}");
        assert!(root.admin_ok(&["sync"]).contains(agreed));
    }
    let said = pool.on(0).root.admin_ok(&["sync"]);
    assert!(said.contains("taken over from another host"), "{said}");
    fs::remove_file(alone.root.database()).unwrap();
    let said = alone.root.admin_ok(&["sync"]);
    assert!(said.contains("taken over from the shared copy") && !said.contains("another host"), "{said}");
}

#[test]
fn sync_fills_an_empty_database_from_what_xapi_carries() {
    let (dom0, vm) = Dom0::with_registered_vm();
    for number in 1..=3 {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), "B", "low");
    }
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    dom0.plugin("remove_vm", &[("vm_uuid", &uuid(3))]);
    let (list, xapi) = (dom0.root.admin_ok(&["list-vms"]), dom0.pool_other_config());
    // The host is installed anew.
    fs::remove_dir_all(dom0.root.path("etc/vgpu")).unwrap();
    assert_eq!(dom0.root.admin_json(&["sync"])["taken"].as_array().unwrap().len(), 4);
    assert_eq!(dom0.root.admin_ok(&["list-vms"]), list, "the names too");
    assert_eq!(dom0.pool_other_config(), xapi);
    assert!(
        dom0.root
            .admin(&["register-vm", "--vm-uuid", &uuid(3), "--pool=A", "--priority=low"])
            .stdout
            .contains("registered")
    );
    assert_eq!(dom0.shared(&uuid(3)).unwrap().revision, 3, "counted on from the removal");
}

#[test]
fn a_vm_that_is_yet_to_come_is_told_to_the_other_hosts_by_a_sync() {
    let dom0 = Dom0::new();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.root.admin_ok(&["register-vm", "--vm-uuid", &uuid(1), "--pool=A", "--priority=low", "--force"]);
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.plugin("sync", &[])["pushed"], json!([uuid(1)]));
    assert!(dom0.shared(&uuid(1)).is_some());
}

#[test]
fn a_sync_ends_at_the_first_vm_for_which_xapi_is_away() {
    let dom0 = Dom0::new();
    for number in 0..5 {
        dom0.create_vm_with_uuid(&uuid(number), "vm");
        dom0.register(&uuid(number), "A", "high");
    }
    dom0.sql("UPDATE vms SET priority = 0");
    dom0.set_fault_in(Service::Xapi, "pool.add_to_other_config", Fault::Absent).unwrap();
    let ran = dom0.root.admin(&["sync", "--format=json"]);
    let reply: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, reply["left_alone"].as_array().map(Vec::len)), (Some(1), Some(1)), "{reply}");
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.plugin("sync", &[])["left_alone"], json!([]));
    assert_eq!(dom0.start(&uuid(4)), dom0.argument(&uuid(4)));
}
