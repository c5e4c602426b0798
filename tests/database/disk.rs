//! A disk that is read-only, and one that lost its power.

use std::fs;

use vgpu_tests::{ScratchRoot, VM, uuid};

use crate::support::{checked, insert, with_database};

/// Runs vgpu-admin with its folder on a read-only disk; `None` where this user may not mount anything.
fn on_read_only_disk(root: &ScratchRoot, arguments: &[&str]) -> Option<vgpu_tests::root::Ran> {
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" || exit 77; shift; exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(root.path("etc/vgpu"))
        .arg(root.path("usr/bin/vgpu-admin"))
        .args(arguments);
    let ran = vgpu_tests::root::Ran::of(&mut command);
    if ran.code == Some(77) || ran.stderr.contains("unshare failed") {
        eprintln!("not tested: this user may not mount anything");
        return None;
    }
    Some(ran)
}

#[test]
fn a_database_on_a_read_only_disk_can_still_be_read() {
    let root = with_database();
    root.register(VM, "web01", "A", "high");
    let Some(shown) = on_read_only_disk(&root, &["show-vm", "--vm-uuid", VM]) else { return };
    assert!(shown.stdout.contains("GPU pool    A"), "{shown:?}");
    let refused = on_read_only_disk(&root, &["set-pool", "--vm-uuid", VM, "--pool=B"]).unwrap();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("read-only"), "{refused:?}");
}

/// A root whose power failed in the middle of a change: the journal lies beside a file that is half written.
fn after_power_loss() -> ScratchRoot {
    let [running, root] = [with_database(), with_database()];
    running.register(VM, "web01", "A", "high");
    let connection = rusqlite::Connection::open(running.database()).unwrap();
    connection.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE; UPDATE vms SET pool_id = 'B';").unwrap();
    for number in 0..200 {
        connection.execute_batch(&insert(&uuid(number), "B", 0)).unwrap();
    }
    for file in ["vgpu_config.db", "vgpu_config.db-journal"] {
        fs::copy(running.path("etc/vgpu").join(file), root.path("etc/vgpu").join(file)).unwrap();
    }
    root
}

#[test]
fn check_takes_back_what_a_power_loss_cut_off_as_every_program_does() {
    let root = after_power_loss();
    let check = checked(&root);
    let found: Vec<_> = check["checks"].as_array().unwrap().iter().filter(|item| item["name"] == "rows").collect();
    assert_eq!(found[0]["message"], "1 VM is registered", "{check}");
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["pool"], "A");
}

#[test]
fn what_a_power_loss_cut_off_on_a_read_only_disk_is_called_that() {
    let root = after_power_loss();
    let Some(check) = on_read_only_disk(&root, &["check"]) else { return };
    assert!(check.stdout.contains("interrupted by a power failure"), "{check:?}");
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["pool"], "A", "made writable, it is taken back");
}
