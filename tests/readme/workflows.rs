//! `docs/workflows.md`: each section begins on hosts of its own.

use std::any::Any;
use std::path::PathBuf;

use simulated_host::Outage;
use vgpu_tests::{Dom0, ResourcePool, uuid};

use crate::examples::{Shell, sections};

const DOCUMENT: &str = "docs/workflows.md";

/// The hosts of a section, and a shell on the first.
pub struct Stage {
    shell: Shell,
    /// They end with the section.
    _hosts: Box<dyn Any>,
}

/// One host with VMs vm01, vm02 and so on.
fn one_host(vms: u32, registered: u32) -> Dom0 {
    let dom0 = crate::host();
    for number in 1..=vms {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number:02}"));
        if number <= registered {
            dom0.register(&uuid(number), "A", if number == 1 { "high" } else { "low" });
        }
    }
    dom0
}

fn on_one(dom0: Dom0) -> Stage {
    Stage { shell: Shell::on(dom0.root.folder()), _hosts: Box::new(dom0) }
}

/// Three hosts, with VMs vm01 and vm02 registered on the second.
fn three_hosts() -> ResourcePool {
    let pool = ResourcePool::new(3);
    for number in [1, 2] {
        pool.on(0).create_vm_with_uuid(&uuid(number), &format!("vm{number:02}"));
        pool.on(1).register(&uuid(number), "A", "high");
    }
    pool
}

/// A shell on one host that reaches the others.
fn on_several(pool: ResourcePool, at: usize) -> Stage {
    let hosts: Vec<(String, PathBuf)> =
        (0..pool.len()).map(|host| (format!("xcp-ng-{}", host + 1), pool.on(host).root.folder().to_owned())).collect();
    Stage { shell: Shell::on(pool.on(at).root.folder()).with_ssh(&hosts), _hosts: Box::new(pool) }
}

fn stage(section: &str) -> Stage {
    match section {
        "VMs 1 to 7 into GPU pool A, 8 to 20 into GPU pool B" => {
            let dom0 = one_host(20, 0);
            for number in 21..=22 {
                dom0.create_vm_with_uuid(&uuid(number), &format!("render{number}"));
            }
            on_one(dom0)
        }
        "Change a priority" => {
            let dom0 = one_host(1, 1);
            dom0.start(&uuid(1));
            on_one(dom0)
        }
        "Move VMs between GPU pools" | "Export, edit, import" => on_one(one_host(3, 3)),
        "Audit" => {
            let dom0 = one_host(3, 2);
            dom0.start(&uuid(1));
            dom0.start(&uuid(2));
            dom0.plugin("set_pool", &[("vm_uuid", &uuid(2)), ("pool", "B")]);
            on_one(dom0)
        }
        "Replace a host" => {
            let pool = three_hosts();
            // The third is new.
            std::fs::remove_file(pool.on(2).root.database()).unwrap();
            on_several(pool, 0)
        }
        "Restore a host after an ISO upgrade" => {
            let dom0 = one_host(2, 2);
            std::fs::remove_file(dom0.root.database()).unwrap();
            on_one(dom0)
        }
        "Replace a failed coordinator" => after_failover(),
        other => panic!("{DOCUMENT}: no hosts for the section '{other}'"),
    }
}

/// The second host has become the coordinator, with a database that lacks the third's change.
fn after_failover() -> Stage {
    let pool = three_hosts();
    let export = pool.on(1).root.admin_ok(&["export"]);
    pool.sync_replica(1).unwrap();
    pool.on(2).plugin("set_pool", &[("vm_uuid", &uuid(1)), ("pool", "B")]);
    pool.lose_coordinator(Outage::Hangs);
    pool.failover(1).unwrap();
    let stage = on_several(pool, 1);
    stage.shell.write("last-export.toml", &export);
    stage
}

#[test]
fn every_workflow_does_what_it_says() {
    let titles: Vec<_> = sections(DOCUMENT).into_iter().map(|section| section.title).collect();
    assert_eq!(titles.len(), 8, "{titles:?}");
    for title in titles {
        let stage = stage(&title);
        // Read again: SNAPSHOTS=overwrite has moved the lines.
        let section = sections(DOCUMENT).into_iter().find(|section| section.title == title).unwrap();
        stage.shell.run_all(DOCUMENT, &section.examples);
    }
}
