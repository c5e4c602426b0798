//! How the new database takes the damaged one's place: asked for, by one rename, with whoever has the old one open.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use vgpu_config::store::{Store, StoreError};
use vgpu_tests::root::Ran;
use vgpu_tests::tools::{sql_ok, sqlite_3_7_17};
use vgpu_tests::{ScratchRoot, VM, uuid};

use crate::support::{leaves, overwrite, recover, registered, rows, with_many_vms};

/// A root with many VMs and a leaf of `last_starts` that cannot be read.
fn damaged() -> ScratchRoot {
    let root = with_many_vms();
    let leaf = leaves(&root.database(), "last_starts")[0];
    overwrite(&root.database(), leaf.offset, leaf.size);
    root
}

fn listing(root: &ScratchRoot) -> Vec<String> {
    let entries = fs::read_dir(root.path("etc/vgpu")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_dry_run_and_a_no_change_nothing() {
    let root = damaged();
    let before = fs::read(root.database()).unwrap();
    let said = root.admin_ok(&["recover", "--dry-run"]);
    assert!(said.contains("would be saved: 240 VMs") && said.contains("Nothing was changed."), "{said}");
    let ran = root.admin(&["recover"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("add --yes"), "{ran:?}");
    let on_a_terminal = |answer: &str| {
        let script = format!("sleep 1; echo {answer}; sleep 1");
        let program = root.path("usr/bin/vgpu-admin").display().to_string();
        let line = format!("({script}) | script -qec '{program} recover' /dev/null");
        Ran::of(Command::new("sh").args(["-c", &line])).stdout
    };
    let said = on_a_terminal("n");
    assert!(said.contains("Replace the database? [y/N]") && said.contains("Nothing was changed."), "{said}");
    assert!(fs::read(root.database()).unwrap() == before);
    assert_eq!(listing(&root), ["vgpu_config.db"]);
    let said = on_a_terminal("y");
    assert!(said.contains("240 VMs are registered in the new database. The damaged file is kept as"), "{said}");
}

#[test]
fn the_damaged_file_is_kept_as_it_was_for_root_alone() {
    let root = damaged();
    root.chmod("etc/vgpu/vgpu_config.db", 0o644);
    let before = fs::read(root.database()).unwrap();
    let reply = recover(&root);
    let kept = reply["kept_as"].as_str().unwrap();
    assert!(kept.starts_with(&format!("{}.damaged-", root.database().display())), "{kept}");
    assert!(fs::read(kept).unwrap() == before);
    for name in listing(&root) {
        let mode = fs::metadata(root.path("etc/vgpu").join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
    }
    assert_eq!(listing(&root).len(), 2, "{:?}", listing(&root));
}

#[test]
fn check_and_every_refusal_name_the_command() {
    let root = damaged();
    let checked = root.admin(&["check"]);
    assert!(checked.stdout.contains("'vgpu-admin recover'"), "{checked:?}");
    fs::write(root.database(), vec![b'x'; 9000]).unwrap();
    assert!(root.admin_fails(&["list-vms"]).contains("'vgpu-admin recover'"));
    assert!(root.admin(&["check"]).stdout.contains("'vgpu-admin recover'"));
    assert!(root.hook(VM).stdout.contains("'vgpu-admin recover'"));
}

#[test]
fn only_on_this_host_and_not_through_the_plugin() {
    let root = damaged();
    let ran = root.admin(&["recover", "--yes", "--host=other"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("on the host with the damaged database"), "{ran:?}");
    let call = "<methodCall><methodName>recover</methodName><params><param><value>OpaqueRef:x</value></param><param>\
        <value><struct/></value></param></params></methodCall>";
    assert!(root.plugin(call.as_bytes()).stdout.contains("UNKNOWN_XENAPI_PLUGIN_FUNCTION"));
}

#[test]
fn a_transaction_that_was_cut_off_is_taken_back_first_and_its_journal_is_not_the_new_databases() {
    let root = with_many_vms();
    let before = rows(&root.database());
    let mut shell = Command::new(sqlite_3_7_17())
        .arg(root.database())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let cut_off = "PRAGMA cache_size = 1; BEGIN; UPDATE vms SET priority = (priority + 1) % 3; \
        UPDATE vm_state SET revision = 99; SELECT 'written';\n";
    shell.stdin.as_mut().unwrap().write_all(cut_off.as_bytes()).unwrap();
    let mut said = std::io::BufReader::new(shell.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut String::new()).unwrap();
    shell.kill().unwrap();
    shell.wait().unwrap();
    let journal = root.path("etc/vgpu/vgpu_config.db-journal");
    assert!(fs::metadata(&journal).unwrap().len() > 4096, "it is a hot one");
    root.admin_ok(&["recover", "--yes", "--force"]);
    assert_eq!(rows(&root.database()), before);
    assert!(!journal.exists());
    // One of another file beside one that SQLite does not know for a database.
    fs::write(root.database(), vec![b'x'; 9000]).unwrap();
    fs::write(&journal, b"left over").unwrap();
    root.admin_ok(&["recover", "--yes", "--force"]);
    assert!(!journal.exists());
    assert!(registered(&root).is_empty());
}

#[test]
fn what_only_a_write_ahead_log_has_is_read_too_and_the_new_database_has_none() {
    let root = with_many_vms();
    let open = rusqlite::Connection::open(root.database()).unwrap();
    open.execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; UPDATE vms SET priority = 2")
        .unwrap();
    assert!(fs::metadata(root.path("etc/vgpu/vgpu_config.db-wal")).unwrap().len() > 0);
    let before = rows(&root.database());
    root.admin_ok(&["recover", "--yes", "--force"]);
    assert_eq!(rows(&root.database()), before);
    assert!(!root.path("etc/vgpu/vgpu_config.db-wal").exists());
    drop(open);
    assert_eq!(rows(&root.database()), before);
}

#[test]
fn whoever_has_the_old_file_open_cannot_write_to_it_any_more_and_is_told() {
    let root = damaged();
    let open = Store::open_existing(&root.database(), Duration::from_secs(1)).unwrap();
    assert_eq!(open.read().counts().unwrap().total(), 240);
    recover(&root);
    let written = open.write().and_then(|writing| {
        writing.set_pool_and_priority(&uuid(0).parse().unwrap(), "B".parse().unwrap(), "high".parse().unwrap())?;
        writing.commit()
    });
    assert!(matches!(written, Err(StoreError::Replaced)), "{written:?}");
    assert!(written.unwrap_err().to_string().contains("try again"));
    assert_eq!(open.read().counts().unwrap().total(), 240, "who only reads is served");
}

#[test]
fn a_start_finds_a_database_at_every_moment() {
    let root = with_many_vms();
    let (is_done, path) = (AtomicBool::new(false), root.database());
    thread::scope(|scope| {
        let starts = scope.spawn(|| {
            let mut looks = 0;
            while !is_done.load(Ordering::Relaxed) {
                let store = Store::open_existing(&path, Duration::from_secs(10)).unwrap();
                store.read().registration(&uuid(0).parse().unwrap()).unwrap();
                looks += 1;
            }
            looks
        });
        for _ in 0..5 {
            root.admin_ok(&["recover", "--yes", "--force"]);
        }
        is_done.store(true, Ordering::Relaxed);
        assert!(starts.join().unwrap() > 50);
    });
    assert_eq!(sql_ok(&root.database(), "PRAGMA integrity_check").trim(), "ok");
}
