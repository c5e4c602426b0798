//! `/etc/vgpu/init_db.sql`, run by dom0's sqlite3 and by a later one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, str};

use tempfile::TempDir;
use vgpu_tests::root::Ran;
use vgpu_tests::tools::{sql_ok, sqlite_3_7_17};
use vgpu_tests::uuid;

use crate::built::packages;

/// The schema, object by object, and its version.
const SCHEMA: &str =
    "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2; PRAGMA user_version";

struct Script {
    folder: TempDir,
    shell: PathBuf,
}

impl Script {
    /// The script of the package, below a folder instead of /run, for two tests at a time.
    fn new(package: &Path, shell: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let unpack = "rpm2cpio \"$1\" | (cd \"$2\" && busybox cpio -id ./etc/vgpu/init_db.sql 2>/dev/null)";
        let status = Command::new("sh").args(["-c", unpack, "sh"]).arg(package).arg(folder.path()).status().unwrap();
        assert!(status.success());
        let file = folder.path().join("etc/vgpu/init_db.sql");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(" /run/vgpu-init_db.tmp"));
        fs::write(&file, text.replace("/run/", &format!("{}/", folder.path().display()))).unwrap();
        Self { folder, shell: shell.to_owned() }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("vgpu_config.db")
    }

    fn run(&self) -> Ran {
        let script = fs::File::open(self.folder.path().join("etc/vgpu/init_db.sql")).unwrap();
        Ran::of(Command::new(&self.shell).arg(self.database()).stdin(Stdio::from(script)))
    }

    fn run_quietly(&self) {
        let ran = self.run();
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
        assert!(!self.folder.path().join("vgpu-init_db.tmp").exists(), "it cleans up");
    }

    fn sql(&self, text: &str) -> String {
        sql_ok(&self.database(), text)
    }
}

/// dom0's shell, and the one of the machine that runs the tests.
fn shells() -> [PathBuf; 2] {
    [sqlite_3_7_17().to_owned(), PathBuf::from("sqlite3")]
}

/// The schema as the programs make it.
fn made_by_the_programs() -> String {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("vgpu_config.db");
    drop(vgpu_config::store::Store::open(&path).unwrap());
    sql_ok(&path, SCHEMA)
}

fn register(number: u32) -> String {
    format!("INSERT INTO vms (vm_uuid, vm_name, pool_id, priority) VALUES ('{}', 'vm{number}', 'A', 2);", uuid(number))
}

#[test]
fn the_script_makes_the_same_schema_as_the_programs_and_the_programs_use_it() {
    for shell in shells() {
        let script = Script::new(&packages().this, &shell);
        script.run_quietly();
        assert_eq!(script.sql(SCHEMA), made_by_the_programs());
        script.sql(&register(1));
        assert!(vgpu_config::store::Store::open(&script.database()).is_ok());
    }
}

#[test]
fn run_again_the_script_changes_not_a_byte() {
    for shell in shells() {
        let script = Script::new(&packages().this, &shell);
        script.run_quietly();
        script.sql(&register(1));
        let before = fs::read(script.database()).unwrap();
        script.run_quietly();
        assert!(fs::read(script.database()).unwrap() == before);
    }
}

#[test]
fn a_database_made_by_hand_is_taken_over_with_its_rows() {
    for shell in shells() {
        let script = Script::new(&packages().this, &shell);
        script.sql(include_str!("../../migrations/0001_vms.sql"));
        script.sql(&register(1));
        script.run_quietly();
        assert_eq!(
            script.sql("SELECT vm_uuid, revision FROM vms JOIN vm_state USING (vm_uuid)"),
            format!("{}|1\n", uuid(1))
        );
        assert_eq!(script.sql(SCHEMA), made_by_the_programs());
    }
}

#[test]
fn the_next_versions_script_brings_an_older_database_up_to_date() {
    for shell in shells() {
        let this = Script::new(&packages().this, &shell);
        this.run_quietly();
        this.sql(&register(1));
        let next = Script::new(&packages().next, &shell);
        fs::copy(this.database(), next.database()).unwrap();
        next.run_quietly();
        assert_eq!(next.sql("SELECT vm_uuid, next_note FROM vm_state"), format!("{}|it's; new\n", uuid(1)));
        assert_eq!(next.sql("SELECT vm_uuid FROM next_things"), format!("{}\n", uuid(1)));
        // A plain INSERT and ALTER TABLE are carried out once only.
        let before = fs::read(next.database()).unwrap();
        next.run_quietly();
        assert!(fs::read(next.database()).unwrap() == before);
    }
}

#[test]
fn a_newer_database_is_left_as_it_is() {
    for shell in shells() {
        let next = Script::new(&packages().next, &shell);
        next.run_quietly();
        next.sql(&format!("{}; DROP INDEX idx_pool; DROP TRIGGER vms_touched", register(1)));
        let this = Script::new(&packages().this, &shell);
        fs::copy(next.database(), this.database()).unwrap();
        let before = fs::read(this.database()).unwrap();
        this.run_quietly();
        assert!(fs::read(this.database()).unwrap() == before);
    }
}

#[test]
fn a_migration_that_fails_changes_nothing_and_stops_the_script() {
    for shell in shells() {
        let script = Script::new(&packages().this, &shell);
        let first = include_str!("../../migrations/0001_vms.sql");
        script.sql(&format!("{first} CREATE TABLE last_starts (something_else); PRAGMA user_version = 1"));
        let ran = script.run();
        assert_ne!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("last_starts"), "{ran:?}");
        assert_eq!(script.sql("PRAGMA user_version"), "1\n", "the second migration is not done");
        assert_eq!(script.sql("SELECT count(*) FROM sqlite_master WHERE name = 'vm_state'"), "0\n");
    }
}
