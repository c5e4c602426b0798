//! The copy beside the database before a migration, and a migration that cannot be carried out.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use vgpu_config::store::Store;
use vgpu_tests::root::Ran;
use vgpu_tests::tools::sql_ok;

use crate::support::{listing, mode, written_by};

#[test]
fn a_database_that_others_can_read_is_closed_to_them_by_the_first_program() {
    let root = written_by(1);
    root.chmod("etc/vgpu/vgpu_config.db", 0o644);
    assert!(root.admin(&["check"]).stdout.contains("chmod 600"), "check changes nothing, and says so");
    assert_eq!(mode(root.database()), 0o644);
    root.admin_ok(&["list-vms"]);
    assert_eq!(mode(root.database()), 0o600);
    assert_eq!(mode(root.path("etc/vgpu/vgpu_config.db.schema-1.bak")), 0o600);
}

#[test]
fn attempts_that_fail_leave_one_copy_and_say_why_in_one_sentence() {
    let root = written_by(2);
    let before = sql_ok(&root.database(), ".dump");
    sql_ok(&root.database(), "CREATE TABLE history (theirs)");
    for _ in 0..3 {
        let complaint = root.admin_fails(&["list-vms"]);
        assert!(complaint.contains("table history already exists") && complaint.len() < 300, "{complaint}");
        assert_eq!(listing(&root), ["vgpu_config.db", "vgpu_config.db.schema-2.bak"]);
    }
    sql_ok(&root.database(), "DROP TABLE history");
    root.admin_ok(&["list-vms"]);
    assert_eq!(listing(&root), ["vgpu_config.db", "vgpu_config.db.schema-2.bak"]);
    assert_eq!(sql_ok(&root.path("etc/vgpu/vgpu_config.db.schema-2.bak"), ".dump"), before, "the last is whole");
}

#[test]
fn a_copy_that_cannot_be_finished_leaves_nothing_and_one_that_was_killed_nothing_open() {
    let root = written_by(2);
    sql_ok(
        &root.database(),
        "CREATE TABLE more (x); INSERT INTO more VALUES (zeroblob(50000)); INSERT INTO more VALUES (zeroblob(50000))",
    );
    let before = fs::read(root.database()).unwrap();
    let limited = |first: &str| {
        let mut command = Command::new("sh");
        let script = format!("umask 000; {first} ulimit -f 40; exec \"$0\" list-vms");
        Ran::of(command.args(["-c", &script]).arg(root.path("usr/bin/vgpu-admin")))
    };
    let ran = limited("trap '' XFSZ;");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(listing(&root), ["vgpu_config.db"]);
    let ran = limited("");
    assert_eq!(ran.code, None, "{ran:?}");
    for name in listing(&root) {
        assert_eq!(mode(root.path("etc/vgpu").join(&name)), 0o600, "{name}");
        assert!(!name.contains(".bak") || name.contains(".bak.part"), "what is a copy by its name is whole");
    }
    assert_eq!(fs::read(root.database()).unwrap(), before);
    root.admin_ok(&["list-vms"]);
    assert_eq!(listing(&root), ["vgpu_config.db", "vgpu_config.db.schema-2.bak"]);
}

#[test]
fn a_database_that_is_written_all_the_time_is_copied_all_the_same() {
    let root = written_by(2);
    let path = root.database();
    let rows = "INSERT INTO last_starts (vm_uuid, host_uuid, device_argument)
                SELECT hex(randomblob(16)), 'host', hex(zeroblob(3000)) FROM last_starts LIMIT 200;";
    sql_ok(&path, &format!("INSERT INTO last_starts VALUES ('x', 'now', 'host', 'none'); {}", rows.repeat(11)));
    assert!(fs::metadata(&path).unwrap().len() > 5_000_000, "more than was copied at a time");
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let writer = rusqlite::Connection::open(&path).unwrap();
            writer.busy_timeout(Duration::from_mins(1)).unwrap();
            while !is_done.load(Ordering::Relaxed) {
                writer
                    .execute("UPDATE last_starts SET started_at = CURRENT_TIMESTAMP WHERE vm_uuid = 'x'", [])
                    .unwrap();
                thread::sleep(Duration::from_micros(100));
            }
        });
        let opened = Store::open(&path).map(drop);
        is_done.store(true, Ordering::Relaxed);
        opened.unwrap();
    });
    assert!(listing(&root).contains(&"vgpu_config.db.schema-2.bak".to_owned()));
}

#[test]
fn a_damaged_database_is_not_migrated_and_takes_no_good_copys_place() {
    let root = written_by(2);
    sql_ok(
        &root.database(),
        "INSERT INTO vms (vm_uuid, pool_id, priority) SELECT lower(substr('0000000' || vm_id, -8)) || substr(vm_uuid, 9), 'A', 0 FROM vms",
    );
    root.write("etc/vgpu/vgpu_config.db.schema-2.bak", "a good copy");
    let page: usize = sql_ok(&root.database(), "PRAGMA page_size").trim().parse().unwrap();
    let leaf: usize =
        sql_ok(&root.database(), "SELECT rootpage FROM sqlite_master WHERE name = 'vms'").trim().parse().unwrap();
    let mut bytes = fs::read(root.database()).unwrap();
    bytes[(leaf - 1) * page + 5..leaf * page - 200].fill(0xA5);
    fs::write(root.database(), &bytes).unwrap();
    let complaint = root.admin_fails(&["list-vms"]);
    assert!(complaint.contains("damaged"), "{complaint}");
    assert_eq!(fs::read(root.path("etc/vgpu/vgpu_config.db.schema-2.bak")).unwrap(), b"a good copy");
    assert!(fs::read(root.database()).unwrap() == bytes);
}
