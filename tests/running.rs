//! What VMs run with is read from their QEMUs, on the host where each runs.

use serde_json::{Value, json};
use simulated_host::{Outage, Release, Role};
use vgpu_tests::{Dom0, ResourcePool};

/// The column RUNS WITH of `list-vms` for a VM.
fn column(root: &vgpu_tests::ScratchRoot, vm: &str) -> String {
    let table = root.admin_ok(&["list-vms"]);
    let (from, to) = (table.find("RUNS WITH").unwrap(), table.find("  NAME").unwrap());
    let line = table.lines().find(|line| line.contains(vm)).unwrap();
    line[from..to].trim_end().to_owned()
}

#[test]
fn the_list_says_what_each_vm_of_this_host_runs_with() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let root = &dom0.root;
    assert_eq!(column(root, &vm), "halted");
    dom0.start(&vm);
    assert_eq!(column(root, &vm), "as configured");
    let number = dom0.plugin("show_vm", &[("vm_uuid", &vm)])["vm_id"].clone();
    dom0.plugin("update_vm", &[("vm_uuid", &vm), ("pool", "B")]);
    assert_eq!(column(root, &vm), format!("A high {number}"));
    dom0.suspend(&vm).unwrap();
    assert_eq!(column(root, &vm), "suspended");
    dom0.resume(&vm).unwrap();
    assert_eq!(column(root, &vm), format!("A high {number}"), "it still runs with what it was started with");
    dom0.clean_reboot(&vm).unwrap();
    assert_eq!(column(root, &vm), "as configured");
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    dom0.clean_reboot(&vm).unwrap();
    dom0.register(&vm, "A", "low");
    assert_eq!(column(root, &vm), "no vGPU");
    dom0.shutdown(&vm).unwrap();
    dom0.destroy(&vm).unwrap();
    dom0.root.admin_ok(&["sync"]);
    assert_eq!(column(root, &vm), "not in XAPI");
}

#[test]
fn what_cannot_be_read_of_a_vgpu_is_unclear_and_never_as_configured() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let number = dom0.plugin("show_vm", &[("vm_uuid", &vm)])["vm_id"].clone();
    let ours = format!("-device vgpu-stub,pool_id=A,priority=high,vm_id={number}");
    std::fs::remove_file(dom0.root.path("etc/xapi.d/vm-pre-start/50vgpu")).unwrap();
    for args in ["-device vgpu-stub,pool_id=A", &format!("{ours} {ours}"), &ours.replace("=A", "=a")] {
        dom0.set_args_in_xapi(&vm, Some(args));
        dom0.vm_start(&vm).unwrap();
        assert_eq!(column(&dom0.root, &vm), "unclear vGPU", "{args}");
        let shown = dom0.root.admin_ok(&["show-vm", "--vm-uuid", &vm]);
        assert!(shown.contains(&format!("Runs with   {args} (NOT as configured) on xcp-ng-1")), "{shown}");
        dom0.shutdown(&vm).unwrap();
    }
}

#[test]
fn a_vm_on_another_host_is_listed_with_that_host_and_asked_about_one_by_one_and_in_a_scan() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "high");
    pool.on(1).start(&vm);
    let root = &pool.on(0).root;
    assert_eq!(column(root, &vm), "on xcp-ng-2");
    assert_eq!(column(pool.on(1).root, &vm), "as configured");
    let argument = pool.on(0).plugin("show_vm", &[("vm_uuid", &vm)])["device_argument"].clone();
    let shown = || pool.on(0).plugin("show_vm", &[("vm_uuid", &vm)])["runs_with"].clone();
    assert_eq!((&shown()["state"], &shown()["device_argument"]), (&json!("as_configured"), &argument));
    pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    assert_eq!((&shown()["state"], &shown()["priority"]), (&json!("differs"), &json!("high")));
    let scanned = root.admin_ok(&["scan-vms"]);
    assert!(scanned.contains("running  xcp-ng-2  A high "), "{scanned}");
    pool.migrate(&vm, 1, 0).unwrap();
    assert_eq!(pool.on(1).plugin("show_vm", &[("vm_uuid", &vm)])["runs_with"]["host_name"], "xcp-ng-1");
    assert!(column(root, &vm).starts_with("A high "), "its QEMU on the new host has what it was started with");
}

#[test]
fn a_host_that_does_not_answer_makes_its_vms_not_known_and_nothing_else() {
    let pool = ResourcePool::new(2);
    let (here, there) = (pool.host(0).create_vm("web01"), pool.host(0).create_vm("web02"));
    for (vm, host) in [(&here, 0), (&there, 1)] {
        pool.on(0).register(vm, "A", "high");
        pool.on(host).start(vm);
    }
    pool.partition(1, Outage::Hangs);
    let scanned = pool.on(0).plugin("scan_vms", &[]);
    let states: Vec<_> = scanned.as_array().unwrap().iter().map(|vm| vm["runs_with"]["state"].clone()).collect();
    assert_eq!(states, [json!("as_configured"), json!("not_known")]);
    assert!(scanned[1]["runs_with"]["why"].as_str().unwrap().contains("host xcp-ng-2"), "{scanned}");
    let shown = pool.on(0).root.admin_ok(&["show-vm", "--vm-uuid", &there]);
    assert!(shown.contains("Runs with   not known on xcp-ng-2: XAPI cannot reach host xcp-ng-2"), "{shown}");
    let running = pool.on(0).plugin("status", &[])["running"].clone();
    assert_eq!(running, json!({"as_configured": 1, "pending": 0, "not_known": 1}));
}

#[test]
fn status_counts_who_runs_with_and_without_their_settings() {
    let dom0 = Dom0::new();
    for name in ["vm1", "vm2", "vm3"] {
        let vm = dom0.create_vm(name);
        dom0.register(&vm, "A", "low");
        dom0.start(&vm);
    }
    assert!(dom0.root.admin_ok(&["status"]).contains("\nRunning   3 with their settings\n"));
    dom0.plugin("set_priority", &[("vm_name", "vm2"), ("priority", "high")]);
    dom0.plugin("remove_vm", &[("vm_name", "vm3")]);
    let said = dom0.root.admin_ok(&["status"]);
    assert!(
        said.contains("\nRunning   1 with their settings, 2 without, 0 not known\n")
            && said.contains("2 VMs run without their settings: 'vgpu-admin apply --pending' reboots them"),
        "{said}"
    );
}

#[test]
fn the_plugin_says_what_each_vm_of_its_host_runs_with_registered_or_not() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let (registered, stranger, halted) =
        (dom0.create_vm("web01"), dom0.create_vm("stranger"), dom0.create_vm("halted"));
    dom0.register(&registered, "B", "medium");
    dom0.register(&halted, "B", "medium");
    dom0.start(&registered);
    dom0.start(&stranger);
    let running = dom0.plugin("running", &[]);
    assert_eq!(running["qemu_wrapper"]["ok"], true, "{running}");
    let vm = |uuid: &str| -> Value {
        let vms = running["vms"].as_array().unwrap();
        vms.iter().find(|vm| vm["vm_uuid"] == uuid).cloned().unwrap_or_default()
    };
    let argument = dom0.argument_for_qemu(&registered).unwrap();
    assert_eq!((&vm(&registered)["state"], &vm(&registered)["device_argument"]), (&json!("vgpu"), &json!(argument)));
    assert_eq!((&vm(&registered)["pool"], &vm(&registered)["priority"]), (&json!("B"), &json!("medium")));
    assert_eq!((&vm(&stranger)["state"], &vm(&stranger)["device_argument"]), (&json!("no_vgpu"), &json!("")));
    assert_eq!(vm(&halted), Value::Null);
    let domid = dom0.vm_record(&registered).unwrap()["domid"].clone();
    assert_eq!(vm(&registered)["domid"], domid);
}

#[test]
fn who_may_only_read_is_told_of_this_host_and_that_others_may_not_be_asked() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "high");
    pool.on(1).start(&vm);
    let shown = |host: usize| -> Value {
        let shown = pool.host(host).call_plugin_as(Role::ReadOnly, "vgpu", "show_vm", &[("vm_uuid", &vm)]).unwrap();
        serde_json::from_str(&shown).unwrap()
    };
    assert_eq!(shown(1)["runs_with"]["state"], "as_configured");
    assert_eq!(shown(0)["runs_with"]["state"], "elsewhere");
    assert!(shown(0)["runs_with"]["why"].as_str().unwrap().contains("RBAC_PERMISSION_DENIED"), "{}", shown(0));
}

#[test]
fn a_reboot_that_would_not_help_is_not_made() {
    let dom0 = Dom0::stock(Release::V8_3);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "A", "high");
    dom0.vm_start(&vm).unwrap();
    let ran = dom0.root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(1));
    let expected = "left alone: a reboot would not help: on host xcp-ng-1, ";
    assert!(ran.stdout.contains(expected) && ran.stdout.contains("qemu-wrapper enable"), "{}", ran.stdout);
    assert_eq!(dom0.boots(&vm).len(), 1);
    dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    let said = dom0.root.admin_ok(&["apply", "--pending", "--yes"]);
    assert!(said.contains("rebooted: no vGPU -> -device vgpu-stub,pool_id=A,priority=high"), "{said}");
    assert_eq!(dom0.root.admin_ok(&["apply", "--pending", "--yes"]), "Every running VM has its settings.\n");
}
