//! GPU pools of a resource pool: every host comes to say the same.

use super::*;
use vgpu_tests::tools::sql_ok;

fn two_hosts() -> ResourcePool {
    let pool = ResourcePool::new(2);
    for index in 0..2 {
        pool.host(index).add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    }
    pool
}

/// What each host says of the GPU pools after it has heard of the others.
fn agreed(pool: &ResourcePool) -> String {
    let rows =
        "SELECT pool_id, name, description, max_vms FROM gpu_pools; SELECT host_uuid, pci_address, pool_id FROM gpus;
                SELECT subject, revision FROM gpu_state ORDER BY subject";
    let said = [0, 1].map(|index| {
        pool.on(index).root.admin_ok(&["sync"]);
        pool.on(index).root.admin_ok(&["list-vms"]);
        index
    });
    let said = said.map(|index| {
        pool.on(index).root.admin_ok(&["sync"]);
        sql_ok(&pool.on(index).root.database(), rows)
    });
    assert_eq!(said[0], said[1]);
    said[0].clone()
}

#[test]
fn a_change_on_one_host_is_known_on_the_others() {
    let pool = two_hosts();
    let gpu = format!("{}:{ADDRESS}", pool.host(1).host_uuid());
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--name=render", "--max-vms=8"]);
    pool.on(0).root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu]);
    let shown = pool.on(1).root.admin_json(&["show-pool", "A"]);
    assert_eq!((&shown["name"], &shown["max_vms"]), (&json!("render"), &json!(8)));
    assert_eq!(shown["gpus"][0]["host_uuid"], pool.host(1).host_uuid());
    let history = pool.on(1).root.admin_json(&["history"]);
    assert!(history.as_array().unwrap().iter().all(|entry| entry["through"] == "another host"), "{history}");
    pool.on(1).root.admin_ok(&["unassign-gpu", "--gpu", &gpu]);
    assert_eq!(pool.on(0).root.admin_json(&["show-pool", "A"])["gpus"], json!([]));
    agreed(&pool);
}

#[test]
fn the_change_of_each_host_wins_over_what_it_knew_and_hosts_agree() {
    let pool = two_hosts();
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--name=one"]);
    pool.on(1).root.admin_ok(&["set-gpu-pool", "A", "--name=two"]);
    assert!(agreed(&pool).contains("A|two||"));
}

#[test]
fn an_edit_by_hand_and_another_hosts_change_are_both_kept() {
    let pool = two_hosts();
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--name=before", "--max-vms=4"]);
    agreed(&pool);
    sql_ok(&pool.on(1).root.database(), "UPDATE gpu_pools SET name = 'by hand' WHERE pool_id = 'A'");
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--max-vms=5", "--description=elsewhere"]);
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--max-vms=6"]);
    assert!(agreed(&pool).contains("A|by hand|elsewhere|6"));
    let history = pool.on(1).root.admin_json(&["history"]);
    assert!(
        history.as_array().unwrap().iter().any(|entry| {
            entry["changed_by"].as_str().is_some_and(|by| by.starts_with("made again to what another host has changed"))
        }),
        "{history}"
    );
}

#[test]
fn an_entry_of_a_newer_version_is_left_alone() {
    let pool = two_hosts();
    pool.host(0).set_pool_other_config("vgpu:pool:A", Some("2 who knows"));
    let refused = pool.on(0).root.admin_fails(&["set-gpu-pool", "A", "--name=render"]);
    assert!(refused.contains("entry of GPU pool A was written by a newer vgpu-config (format 2)"), "{refused}");
    assert_eq!(pool.host(0).pool_other_config()["vgpu:pool:A"], "2 who knows");
    // Nor does a change that it was not told of keep others from being told.
    sql_ok(&pool.on(0).root.database(), "UPDATE gpu_pools SET max_vms = 3 WHERE pool_id = 'A'");
    pool.on(0).root.admin_ok(&["set-gpu-pool", "B", "--name=other"]);
    assert_eq!(pool.host(0).pool_other_config()["vgpu:pool:A"], "2 who knows");
    pool.host(0).set_pool_other_config("vgpu:pool:A", Some("damaged"));
    pool.on(0).root.admin_ok(&["set-gpu-pool", "A", "--name=render"]);
    assert!(agreed(&pool).contains("A|render||3"));
}

#[test]
fn the_gpus_of_a_host_that_has_left_are_pruned() {
    let dom0 = with_gpus();
    let gone = "5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01";
    dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu(&dom0, ADDRESS)]);
    dom0.sql(&format!("INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{gone}', '{ADDRESS}', 'B')"));
    dom0.root.admin_ok(&["sync"]);
    let subject = format!("gpu:{gone}:{ADDRESS}");
    let planned = dom0.root.admin_json(&["prune", "--dry-run"]);
    assert_eq!(planned["pruned_gpus"], json!([format!("{gone}:{ADDRESS}")]));
    assert!(shared(&dom0, &subject).is_some());
    let said = dom0.root.admin_ok(&["prune", "--yes"]);
    assert_eq!(said, format!("GPU {gone}:{ADDRESS}  deleted: XAPI does not know its host\n"));
    assert_eq!((shared(&dom0, &subject), dom0.sql("SELECT count(*) FROM gpus")), (None, "1\n".to_owned()));
    assert_eq!(dom0.root.admin_ok(&["sync"]), "Nothing to do: this host and XAPI agree.\n");
}
