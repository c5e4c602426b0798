//! The file: who may read it, and what can be wrong with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM, uuid};

use crate::support::{insert, with_database};

#[test]
fn the_folder_is_readable_by_all_and_the_file_by_root_alone_whatever_the_umask() {
    for umask in ["000", "077"] {
        let root = ScratchRoot::new();
        let script = format!("umask {umask} && exec \"$0\" list-vms");
        let ran = std::process::Command::new("sh").args(["-c", &script]).arg(root.path("usr/bin/vgpu-admin")).output();
        assert!(ran.unwrap().status.success());
        let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(root.path("etc/vgpu")), 0o755);
        assert_eq!(mode(root.database()), 0o600);
    }
}

#[test]
fn a_damaged_database_is_refused_and_stays_untouched() {
    let intact = with_database();
    for number in 0..40 {
        sql_ok(&intact.database(), &insert(&uuid(number), "A", 0));
    }
    let intact = fs::read(intact.database()).unwrap();
    for (what, bytes) in [
        ("no database", b"this is not a database, and longer than a header would be ".repeat(40)),
        ("truncated", intact[..intact.len() / 3].to_vec()),
        ("overwritten", [&intact[..100], &[0xA5; 4000], &intact[4100..]].concat()),
    ] {
        let root = ScratchRoot::new();
        root.write("etc/vgpu/vgpu_config.db", &bytes);
        let complaint = root.admin_fails(&["list-vms"]);
        assert!(complaint.contains("damaged or not a database"), "{what}: {complaint}");
        assert_eq!(root.admin(&["check"]).code, Some(1), "{what}");
        assert_eq!(root.hook(VM).code, Some(1), "{what}");
        assert_eq!(fs::read(root.database()).unwrap(), bytes, "{what}");
    }
}

#[test]
fn an_empty_file_becomes_a_database_by_the_cli_and_stays_empty_by_the_hook() {
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    assert_eq!(root.hook(VM).code, Some(1));
    assert_eq!(fs::metadata(root.database()).unwrap().len(), 0);
    assert_eq!(root.admin_json(&["list-vms"]), serde_json::json!([]));
}
