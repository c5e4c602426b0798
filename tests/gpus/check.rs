//! What `check` warns of: GPU pools without GPUs where their VMs run, GPUs that cannot be used, and too many VMs.

use serde_json::{Value, json};
use vgpu_tests::ResourcePool;

use super::{ADDRESS, OTHER, assign, two_hosts};

/// What check warns of on a host; it passes all the same.
fn warnings(pool: &ResourcePool, host: usize) -> Vec<String> {
    let reply = pool.on(host).root.admin_json(&["check"]);
    assert_eq!(reply["ok"], true, "{reply:#}");
    messages(&reply["checks"])
}

fn messages(checks: &Value) -> Vec<String> {
    let warnings = checks.as_array().unwrap().iter().filter(|item| item["warning"] == true);
    warnings.map(|item| item["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn whoever_assigns_no_gpus_and_sets_no_limits_is_not_warned() {
    let pool = two_hosts();
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(0).start(&vm);
    assert_eq!(warnings(&pool, 0), Vec::<String>::new());
    let reply = pool.on(0).root.admin_ok(&["check"]);
    assert!(!reply.contains("  GPU pools  ") && reply.ends_with("All checks passed.\n"), "{reply}");
}

#[test]
fn a_vm_that_runs_where_no_gpu_serves_its_gpu_pool_is_named_by_its_host() {
    let pool = two_hosts();
    assign(pool.on(0).root, pool.host(1).host_uuid(), OTHER, "A");
    pool.on(0).root.admin_ok(&["sync"]);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    assert_eq!(warnings(&pool, 0), Vec::<String>::new(), "the other host can run it");
    pool.on(0).start(&vm);
    let expected = "VM web01 of GPU pool A runs on host xcp-ng-1, where no GPU serves that GPU pool: assign one of those that \
                    'vgpu-admin scan-gpus' lists with 'vgpu-admin assign-gpu --pool=A --gpu=HOST:ADDRESS'";
    assert_eq!(warnings(&pool, 0), [expected]);
    assert_eq!(warnings(&pool, 1), Vec::<String>::new());
    let said = pool.on(0).root.admin_ok(&["check"]);
    assert!(
        said.contains("\nwarn  GPU pools       VM web01") && said.ends_with("All checks passed, with 1 warning.\n"),
        "{said}"
    );
    pool.migrate(&vm, 0, 1).unwrap();
    assert_eq!(warnings(&pool, 0), Vec::<String>::new());
    let said = pool.on(1).root.admin_ok(&["check"]);
    assert!(said.contains("\nok  GPU pools       every VM finds a GPU of its GPU pool, and no GPU pool has"), "{said}");
}

#[test]
fn a_halted_vm_is_named_where_it_prefers_to_start_or_once_if_no_host_could_run_it() {
    let pool = two_hosts();
    assign(pool.on(0).root, pool.host(1).host_uuid(), OTHER, "A");
    pool.on(0).root.admin_ok(&["sync"]);
    for (name, gpu_pool) in [("here", "A"), ("db01", "B"), ("db02", "B"), ("db03", "B"), ("db04", "B")] {
        let vm = pool.host(0).create_vm(name);
        pool.on(0).register(&vm, gpu_pool, "low");
        if name == "here" {
            pool.host(0).set_affinity(&vm, pool.host(0)).unwrap();
        }
    }
    let here = "VM here of GPU pool A would start on host xcp-ng-1, where no GPU serves that GPU pool";
    let nowhere =
        "VMs db01, db02, db03 and 1 more of GPU pool B would find no GPU: no host has one that serves that GPU pool";
    let begin_with = |warnings: &[String], expected: &[&str]| {
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        assert!(warnings.iter().zip(expected).all(|(one, other)| one.starts_with(other)), "{warnings:?}");
    };
    begin_with(&warnings(&pool, 0), &[here, nowhere]);
    begin_with(&warnings(&pool, 1), &[nowhere]);
    let all = pool.on(1).root.admin_json(&["check", "--all-hosts"]);
    assert_eq!(all["ok"], true);
    begin_with(&messages(&all["hosts"][0]["checks"]), &[here, nowhere]);
    begin_with(&messages(&all["hosts"][1]["checks"]), &[]);
}

#[test]
fn a_gpu_that_vanished_or_is_passed_through_is_named_with_what_to_do() {
    let pool = two_hosts();
    let (one, other) = (pool.host(0).host_uuid(), pool.host(1).host_uuid());
    assign(pool.on(0).root, one, ADDRESS, "A");
    assign(pool.on(0).root, other, OTHER, "B");
    pool.on(0).root.admin_ok(&["sync"]);
    pool.host(0).remove_gpu(ADDRESS).unwrap();
    let vm = pool.host(1).create_vm("render");
    pool.host(1).pass_through(&vm, &[OTHER]).unwrap();
    let vanished = format!(
        "GPU xcp-ng-1:{ADDRESS} serves GPU pool A, but XAPI does not know it: if it was taken out, unassign it with 'vgpu-admin \
         unassign-gpu --gpu={one}:{ADDRESS}'"
    );
    assert_eq!(warnings(&pool, 0), [vanished]);
    let passed_through = format!(
        "GPU xcp-ng-2:{OTHER} serves GPU pool B, but is passed through to VM {vm} (render): take it from the VM, or unassign it with \
         'vgpu-admin unassign-gpu --gpu={other}:{OTHER}'"
    );
    assert_eq!(warnings(&pool, 1), [passed_through]);
}

#[test]
fn a_gpu_pool_over_its_limit_is_named_with_the_numbers_once_for_all_hosts() {
    let pool = two_hosts();
    for name in ["web01", "web02"] {
        pool.on(0).register(&pool.host(0).create_vm(name), "A", "low");
    }
    vgpu_tests::tools::sql_ok(&pool.on(0).root.database(), "UPDATE gpu_pools SET max_vms = 1 WHERE pool_id = 'A'");
    pool.on(0).root.admin_ok(&["sync"]);
    let expected = "GPU pool A has 2 VMs, 1 more than the 1 that it may have: move some with 'vgpu-admin set-pool', or allow them with \
                    'vgpu-admin set-gpu-pool --pool=A --max-vms=2'";
    assert_eq!(warnings(&pool, 1), [expected]);
    let all = pool.on(0).root.admin_json(&["check", "--all-hosts"]);
    let warned: Vec<_> = all["hosts"].as_array().unwrap().iter().map(|host| messages(&host["checks"]).len()).collect();
    assert_eq!((warned, &all["ok"]), (vec![1, 0], &json!(true)));
    let status = pool.on(0).plugin("status", &[]);
    let attention = json!([{"host_name": "xcp-ng-1", "message": expected, "warning": true}]);
    assert_eq!(status["attention"], attention);
}
