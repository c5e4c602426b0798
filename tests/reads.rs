//! What is read on one host is what all hosts have. Where XAPI cannot be asked, the reply says so.

use serde_json::{Value, json};
use simulated_host::{Fault, Role, Service};
use vgpu_tests::{ResourcePool, ScratchRoot, uuid};

/// Two hosts and a VM that is registered on the first.
fn two_hosts() -> (ResourcePool, String) {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "B", "high");
    (pool, vm)
}

fn list_of_one(vms: &Value, vm: &str) -> bool {
    vms.as_array().is_some_and(|vms| matches!(vms.as_slice(), [one] if one["vm_uuid"] == vm))
}

#[test]
fn another_host_shows_what_was_registered_through_its_plugin_and_its_command_line() {
    for read in ["show_vm", "list_vms", "export", "list_pools", "count_by_pool", "count_by_priority", "status"] {
        let (pool, vm) = two_hosts();
        let (there, cli) = (pool.on(1), read.replace('_', "-"));
        let arguments = if read == "show_vm" { vec![("vm_uuid", vm.as_str())] } else { Vec::new() };
        let expected = pool.on(0).plugin(read, &arguments);
        let got = there.plugin(read, &arguments);
        if ["show_vm", "list_vms"].contains(&read) {
            let one = |reply: &Value| reply.get(0).unwrap_or(reply).clone();
            for field in ["vm_name", "device_argument", "revision", "in_xapi"] {
                assert_eq!(one(&got)[field], one(&expected)[field], "{read}: {field}");
            }
        } else if read == "status" {
            assert_eq!((&got["vms"], &got["by_priority"]), (&json!(1), &json!({"high": 1, "medium": 0, "low": 0})));
        } else if read == "export" {
            assert_eq!((&got["vm"][0]["vm_uuid"], &got["vm"][0]["pool"]), (&json!(vm), &json!("B")));
        } else {
            assert_eq!(got, expected, "{read}");
        }
        let (pool, vm) = two_hosts();
        let there = pool.on(1).root;
        match read {
            "show_vm" => assert_eq!(there.admin_json(&[&cli, "--vm-uuid", &vm])["pool"], "B"),
            "export" | "list_vms" => assert!(there.admin_ok(&[&cli]).contains(&vm)),
            "list_pools" => assert!(there.admin_ok(&[&cli]).contains("Pool B: 1 VM")),
            "status" => assert_eq!(there.admin_json(&[&cli])["vms"], 1),
            _ => {}
        }
    }
}

#[test]
fn whoever_may_only_read_sees_what_other_hosts_have_too() {
    let (pool, vm) = two_hosts();
    let listed = pool.on(1).call_plugin_as(Role::ReadOnly, "vgpu", "list_vms", &[]).unwrap();
    assert!(list_of_one(&serde_json::from_str(&listed).unwrap(), &vm), "{listed}");
}

#[test]
fn where_xapi_cannot_be_asked_a_reply_says_as_of_when_it_is() {
    for fault in [Fault::Absent, Fault::Hangs] {
        let (pool, vm) = two_hosts();
        let there = pool.on(1);
        there.root.admin_ok(&["list-vms"]);
        pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
        there.set_fault(Service::Xapi, fault).unwrap();
        let listed = there.root.admin_json(&["list-vms"]);
        assert_eq!(listed[0]["pool"], "B", "as this host knows it");
        let as_of = listed[0]["as_of"].as_str().unwrap();
        assert!(as_of.starts_with("20") && as_of.len() == "2026-01-01 00:00:00".len(), "{as_of}");
        let shown = there.root.admin(&["show-vm", "--vm-uuid", &vm]);
        let note = format!("as of {as_of} UTC, XAPI is away: changes made on other hosts since then may be missing");
        assert!(shown.stderr.contains(&note), "{shown:?}");
        assert!(there.root.admin_ok(&["export"]).contains(&format!("as_of = \"{as_of}\"")));
        assert_eq!(there.root.admin_json(&["list-pools"])["as_of"], as_of);
        there.clear_faults().unwrap();
        let listed = there.root.admin(&["list-vms", "--format=json"]);
        let vms: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!((&vms[0]["pool"], vms[0].get("as_of")), (&json!("A"), None));
        assert_eq!(listed.stderr, "");
    }
}

#[test]
fn a_host_that_has_never_asked_xapi_says_that_too_where_it_has_no_vm() {
    let root = ScratchRoot::new();
    let listed = root.admin(&["list-vms"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stderr.contains("XAPI is away: changes made on other hosts may be missing"), "{listed:?}");
    assert_eq!(root.admin_json(&["list-pools"])["as_of"], "unknown");
    root.register(&uuid(1), "vm", "A", "low");
    assert_eq!(root.admin_json(&["list-vms"])[0]["as_of"], "unknown");
}

#[test]
fn an_export_that_says_as_of_when_it_is_can_be_imported() {
    let root = ScratchRoot::new();
    root.register(&uuid(1), "vm", "A", "low");
    root.write("settings.toml", root.admin_ok(&["export"]));
    let imported = root.admin_json(&["import", root.path("settings.toml").to_str().unwrap()]);
    assert_eq!((&imported["unchanged"], &imported["changes"]), (&json!(1), &json!([])));
}

#[test]
fn a_read_does_not_wait_for_whoever_holds_the_database_and_shows_what_other_hosts_have_all_the_same() {
    let (pool, vm) = two_hosts();
    let there = pool.on(1);
    there.root.admin_ok(&["list-vms"]);
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
    let holder = rusqlite::Connection::open(there.root.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let listed = there.root.admin(&["list-vms", "--format=json"]);
    let vms: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((&vms[0]["pool"], vms[0].get("as_of")), (&json!("A"), None), "{listed:?}");
    assert!(there.root.admin_ok(&["list-pools"]).contains("Pool A: 1 VM"));
    holder.execute_batch("ROLLBACK").unwrap();
    let here = there.root.path("etc/vgpu/vgpu_config.db");
    let stored = || vgpu_tests::tools::sql_ok(&here, "SELECT pool_id FROM vms").trim().to_owned();
    assert_eq!(stored(), "B");
    there.root.admin_ok(&["list-vms"]);
    assert_eq!(stored(), "A");
}

#[test]
fn a_file_that_may_lack_vms_removes_none() {
    let root = ScratchRoot::new();
    root.register(&uuid(1), "vm", "A", "low");
    root.write("settings.toml", "version = 1\nas_of = \"2026-01-01 00:00:00\"\n");
    let file = root.path("settings.toml");
    let refused = root.admin_fails(&["import", "--prune", file.to_str().unwrap()]);
    assert!(refused.contains("lacks what was registered on other hosts"), "{refused}");
    assert_eq!(root.admin_json(&["list-vms"])[0]["vm_uuid"], uuid(1));
}
