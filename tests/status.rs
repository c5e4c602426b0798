//! `status`: the resource pool on one screen, with what needs attention first.

use serde_json::json;
use simulated_host::{Fault, Service};
use vgpu_tests::golden::assert_golden;
use vgpu_tests::terminal::on_a_terminal;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ResourcePool, VM, uuid};

/// Three hosts with GPUs, VMs that run with and without their settings, a full GPU pool, and a host with a problem.
fn three_hosts() -> ResourcePool {
    let pool = ResourcePool::new(3);
    for (host, address) in [(0, "0000:81:00.0"), (0, "0000:82:00.0"), (1, "0000:81:00.0"), (2, "0000:81:00.0")] {
        pool.host(host).add_gpu(address, "NVIDIA Corporation", "AD102GL [L40S]");
    }
    let (one, other) = (pool.host(0).host_uuid(), pool.host(1).host_uuid());
    let sql = format!(
        "INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{one}', '0000:81:00.0', 'A');
         INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{one}', '0000:82:00.0', 'B');
         INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{other}', '0000:81:00.0', 'A');
         UPDATE gpu_pools SET name = 'rendering', max_vms = 3 WHERE pool_id = 'A'"
    );
    sql_ok(&pool.on(0).root.database(), &sql);
    pool.on(0).root.admin_ok(&["sync"]);
    for (number, name, gpu_pool, priority) in [
        (1, "render01", "A", "high"),
        (2, "render02", "A", "medium"),
        (3, "render03", "A", "low"),
        (4, "db01", "B", "low"),
    ] {
        pool.host(0).create_vm_with_uuid(&uuid(number), name);
        pool.on(0).register(&uuid(number), gpu_pool, priority);
    }
    pool.on(0).start(&uuid(1));
    pool.on(1).start(&uuid(2));
    pool.on(1).start(&uuid(4));
    pool.on(0).plugin("set_priority", &[("vm_name", "render02"), ("priority", "high")]);
    std::fs::remove_file(pool.on(2).root.path("etc/xapi.d/plugins/vgpu")).unwrap();
    pool
}

#[test]
fn the_state_of_a_small_resource_pool_fits_a_screen_of_80_columns_and_24_lines() {
    let pool = three_hosts();
    let screen = on_a_terminal(pool.on(0).root, 80, &[("NO_COLOR", "1")], &["status"]);
    assert_golden("status-screen.txt", &screen);
    assert!(screen.lines().count() <= 24, "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
}

#[test]
fn what_needs_attention_comes_first_problems_before_warnings() {
    let pool = three_hosts();
    let status = pool.on(0).plugin("status", &[]);
    let attention: Vec<_> = status["attention"].as_array().unwrap().iter().collect();
    assert_eq!(attention.len(), 3, "{status:#}");
    assert_eq!((&attention[0]["host_name"], &attention[0]["warning"]), (&json!("xcp-ng-3"), &json!(false)));
    let pending = json!({
        "host_name": null, "warning": false,
        "message": "1 VM runs without its settings: 'vgpu-admin apply --pending' reboots it",
    });
    assert_eq!(attention[1], &pending);
    assert_eq!((&attention[2]["host_name"], &attention[2]["warning"]), (&json!("xcp-ng-2"), &json!(true)));
    assert!(
        attention[2]["message"]
            .as_str()
            .unwrap()
            .starts_with("VM db01 of GPU pool B runs on host xcp-ng-2, where no GPU")
    );
    let pools = json!([
        {"pool": "A", "name": "rendering", "description": null, "vms": 3, "high": 2, "medium": 0, "low": 1, "max_vms": 3,
         "free": 0, "gpus": 2},
        {"pool": "B", "name": null, "description": null, "vms": 1, "high": 0, "medium": 0, "low": 1, "max_vms": null,
         "free": null, "gpus": 1},
    ]);
    assert_eq!((&status["pools"], status["gpus"].as_array().unwrap().len()), (&pools, 4));
    let listed = pool.on(1).root.admin_ok(&["list-pools"]);
    let expected = "Pool A: 3 VMs (2 high, 0 medium, 1 low); 0 of 3 free; 2 GPUs; rendering\n\
                    Pool B: 1 VM (0 high, 0 medium, 1 low); 1 GPU\n";
    assert_eq!(listed, expected);
    let columns = ["list-pools", "--columns=pool,limit,free,gpus,name"];
    assert_eq!(
        pool.on(1).root.admin_ok(&columns),
        "POOL  LIMIT  FREE  GPUS  NAME\nA     3      0     2     rendering\nB     -      -     1     -\n"
    );
}

#[test]
fn where_all_is_well_that_is_the_first_thing_to_be_read() {
    let said = Dom0::new().root.admin_ok(&["status"]);
    assert!(said.starts_with("Nothing needs attention.\n\nHOST "), "{said}");
}

#[test]
fn without_xapi_that_is_the_first_problem_and_changes_that_wait_are_the_next() {
    let dom0 = Dom0::new();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.root.register(VM, "web01", "A", "low");
    let said = dom0.root.admin_ok(&["status"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0] == "Needs attention:" && lines[1].starts_with("WRONG  XAPI cannot be reached"), "{said}");
    assert_eq!(lines[2], "WRONG  1 change is not in XAPI yet: 'vgpu-admin sync' writes it");
    assert!(said.contains("\nXAPI      does not answer\n") && !said.contains("HOST"), "{said}");
    assert!(said.contains("\nA     1    0     0       1    -      -     0     -\n"), "{said}");
}

#[test]
fn many_problems_are_counted_after_the_first_ones() {
    let dom0 = Dom0::new();
    for number in 1..=9 {
        let sql = format!(
            "INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{}', '0000:8{number}:00.0', 'A')",
            dom0.host_uuid()
        );
        dom0.sql(&sql);
    }
    dom0.root.admin_ok(&["sync"]);
    let said = dom0.root.admin_ok(&["status"]);
    assert!(
        said.contains("\nwarn  xcp-ng-1: GPU xcp-ng-1:0000:85:00.0 serves GPU pool A, but XAPI does not know it: "),
        "{said}"
    );
    assert!(said.contains("\n\u{2026}     4 more: vgpu-admin check --all-hosts\n"), "{said}");
}
