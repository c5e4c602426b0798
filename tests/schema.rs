//! Which schema a database has, and the way to the newest: dumps that were read back, copies before a migration, and
//! `/etc/vgpu/init_db.sql`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use vgpu_config::store::{LATEST_SCHEMA, Store};
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::root::Ran;
use vgpu_tests::tools::{sql_ok, sqlite_3_7_17};
use vgpu_tests::{Dom0, ScratchRoot, VM, programs, uuid};

/// The migrations, in their order.
fn migrations() -> Vec<String> {
    let folder = programs::workspace().join("migrations");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

/// A root with a database of one of the schemas, with two VMs in it, made by dom0's own sqlite3.
fn with_schema(version: i64) -> ScratchRoot {
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    root.chmod("etc/vgpu/vgpu_config.db", 0o600);
    for migration in migrations().into_iter().take(usize::try_from(version).unwrap()) {
        sql_ok(&root.database(), &migration);
    }
    for (vm, pool, priority) in [(VM, "A", 2), (&uuid(5), "B", 0)] {
        let insert = format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', '{pool}', {priority})");
        sql_ok(&root.database(), &insert);
    }
    sql_ok(&root.database(), &format!("PRAGMA user_version = {version}"));
    root
}

/// Does to a database what ".dump | sqlite3 new.db" does: the version is lost.
fn dump_and_read_back(database: &Path) {
    let dump = sql_ok(database, ".dump");
    fs::remove_file(database).unwrap();
    sql_ok(database, &dump);
    assert_eq!(sql_ok(database, "PRAGMA user_version").trim_end(), "0");
}

fn version(root: &ScratchRoot) -> String {
    sql_ok(&root.database(), "PRAGMA user_version").trim_end().to_owned()
}

fn listing(root: &ScratchRoot) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root.path("etc/vgpu"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_dump_of_any_schema_that_was_read_back_is_recognised_and_goes_on() {
    for schema in 1..=LATEST_SCHEMA {
        let root = with_schema(schema);
        dump_and_read_back(&root.database());
        let vms = root.admin_json(&["list-vms"]);
        assert_eq!(vms.as_array().unwrap().len(), 2, "schema {schema}");
        assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["priority"], "high", "schema {schema}");
        assert_eq!(version(&root), LATEST_SCHEMA.to_string(), "schema {schema}");
        let checked = root.admin(&["check"]).stdout;
        for item in ["integrity", "schema version", "tables", "triggers", "columns", "constraints", "rows"] {
            assert!(!checked.contains(&format!("WRONG  {item}")), "schema {schema}: {checked}");
        }
        let copies: Vec<_> = listing(&root).into_iter().filter(|name| name.contains("schema-")).collect();
        let expected =
            if schema == LATEST_SCHEMA { vec![] } else { vec![format!("vgpu_config.db.schema-{schema}.bak")] };
        assert_eq!(copies, expected);
    }
}

#[test]
fn a_dump_that_was_read_back_keeps_numbers_revisions_and_removals() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    root.admin_ok(&["update-vm", "--vm-uuid", VM, "--vm-id=7"]);
    root.register(&uuid(1), "gone", "B", "low");
    root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &uuid(1)]);
    let rows = "SELECT * FROM vm_state ORDER BY vm_uuid; SELECT * FROM history";
    let before = sql_ok(&root.database(), rows);
    dump_and_read_back(&root.database());
    root.admin_ok(&["list-vms"]);
    assert_eq!(sql_ok(&root.database(), rows), before);
}

#[test]
fn the_hook_and_the_plugin_take_a_dump_that_was_read_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dump_and_read_back(&dom0.root.database());
    dom0.sql(&format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{vm}'"));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), simulated_host::Exit::Code(0), "{:?}", dom0.hook_log());
    assert!(boot.device_model_args.unwrap().contains("priority=low"));
    assert_eq!(version(&dom0.root), "0", "the hook leaves that to the others");
    let checked = dom0.root.admin(&["check"]).stdout;
    assert!(checked.contains(&format!("schema {LATEST_SCHEMA}, the newest, judging by its tables")), "{checked}");
    assert_eq!(dom0.plugin("list_pools", &[])["total"], 1);
    assert_eq!(version(&dom0.root), LATEST_SCHEMA.to_string());
}

#[test]
fn tables_of_others_or_a_part_of_ours_without_a_version_are_refused_in_one_sentence() {
    for (what, damage) in [
        (
            "a foreign table",
            "DROP TABLE vms; DROP TABLE vm_state; DROP TABLE last_starts; DROP TABLE history; CREATE TABLE cd (x)",
        ),
        ("no vm_state", "DROP TABLE vm_state"),
        ("no vms", "DROP TABLE vms"),
        ("no history", "DROP TABLE history"),
        ("a trigger less", "DROP TRIGGER vms_deleted"),
        ("a column less", "DROP TABLE last_starts; CREATE TABLE last_starts (vm_uuid, started_at, host_uuid)"),
    ] {
        let root = with_schema(LATEST_SCHEMA);
        sql_ok(&root.database(), &format!("{damage}; PRAGMA user_version = 0"));
        let before = fs::read(root.database()).unwrap();
        let complaint = root.admin_fails(&["list-vms"]);
        assert!(
            complaint.contains("has no schema number") && complaint.contains("vgpu-admin recover"),
            "{what}: {complaint}"
        );
        assert!(complaint.len() < 400, "{what}: {complaint}");
        let hook = root.hook(VM);
        assert!(hook.code == Some(1) && hook.stdout.contains("has no schema number"), "{what}: {hook:?}");
        assert!(root.admin(&["check"]).stdout.contains("has no schema number"), "{what}");
        assert_eq!(fs::read(root.database()).unwrap(), before, "{what}");
        assert_eq!(listing(&root), ["vgpu_config.db"], "{what}");
    }
}

#[test]
fn with_an_older_schema_check_says_only_how_to_bring_it_up_to_date() {
    for schema in 1..LATEST_SCHEMA {
        let root = with_schema(schema);
        let checked = root.admin(&["check"]).stdout;
        assert!(checked.contains("WRONG  schema version"), "{checked}");
        assert!(checked.contains("run 'vgpu-admin status' once"), "{checked}");
        for item in ["tables", "indexes", "triggers", "columns"] {
            assert!(!checked.contains(&format!("WRONG  {item}")), "schema {schema}: {checked}");
        }
    }
}

#[test]
fn a_database_that_others_can_read_is_closed_to_them_by_the_first_program() {
    let root = with_schema(1);
    root.chmod("etc/vgpu/vgpu_config.db", 0o644);
    assert!(root.admin(&["check"]).stdout.contains("chmod 600"), "check changes nothing, and says so");
    assert_eq!(mode(root.database()), 0o644);
    root.admin_ok(&["list-vms"]);
    assert_eq!(mode(root.database()), 0o600);
    assert_eq!(mode(root.path("etc/vgpu/vgpu_config.db.schema-1.bak")), 0o600);
}

#[test]
fn attempts_that_fail_leave_one_copy_and_say_why_in_one_sentence() {
    let root = with_schema(2);
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
    let root = with_schema(2);
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
    let root = with_schema(2);
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
    let root = with_schema(2);
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
        let root = with_schema(schema);
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
fn init_db_sql_takes_a_table_made_by_hand_and_makes_a_database_where_there_is_none() {
    let root = with_schema(1);
    dump_and_read_back(&root.database());
    let ran = init_db(&root);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(version(&root), LATEST_SCHEMA.to_string());
    assert_eq!(root.admin_json(&["list-vms"]).as_array().unwrap().len(), 2);
    let root = ScratchRoot::new();
    root.write("etc/vgpu/vgpu_config.db", "");
    let ran = init_db(&root);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(root.admin_json(&["list-vms"]), serde_json::json!([]));
}
