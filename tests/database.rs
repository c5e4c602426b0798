//! The database: its schema, dom0's own sqlite3 shell on it, upgrades, and everything that can be wrong with the file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::Duration;

use vgpu_config::model::{DeviceVmId, VmUuid};
use vgpu_config::store::{LATEST_SCHEMA, Registration, Store, StoreError};
use vgpu_tests::tools::{python, sql, sql_ok};
use vgpu_tests::{ScratchRoot, VM, uuid};

/// A root with an empty database of the newest schema.
fn with_database() -> ScratchRoot {
    let root = ScratchRoot::new();
    root.admin_ok(&["list-vms"]);
    root
}

fn insert(vm_uuid: &str, pool: &str, priority: u8) -> String {
    format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm_uuid}', '{pool}', {priority});")
}

fn state(root: &ScratchRoot, column: &str) -> String {
    sql_ok(&root.database(), &format!("SELECT {column} FROM vm_state WHERE vm_uuid = '{VM}'")).trim_end().to_owned()
}

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
fn a_row_inserted_with_dom0s_sqlite3_is_a_registered_vm() {
    let root = with_database();
    sql_ok(&root.database(), &insert(VM, "A", 2));
    let vm = root.admin_json(&["show-vm", "--vm-uuid", VM]);
    assert_eq!((&vm["pool"], &vm["priority"], &vm["vm_id"]), (&"A".into(), &"high".into(), &1_170_751_909_u32.into()));
    assert_eq!(state(&root, "device_vm_id"), "1170751909", "the number is filled in for good");
    assert_eq!(vm["in_xapi"], false);
}

#[test]
fn a_uuid_in_upper_case_is_stored_in_lower_case() {
    let root = with_database();
    sql_ok(&root.database(), &insert(&VM.to_uppercase(), "B", 0));
    assert_eq!(sql_ok(&root.database(), "SELECT vm_uuid FROM vms").trim_end(), VM);
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", &VM.to_uppercase()])["vm_uuid"], VM);
    let again = sql(&root.database(), &insert(VM, "A", 0));
    assert!(again.stderr.contains("not unique"), "{again:?}");
}

#[test]
fn what_no_vm_can_have_is_refused_by_the_database_itself() {
    let root = with_database();
    for (statement, complaint) in [
        (insert("web01", "A", 0), "vm_uuid must be a UUID"),
        (insert(&VM[1..], "A", 0), "vm_uuid must be a UUID"),
        (insert(VM, "C", 0), "constraint failed"),
        (insert(VM, "a", 0), "constraint failed"),
        (insert(VM, "A", 3), "constraint failed"),
        (format!("INSERT INTO vms (vm_uuid, pool_id) VALUES ('{VM}', 'A')"), "may not be NULL"),
        (insert(VM, "A", 0) + "UPDATE vms SET vm_uuid = 'x'", "vm_uuid must be a UUID"),
        ("UPDATE vm_state SET device_vm_id = 0".to_owned(), "constraint failed"),
        ("UPDATE vm_state SET device_vm_id = 4294967296".to_owned(), "constraint failed"),
        ("UPDATE vm_state SET device_vm_id = 'seven'".to_owned(), "constraint failed"),
    ] {
        let ran = sql(&root.database(), &statement);
        assert!(ran.code != Some(0) && ran.stderr.contains(complaint), "{statement}: {ran:?}");
    }
}

#[test]
fn changes_by_hand_count_as_revisions_and_touch_updated_at() {
    let root = with_database();
    sql_ok(&root.database(), &insert(VM, "A", 2));
    assert_eq!(state(&root, "revision"), "1");
    sql_ok(&root.database(), "UPDATE vms SET updated_at = '2001-01-01 00:00:00'");
    sql_ok(&root.database(), "UPDATE vms SET priority = 0");
    assert_eq!(state(&root, "revision"), "2");
    let updated_at = sql_ok(&root.database(), "SELECT updated_at FROM vms");
    assert!(!updated_at.starts_with("2001"), "{updated_at}");
    sql_ok(&root.database(), "UPDATE vms SET priority = 0");
    sql_ok(&root.database(), "UPDATE vms SET vm_name = 'renamed'");
    assert_eq!(state(&root, "revision"), "2", "the same again, or a name, is no change of the settings");
    root.admin_ok(&["list-vms"]);
    sql_ok(&root.database(), "UPDATE vm_state SET device_vm_id = 7");
    assert_eq!(state(&root, "revision"), "3");
}

#[test]
fn a_row_deleted_or_replaced_by_hand_leaves_a_trace_with_a_higher_revision() {
    let root = with_database();
    root.register(VM, "web01", "A", "high");
    sql_ok(&root.database(), "DELETE FROM vms");
    assert_eq!(state(&root, "revision || ' ' || (removed_at IS NOT NULL) || ' ' || device_vm_id"), "2 1 1170751909");
    let gone = root.admin_fails(&["show-vm", "--vm-uuid", VM]);
    assert!(gone.contains("is not registered"), "{gone}");
    sql_ok(&root.database(), &insert(VM, "B", 1));
    assert_eq!(state(&root, "revision || ' ' || (removed_at IS NULL) || ' ' || device_vm_id"), "3 1 1170751909");
    sql_ok(&root.database(), &insert(VM, "A", 0).replace("INSERT", "REPLACE"));
    assert_eq!(state(&root, "revision || ' ' || device_vm_id"), "4 1170751909");
}

#[test]
fn another_uuid_in_a_row_is_another_vm() {
    let root = with_database();
    root.register(VM, "web01", "A", "high");
    let other = uuid(9);
    sql_ok(&root.database(), &format!("UPDATE vms SET vm_uuid = '{}'", other.to_uppercase()));
    assert_eq!(state(&root, "removed_at IS NOT NULL"), "1");
    let vm = root.admin_json(&["show-vm", "--vm-uuid", &other]);
    assert_ne!(vm["vm_id"], 1_170_751_909, "its number stays with the VM that it was derived from");
}

#[test]
fn the_number_of_the_device_is_the_crc_32_of_the_uuid_and_never_0() {
    for number in 0..50 {
        let uuid: VmUuid = uuid(number).parse().unwrap();
        let script = "import sys, zlib; print(zlib.crc32(sys.stdin.buffer.read()))";
        let expected = if number % 10 == 0 {
            python(script, uuid.to_string().as_bytes()).stdout.trim().parse().unwrap()
        } else {
            DeviceVmId::derived_from(&uuid).get()
        };
        assert_eq!(DeviceVmId::derived_from(&uuid).get(), expected);
        assert_ne!(expected, 0);
    }
}

#[test]
fn two_vms_never_share_a_number() {
    let root = with_database();
    let derived = DeviceVmId::derived_from(&uuid(2).parse().unwrap());
    let first = ["register-vm", "--vm-uuid", &uuid(1), "--pool=A", "--priority=low", "--vm-id", &derived.to_string()];
    root.admin_ok(&first);
    root.register(&uuid(2), "second", "A", "low");
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", &uuid(2)])["vm_id"], derived.next().get());
    let taken = root.admin_fails(&["update-vm", "--vm-uuid", &uuid(2), "--vm-id", &derived.to_string()]);
    assert!(taken.contains(&format!("vm_id {derived} belongs to VM {}", uuid(1))), "{taken}");
    let by_hand = format!("UPDATE vm_state SET device_vm_id = {derived}");
    assert!(sql(&root.database(), &by_hand).stderr.contains("not unique"));
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

#[test]
fn a_locked_database_is_reported_as_locked() {
    let root = with_database();
    let holder = Store::open(&root.database()).unwrap();
    let writing = holder.write().unwrap();
    let other = Store::open_existing(&root.database(), Duration::from_millis(50)).unwrap();
    assert!(other.read().registration(&VM.parse().unwrap()).is_ok(), "a writer that waits blocks no reader");
    assert!(matches!(other.write(), Err(StoreError::Locked)));
    drop(writing);
    assert!(other.write().is_ok());
}

#[test]
fn a_dropped_change_has_not_happened() {
    let root = with_database();
    let store = Store::open(&root.database()).unwrap();
    let vm = VM.parse().unwrap();
    let writing = store.write().unwrap();
    writing.insert(&vm, None, "A".parse().unwrap(), "low".parse().unwrap(), None).unwrap();
    assert!(matches!(writing.read().registration(&vm), Ok(Registration::Registered(_))));
    drop(writing);
    assert_eq!(store.read().registration(&vm).unwrap(), Registration::Unknown);
}

#[test]
fn eight_programs_that_start_with_no_database_at_once_lose_nothing() {
    // Several times: who meets whom in the middle of what is left to chance.
    for _ in 0..10 {
        let root = ScratchRoot::new();
        thread::scope(|scope| {
            for number in 0..8 {
                let root = &root;
                scope.spawn(move || root.register(&uuid(number), &format!("vm{number}"), "A", "low"));
            }
        });
        let list = root.admin_json(&["list-vms"]);
        assert_eq!(list.as_array().unwrap().len(), 8);
        assert_eq!(sql_ok(&root.database(), "PRAGMA integrity_check").trim_end(), "ok");
    }
}

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
    let check = root.admin_json_checked();
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

#[test]
fn the_whole_file_can_be_dumped_and_read_back_by_dom0s_sqlite3() {
    let root = with_database();
    root.register(VM, "web01", "A", "high");
    let dump = sql_ok(&root.database(), ".dump");
    fs::remove_file(root.database()).unwrap();
    sql_ok(&root.database(), &format!("{dump} PRAGMA user_version = {LATEST_SCHEMA};"));
    root.chmod("etc/vgpu/vgpu_config.db", 0o600);
    assert_eq!(root.admin_json(&["show-vm", "--vm-uuid", VM])["vm_id"], 1_170_751_909);
    assert!(!root.admin(&["check"]).stdout.contains("WRONG  constraints"));
}

#[test]
fn check_names_each_thing_that_is_missing() {
    for (damage, item, complaint) in [
        ("DROP TABLE last_starts", "tables", "last_starts"),
        ("DROP INDEX idx_pool", "indexes", "idx_pool"),
        ("DROP TRIGGER vms_touched", "triggers", "vms_touched"),
        ("ALTER TABLE last_starts RENAME TO x; CREATE TABLE last_starts (vm_uuid)", "columns", "last_starts.host_uuid"),
        (
            "DROP TABLE vms; CREATE TABLE vms (vm_id INTEGER, vm_uuid TEXT, vm_name, pool_id, priority, created_at, updated_at)",
            "constraints",
            "a pool_id other than A and B",
        ),
    ] {
        let root = with_database();
        sql_ok(&root.database(), damage);
        let check = root.admin_json_checked();
        let found = check["checks"].as_array().unwrap().iter().find(|entry| entry["name"] == item).unwrap().clone();
        assert_eq!(found["ok"], false, "{damage}: {found}");
        assert!(found["message"].as_str().unwrap().contains(complaint), "{damage}: {found}");
    }
    let root = with_database();
    root.chmod("etc/vgpu/vgpu_config.db", 0o644);
    assert!(root.admin(&["check"]).stdout.contains("chmod 600"));
}

trait Checked {
    fn admin_json_checked(&self) -> serde_json::Value;
}

impl Checked for ScratchRoot {
    /// What check answers, whatever it ends with.
    fn admin_json_checked(&self) -> serde_json::Value {
        serde_json::from_str(&self.admin(&["check", "--format", "json"]).stdout).unwrap()
    }
}

#[test]
fn check_changes_nothing_not_even_where_there_is_nothing() {
    let root = ScratchRoot::new();
    assert_eq!(root.admin(&["check"]).code, Some(1));
    assert!(!root.path("etc/vgpu").exists());
}
