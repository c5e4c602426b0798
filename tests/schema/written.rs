//! The databases in `tests/databases/`, each written when its schema was the newest, brought to the newest schema.

use std::fs;
use std::path::Path;

use simulated_host::Exit;
use vgpu_config::store::LATEST_SCHEMA;
use vgpu_tests::dom0::hook_exit;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, VM, VM_ARGUMENT, uuid};

use crate::support::{Written, listing, mode, version, written_by};

/// The row that only hands have touched: the first program fills in what it lacks.
const UNSEEN: &str = "0000000c-0000-4000-8000-00000000000c";
/// What the programs keep beside the table `vms`.
const TABLES: [&str; 4] = ["vms", "vm_state", "last_starts", "history"];

/// Everything that one of the databases says, or said: in the columns that it had, and without the numbers that it lacked.
fn content(database: &Path, written: &Written) -> String {
    let tables = TABLES.map(|table| {
        let columns = sql_ok(&written.file(), &format!("PRAGMA table_info({table})"));
        let columns = columns.lines().map(|line| line.split('|').nth(1).unwrap());
        let columns: Vec<_> =
            columns.filter(|column| !written.is_by_hand() || !column.ends_with("device_vm_id")).collect();
        let quoted = columns.iter().map(|column| match *column {
            "vm_uuid" => "quote(lower(vm_uuid))".to_owned(),
            column => format!("quote({column})"),
        });
        let quoted = quoted.collect::<Vec<_>>().join(" || ' ' || ");
        let is_seen = if table == "vms" { "1".to_owned() } else { format!("vm_uuid <> '{UNSEEN}'") };
        if columns.is_empty() {
            return String::new();
        }
        sql_ok(database, &format!("SELECT '{table} ' || {quoted} FROM {table} WHERE {is_seen} ORDER BY rowid"))
    });
    tables.concat()
}

/// A program that migrates: its name, and what it is asked for.
type Migrating = (&'static str, fn(&Dom0));

fn migrating() -> [Migrating; 2] {
    [
        ("vgpu-admin", |dom0| drop(dom0.root.admin_ok(&["list-vms"]))),
        ("the plugin", |dom0| drop(dom0.plugin("list_vms", &[]))),
    ]
}

/// Two bytes for bytes equal databases, but for the counters in the header: a copy that SQLite makes has its own.
fn are_equal(one: &Path, other: &Path) -> bool {
    let [one, other] = [one, other].map(|path| {
        let mut bytes = fs::read(path).unwrap();
        // The change counter, the schema cookie, and who wrote it last with which version.
        for counter in [24..28, 40..44, 92..100] {
            bytes[counter].fill(0);
        }
        bytes
    });
    one == other
}

#[test]
fn every_database_states_the_schema_that_it_was_written_with() {
    for database in Written::all() {
        let stated = sql_ok(&database.file(), "PRAGMA user_version; PRAGMA integrity_check");
        assert_eq!(stated, format!("{}\nok\n", database.schema), "{database:?}");
    }
}

#[test]
fn nothing_is_lost_whichever_program_migrates_and_the_copy_is_the_database_as_it_was() {
    for (program, migrate) in migrating() {
        let dom0 = Dom0::new();
        for database in Written::all() {
            let why = format!("{program}: {database:?}");
            database.install(&dom0.root);
            migrate(&dom0);
            assert_eq!(version(&dom0.root), LATEST_SCHEMA.to_string(), "{why}");
            let after = content(&dom0.root.database(), &database);
            assert_eq!(after, content(&database.file(), &database), "{why}");
            assert!(after.lines().count() >= 4, "{why}: {after}");
            let mut expected = vec!["vgpu_config.db".to_owned()];
            expected.extend(database.copy());
            assert_eq!(listing(&dom0.root), expected, "{why}");
            if let Some(copy) = database.copy() {
                let copy = dom0.root.path("etc/vgpu").join(copy);
                assert!(are_equal(&copy, &database.file()), "{why}");
                assert_eq!(mode(&copy), 0o600, "{why}");
                fs::remove_file(copy).unwrap();
            }
        }
    }
}

#[test]
fn the_vms_are_those_that_were_registered_with_their_numbers() {
    let many = "cda8bcd3-f410-bd1f-3688-8c308ff28e90 \"web01\" A high 1170751909
00000001-0000-4000-8000-000000000001 \"O'Brien \\\"db\\\" <&>; -- ünïcödé 漢字\" A medium 803270565
00000002-0000-4000-8000-000000000002 \"a tab\\tand\\na second line\" A low 333567347
00000003-0000-4000-8000-000000000003 \"renumbered\" B high 7
00000005-0000-4000-8000-000000000005 \"removed, and registered again\" B low 2145601901
00000007-0000-4000-8000-000000000007 \"has the number of another\" B low 1138914235
0000000a-0000-4000-8000-00000000000a \"destroyed\" A high 3035762051
0000000b-0000-4000-8000-00000000000b null B medium 2297640789
0000000c-0000-4000-8000-00000000000c \"by hand\" A medium 2633228007
";
    let by_hand = "cda8bcd3-f410-bd1f-3688-8c308ff28e90 \"web01\" A high 1170751909
00000001-0000-4000-8000-000000000001 \"O'Brien \\\"db\\\" <&>; -- ünïcödé 漢字\" A medium 803270565
00000002-0000-4000-8000-000000000002 \"a tab\\tand\\na second line\" A low 333567347
00000005-0000-4000-8000-000000000005 null B low 2145601901
";
    for database in Written::all() {
        let root = ScratchRoot::new();
        database.install(&root);
        let listed = root.admin_json(&["list-vms"]);
        let text = |vm: &serde_json::Value, key: &str| vm[key].as_str().unwrap().to_owned();
        let mut vms: Vec<_> = listed.as_array().unwrap().iter().collect();
        vms.sort_by_key(|vm| (vm["vm_uuid"] != VM, text(vm, "vm_uuid")));
        let line = |vm: &&serde_json::Value| {
            let [uuid, pool, priority] = ["vm_uuid", "pool", "priority"].map(|key| text(vm, key));
            format!("{uuid} {} {pool} {priority} {}\n", vm["vm_name"], vm["vm_id"])
        };
        let expected = if database.is_by_hand() { by_hand } else { many };
        assert_eq!(vms.iter().map(line).collect::<String>(), expected, "{database:?}");
    }
}

#[test]
fn removals_revisions_and_what_xapi_was_told_are_what_they_were() {
    let state = "SELECT substr(vm_uuid, 8, 1) || ' ' || revision || ' ' || pushed_revision || ' ' ||
                     (removed_at IS NOT NULL) || ' ' || coalesce(device_vm_id, '-')
                 FROM vm_state WHERE vm_uuid < '1' ORDER BY vm_uuid";
    let expected = "1 2 1 0 803270565\n2 3 2 0 333567347\n3 2 2 0 7\n4 2 2 1 1810079967\n5 3 3 0 2145601901\n6 2 2 1 -\n\
                    7 2 2 0 1138914235\n8 2 1 1 2615626631\n9 2 1 1 2414322229\na 2 2 0 3035762051\nb 1 0 0 2297640789\n\
                    c 1 0 0 2633228007\n";
    for schema in 2..=LATEST_SCHEMA {
        let root = written_by(schema);
        root.admin_ok(&["list-vms"]);
        assert_eq!(sql_ok(&root.database(), state), expected, "schema {schema}");
    }
}

#[test]
fn what_an_old_database_has_not_told_xapi_is_told_by_the_next_sync() {
    for schema in 2..=LATEST_SCHEMA {
        let dom0 = Dom0::new();
        for number in [1, 2, 8, 9, 11, 12] {
            dom0.create_vm_with_uuid(&uuid(number), "vm");
        }
        Written::released(schema).install(&dom0.root);
        dom0.root.admin_ok(&["sync"]);
        for (number, expected) in [
            (1, Some("pool_id=A,priority=medium,vm_id=803270565")),
            (2, Some("pool_id=A,priority=low,vm_id=333567347")),
            (8, None),
            (9, None),
            (11, Some("pool_id=B,priority=medium,vm_id=2297640789")),
            (12, Some("pool_id=A,priority=medium,vm_id=2633228007")),
        ] {
            let expected = expected.map(|properties| format!("-device vgpu-stub,{properties}"));
            assert_eq!(dom0.args_in_xapi(&uuid(number)), expected, "schema {schema}: VM {number}");
            let shared = dom0.pool_other_config().get(&format!("vgpu:{}", uuid(number))).cloned();
            assert!(shared.is_some(), "schema {schema}: VM {number}, removals included");
        }
    }
}

#[test]
fn the_hook_refuses_an_older_schema_with_the_way_out_and_lets_the_vm_start() {
    for database in Written::all() {
        let dom0 = Dom0::new();
        dom0.create_vm_with_uuid(VM, "web01");
        database.install(&dom0.root);
        let boot = dom0.vm_start(VM).unwrap();
        if database.schema == LATEST_SCHEMA {
            assert_eq!(hook_exit(&boot), Exit::Code(0), "{database:?}");
        } else {
            assert_eq!((hook_exit(&boot), boot.device_model_args), (Exit::Code(1), None), "{database:?}");
            let log = dom0.hook_log().concat();
            let told =
                format!("has schema {} instead of {LATEST_SCHEMA}: run 'vgpu-admin status' once", database.schema);
            assert!(log.contains(&told), "{database:?}: {log}");
            assert_eq!(listing(&dom0.root), ["vgpu_config.db"], "{database:?}");
            assert!(fs::read(dom0.root.database()).unwrap() == fs::read(database.file()).unwrap(), "{database:?}");
            dom0.root.admin_ok(&["status"]);
        }
        let args = dom0.reboot_from_inside(VM);
        assert_eq!(args.as_deref(), Some(VM_ARGUMENT), "{database:?}");
    }
}

#[test]
fn a_migrated_database_is_whole_and_dom0s_sqlite3_edits_it() {
    for database in Written::all() {
        let root = ScratchRoot::new();
        database.install(&root);
        root.admin_ok(&["list-vms"]);
        let checked = root.admin(&["check"]).stdout;
        for item in ["integrity", "schema version", "tables", "indexes", "triggers", "columns", "constraints", "rows"] {
            assert!(checked.contains(&format!("ok     {item}")), "{database:?}: {checked}");
        }
        let revision = format!("SELECT revision FROM vm_state WHERE vm_uuid = '{VM}'");
        let before: i64 = sql_ok(&root.database(), &revision).trim_end().parse().unwrap();
        sql_ok(&root.database(), &format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{VM}'"));
        assert_eq!(sql_ok(&root.database(), &revision).trim_end(), (before + 1).to_string(), "{database:?}");
        assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["priority"], "low", "{database:?}");
    }
}

#[test]
fn with_an_older_schema_check_says_only_how_to_bring_it_up_to_date() {
    for database in Written::all().into_iter().filter(|database| database.copy().is_some()) {
        let root = ScratchRoot::new();
        database.install(&root);
        let checked = root.admin(&["check"]).stdout;
        assert!(checked.contains("WRONG  schema version"), "{checked}");
        assert!(checked.contains("run 'vgpu-admin status' once"), "{checked}");
        for item in ["tables", "indexes", "triggers", "columns"] {
            assert!(!checked.contains(&format!("WRONG  {item}")), "{database:?}: {checked}");
        }
    }
}
