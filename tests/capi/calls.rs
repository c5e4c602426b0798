//! Calls on a host with XAPI: the same operations as everyone's, with the same outcomes and errors.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, ResourcePool, ScratchRoot, VM, VM_ARGUMENT, shared_key};

use crate::built::{Linked, compile, ok};

/// A flag of `vgpu_db_init`.
pub const READ_ONLY: &str = "1";
pub const DATABASE_ONLY: &str = "2";
const READ_THE_DATABASE_ONLY: &str = "3";

/// Makes a call in a process of its own, and gives what it prints: in the last line the code and the message.
pub fn call(root: &ScratchRoot, flags: &str, arguments: &[&str]) -> String {
    let program = compile(&["gcc"], "call.c", Linked::Shared);
    ok(Command::new(program).arg(root.database()).arg(flags).args(arguments))
}

#[track_caller]
fn assert_call(root: &ScratchRoot, arguments: &[&str], expected: &str) {
    assert_eq!(call(root, "0", arguments).trim_end(), expected, "{arguments:?}");
}

/// The call fails with this code, and a message that contains this text.
#[track_caller]
fn assert_fails(root: &ScratchRoot, arguments: &[&str], code: i32, message: &str) {
    let printed = call(root, "0", arguments);
    assert!(printed.starts_with(&format!("{code} ")) && printed.contains(message), "{arguments:?}: {printed}");
}

fn host_with_vm() -> Dom0 {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    dom0
}

#[test]
fn a_change_is_written_to_xapi_and_into_the_history_like_anybodys() {
    let dom0 = host_with_vm();
    let root = &dom0.root;
    // Code 0, changed, 1 written to XAPI, 1 at the next start.
    assert_call(root, &["register", VM, "A", "2"], "changed=1 xapi=1 takes_effect=1\n0");
    assert_eq!(dom0.args_in_xapi(VM).as_deref(), Some(VM_ARGUMENT));
    assert!(dom0.shared(VM).is_some(), "the other hosts know it");
    let shown = format!("{VM} 'web01' A 2 vm_id=1170751909 revision=1 in_xapi=1 started=0/0 - -1 as_of=''\n0");
    assert_call(root, &["get", VM], &shown);
    dom0.start(VM);
    // 2: the VM runs.
    assert_call(root, &["set_pool", VM, "B"], "changed=1 xapi=1 takes_effect=2\n0");
    let shown = format!("{VM} 'web01' B 2 vm_id=1170751909 revision=2 in_xapi=1 started=1/0 A 2 as_of=''\n0");
    assert_call(root, &["device", "1170751909"], &shown);
    assert_call(root, &["set_pool", VM, "B"], "changed=0 xapi=2 takes_effect=0\n0");
    assert_call(root, &["list"], &format!("{VM} B 2\n0"));
    assert_call(root, &["pool", "B"], "1\n0");
    assert_call(root, &["priority", "2"], "1\n0");
    assert_call(root, &["update", VM, "A", "1"], "changed=1 xapi=1 takes_effect=2\n0");
    assert_call(root, &["remove", VM], "changed=1 xapi=1 takes_effect=2\n0");
    assert_eq!(dom0.args_in_xapi(VM), None);
    let history = root.admin_json(&["history", "--vm-uuid", VM]);
    let through: Vec<_> = history.as_array().unwrap().iter().map(|entry| entry["through"].as_str().unwrap()).collect();
    assert_eq!(through, ["library"; 4]);
}

#[test]
fn a_read_knows_what_other_hosts_have_changed_unless_the_database_alone_is_asked() {
    let pool = ResourcePool::new(2);
    pool.host(0).create_vm_with_uuid(VM, "web01");
    pool.on(0).register(VM, "A", "high");
    let there = pool.on(1).root;
    assert!(call(there, READ_THE_DATABASE_ONLY, &["get", VM]).starts_with("-2 "));
    assert!(call(there, READ_ONLY, &["get", VM]).starts_with(&format!("{VM} ")), "it reads and writes nothing");
    assert!(call(there, READ_THE_DATABASE_ONLY, &["get", VM]).starts_with("-2 "));
    assert!(call(there, "0", &["list"]).starts_with(VM));
    let printed = call(there, READ_THE_DATABASE_ONLY, &["get", VM]);
    assert!(printed.contains("as_of=''"), "{printed}");
}

#[test]
fn with_xapi_away_a_change_is_kept_for_later_and_the_call_says_so() {
    let dom0 = host_with_vm();
    dom0.set_fault(Service::Xapi, Fault::Refuses).unwrap();
    let printed = call(&dom0.root, "0", &["register", VM, "A", "2"]);
    // 4: away.
    assert!(printed.starts_with("changed=1 xapi=4 takes_effect=1\n0 XAPI cannot be reached"), "{printed}");
    let printed = call(&dom0.root, "0", &["get", VM]);
    assert!(printed.contains("in_xapi=0") && !printed.contains("as_of=''"), "{printed}");
    dom0.clear_faults().unwrap();
    dom0.root.admin_ok(&["sync"]);
    assert_eq!(dom0.args_in_xapi(VM).as_deref(), Some(VM_ARGUMENT));
}

#[test]
fn a_change_of_the_database_alone_does_not_touch_xapi_until_the_next_sync() {
    let dom0 = host_with_vm();
    dom0.clear_calls();
    let printed = call(&dom0.root, DATABASE_ONLY, &["register", VM, "A", "2"]);
    assert!(
        printed.starts_with("changed=1 xapi=4 takes_effect=1\n0 XAPI was not asked. Only the database"),
        "{printed}"
    );
    assert_eq!(dom0.calls(), Vec::<String>::new());
    assert_eq!(dom0.args_in_xapi(VM), None);
    dom0.root.admin_ok(&["sync"]);
    assert_eq!(dom0.args_in_xapi(VM).as_deref(), Some(VM_ARGUMENT));
}

#[test]
fn what_xapi_refuses_changes_nothing() {
    let dom0 = host_with_vm();
    let root = &dom0.root;
    // -6: XAPI does not know it; 1 registers it all the same.
    let other = "7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48";
    assert_fails(root, &["register", other, "A", "0"], -6, other);
    let forced = call(root, "0", &["register", other, "A", "0", "1", "later"]);
    assert!(forced.starts_with("changed=1 xapi=3 takes_effect=1\n0 XAPI does not know VM"), "{forced}");
    // -7
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::error("INTERNAL_ERROR", &["no"])).unwrap();
    assert_fails(root, &["register", VM, "A", "0"], -7, "INTERNAL_ERROR");
    dom0.clear_faults().unwrap();
    // -11
    dom0.set_args_in_xapi(VM, Some(&"x".repeat(2040)));
    assert_fails(root, &["register", VM, "A", "0"], -11, "bytes long");
    // -12
    dom0.set_args_in_xapi(VM, Some("-device \"x"));
    assert_fails(root, &["register", VM, "A", "0"], -12, "close its quote");
    dom0.set_args_in_xapi(VM, None);
    // -13
    dom0.set_pool_other_config(&shared_key(VM), Some("9 of a later version"));
    assert_fails(root, &["register", VM, "A", "0"], -13, VM);
    dom0.set_pool_other_config(&shared_key(VM), None);
    assert_fails(root, &["get", VM], -2, "not registered");
    assert_eq!(dom0.args_in_xapi(VM), None);
}

#[test]
fn what_is_wrong_on_the_host_is_an_error_with_its_own_code() {
    let dom0 = host_with_vm();
    let root = &dom0.root;
    // -9
    root.settings("on_eror = 1\n");
    assert_fails(root, &["get", VM], -9, "vgpu.toml is not valid");
    root.settings("");
    // -10
    let locks = root.path("var/run/vgpu");
    let _ = std::fs::remove_dir_all(&locks);
    root.write("var/run/vgpu", "");
    assert_fails(root, &["register", VM, "A", "0"], -10, "vm-locks");
    std::fs::remove_file(&locks).unwrap();
    // -4
    std::fs::set_permissions(root.database(), std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    assert!(call(root, READ_THE_DATABASE_ONLY, &["check"]).starts_with("-4 file: "));
    dom0.sql("PRAGMA user_version = 99");
    assert_fails(root, &["get", VM], -4, "schema 99");
    root.write(
        "etc/vgpu/vgpu_config.db",
        "no database at all, and longer than a header of one, which has a hundred bytes: so many",
    );
    assert_fails(root, &["get", VM], -4, "vgpu-admin recover");
}

/// Holds a file locked until it is dropped.
struct Held(Child);

impl Held {
    fn new(file: &Path) -> Self {
        let program = compile(&["gcc"], "hold.c", Linked::Shared);
        let mut child =
            Command::new(program).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "held\n");
        Self(child)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Its standard input ends.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn a_vm_or_a_database_that_another_program_holds_is_an_error_after_a_while() {
    let (one, other) = (host_with_vm(), host_with_vm());
    assert_call(&one.root, &["register", VM, "A", "0"], "changed=1 xapi=1 takes_effect=1\n0");
    let _vm = Held::new(&one.root.path("var/run/vgpu/vm-locks"));
    let _database = Held::new(&other.root.database());
    std::thread::scope(|scope| {
        // -8 and -4, at the same time because each waits.
        scope.spawn(|| assert_fails(&one.root, &["set_pool", VM, "B"], -8, "being changed by another program"));
        scope.spawn(|| assert_fails(&other.root, &["register", VM, "A", "0"], -4, "locked by another program"));
    });
    assert_eq!(one.sql("SELECT pool_id FROM vms"), "A\n");
}
