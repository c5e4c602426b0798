//! A database or settings file that cannot be used, or not now.

use simulated_host::Exit;
use vgpu_tests::dom0::hook_exit;

use crate::support::{needing_repair, start};

#[test]
fn a_database_that_cannot_be_used_lets_the_vm_start_as_it_was() {
    let damaged = b"no database, and longer than the header of one would be".repeat(10);
    let truncated = |bytes: Vec<u8>| bytes[..bytes.len() / 3].to_vec();
    for (what, reason) in [
        ("missing", "there is no database"),
        ("empty", "has schema 0 instead of"),
        ("damaged", "damaged or not a database"),
        ("truncated", "damaged or not a database"),
        ("newer", "this program only knows"),
    ] {
        let (dom0, vm) = needing_repair();
        let database = dom0.root.database();
        match what {
            "missing" => std::fs::remove_file(&database).unwrap(),
            "empty" => std::fs::write(&database, "").unwrap(),
            "damaged" => std::fs::write(&database, &damaged).unwrap(),
            "truncated" => std::fs::write(&database, truncated(std::fs::read(&database).unwrap())).unwrap(),
            _ => drop(dom0.sql("PRAGMA user_version = 99")),
        }
        dom0.root.settings("deadline = 1\non_error = \"block\"");
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=A"), "{what}: {args}");
        assert!(line.contains(reason), "{what}: {line}");
        assert_eq!(database.exists(), what != "missing", "the hook makes no database");
    }
}

#[test]
fn a_locked_database_lets_the_vm_start_as_it_was() {
    let (dom0, vm) = needing_repair();
    let script = format!(
        "import sqlite3, sys
connection = sqlite3.connect({:?}, isolation_level=None)
connection.execute('BEGIN EXCLUSIVE')
print('locked', flush=True)
sys.stdin.read()",
        dom0.root.database().display().to_string()
    );
    let mut holder = std::process::Command::new("python3")
        .args(["-c", &script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first_line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut first_line).unwrap();
    let (args, line) = start(&dom0, &vm, 1);
    assert!(args.contains("pool_id=A"), "{args}");
    assert!(line.contains("locked by another program"), "{line}");
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn a_database_that_another_program_is_writing_does_not_keep_the_boot_from_being_repaired() {
    let (dom0, vm) = needing_repair();
    let store = vgpu_config::store::Store::open(&dom0.root.database()).unwrap();
    let writing = store.write().unwrap();
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert!(boot.device_model_args.unwrap().contains("pool_id=B"));
    drop(writing);
    assert!(dom0.hook_log().iter().any(|line| line.contains("could not be recorded")), "{:?}", dom0.hook_log());
}

#[test]
fn a_database_that_is_read_only_does_not_keep_the_boot_from_being_repaired() {
    let (dom0, vm) = needing_repair();
    let chattr = |flag: &str| std::process::Command::new("chattr").arg(flag).arg(dom0.root.database()).status();
    if !chattr("+i").is_ok_and(|status| status.success()) {
        eprintln!("not tested: no file can be made immutable here");
        return;
    }
    let boot = dom0.vm_start(&vm).unwrap();
    chattr("-i").unwrap();
    assert_eq!(hook_exit(&boot), Exit::Code(0));
    assert!(boot.device_model_args.unwrap().contains("pool_id=B"));
    assert!(dom0.hook_log().iter().any(|line| line.contains("could not be recorded")), "{:?}", dom0.hook_log());
}

#[test]
fn a_settings_file_that_is_not_valid_lets_the_vm_start_as_it_was() {
    let (dom0, vm) = needing_repair();
    for (settings, reason) in [
        ("on_error = \"explode\"", "line 1"),
        ("# a comment\n\nunknown = 1", "line 3"),
        ("deadline = 0", "0.5 to 60 seconds"),
        ("device = \"vgpu-stub,x=y\"", "not a device name"),
        ("[defaults]\npool = \"C\"", "A or B"),
        ("not toml at all", "line 1"),
    ] {
        dom0.root.settings(settings);
        let (args, line) = start(&dom0, &vm, 1);
        assert!(args.contains("pool_id=A"), "{settings}: {args}");
        assert!(line.contains(reason), "{settings}: {line}");
        dom0.shutdown(&vm).unwrap();
    }
}
