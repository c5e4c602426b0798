//! `/etc/vgpu/init_db.sql`, carried out by dom0's own sqlite3.

use std::fs;
use std::process::{Command, Stdio};

use vgpu_config::store::LATEST_SCHEMA;
use vgpu_tests::root::Ran;
use vgpu_tests::tools::sqlite_3_7_17;
use vgpu_tests::{ScratchRoot, programs};

use crate::support::{Written, count, dump_and_read_back, version, written_by};

/// The packaged script, below a root instead of /run, run by dom0's own sqlite3.
fn init_db(root: &ScratchRoot) -> Ran {
    let folder = root.path("generated");
    fs::create_dir_all(&folder).unwrap();
    let made = Command::new(programs::folder().join("vgpu-generate")).arg(&folder).status().unwrap();
    assert!(made.success());
    let script = fs::read_to_string(folder.join("init_db.sql")).unwrap();
    assert!(script.contains(" /run/vgpu-init_db.tmp"));
    let script = script.replace("/run/vgpu", &format!("{}/vgpu", root.folder().display()));
    fs::write(folder.join("init_db.sql"), script).unwrap();
    let script = fs::File::open(folder.join("init_db.sql")).unwrap();
    Ran::of(Command::new(sqlite_3_7_17()).arg(root.database()).stdin(Stdio::from(script)))
}

#[test]
fn init_db_sql_says_what_to_do_with_a_dump_that_was_read_back() {
    for schema in 2..=LATEST_SCHEMA {
        let root = written_by(schema);
        dump_and_read_back(&root.database());
        let before = fs::read(root.database()).unwrap();
        let ran = init_db(&root);
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("run 'vgpu-admin status' once") && ran.stderr.len() < 400, "{ran:?}");
        assert!(fs::read(root.database()).unwrap() == before);
        root.admin_ok(&["status"]);
        let ran = init_db(&root);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn init_db_sql_brings_any_database_up_to_date_and_makes_one_where_there_is_none() {
    for database in Written::all() {
        let root = ScratchRoot::new();
        database.install(&root);
        if database.schema == 1 {
            dump_and_read_back(&root.database());
        }
        let ran = init_db(&root);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{database:?}");
        assert_eq!(version(&root), LATEST_SCHEMA.to_string(), "{database:?}");
        let listed = root.admin_json(&["list-vms"]);
        assert_eq!(listed.as_array().unwrap().len(), count(&database.file()), "{database:?}");
    }
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    let ran = init_db(&root);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(root.admin_json(&["list-vms"]), serde_json::json!([]));
}
