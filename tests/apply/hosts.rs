//! VMs that run on other hosts of the resource pool.

use serde_json::json;
use simulated_host::Outage;
use vgpu_tests::ResourcePool;

use crate::support::uuids;

#[test]
fn a_vm_that_has_moved_is_rebooted_where_it_runs() {
    let pool = ResourcePool::new(3);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).start(&vm);
    pool.migrate(&vm, 1, 2).unwrap();
    assert_eq!(
        pool.on(0).plugin("apply", &[("pending", "true")])["applied"],
        json!([]),
        "the second host knows its start"
    );
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let said = pool.on(0).root.admin_ok(&["apply", "--pending", "--yes"]);
    assert!(said.contains("(web01) on xcp-ng-3  rebooted: "), "{said}");
    assert_eq!(pool.runs_on(&vm), Some(2));
    let args = pool.host(2).running_platformdata(&vm).unwrap()["device-model-args"].clone();
    assert!(args.contains("pool_id=B"), "{args}");
}

#[test]
fn a_vm_on_a_host_that_cannot_say_what_it_has_is_left_alone() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).start(&vm);
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    pool.partition(1, Outage::Hangs);
    let ran = pool.on(0).root.admin(&["apply", "--pending", "--yes"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("left alone: XAPI cannot reach host xcp-ng-2"), "{}", ran.stdout);
}

#[test]
fn a_vm_without_an_agent_can_be_reset_on_another_host_through_the_plugin() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(1).start(&vm);
    pool.on(1).set_guest_agent(&vm, false).unwrap();
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let left = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!((&left["applied"], uuids(&left["left_alone"])), (&json!([]), vec![vm.as_str()]));
    assert!(left["left_alone"][0]["why"].as_str().unwrap().contains("hard=true"), "{left}");
    let applied = pool.on(0).plugin("apply", &[("pending", "true"), ("hard", "true")]);
    assert_eq!(uuids(&applied["applied"]), [&vm]);
    assert!(pool.host(1).running_platformdata(&vm).unwrap()["device-model-args"].contains("pool_id=B"));
}

/// A VM that was started on the first host, whose clock is an hour ahead, then with another GPU pool on the second.
fn started_on_two_hosts(pool: &ResourcePool) -> String {
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "low");
    pool.on(0).start(&vm);
    let ahead = "UPDATE last_starts SET started_at = datetime('now', '+1 hour')";
    vgpu_tests::tools::sql_ok(&pool.on(0).root.database(), ahead);
    pool.host(0).shutdown(&vm).unwrap();
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    pool.on(1).start(&vm);
    vm
}

#[test]
fn the_host_where_a_vm_runs_is_asked_whatever_the_clocks_of_others_say() {
    let pool = ResourcePool::new(3);
    let vm = started_on_two_hosts(&pool);
    let nothing =
        |reply: serde_json::Value| assert_eq!((&reply["applied"], &reply["left_alone"]), (&json!([]), &json!([])));
    nothing(pool.on(0).plugin("apply", &[("pending", "true")]));
    pool.migrate(&vm, 1, 2).unwrap();
    nothing(pool.on(0).plugin("apply", &[("pending", "true")]));
    pool.on(0).plugin("set_priority", &[("vm_uuid", &vm), ("priority", "high")]);
    let reply = pool.on(0).plugin("apply", &[("pending", "true")]);
    assert_eq!(uuids(&reply["applied"]), [&vm]);
    nothing(pool.on(0).plugin("apply", &[("pending", "true")]));
}
