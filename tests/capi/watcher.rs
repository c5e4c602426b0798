//! The example: it prints what a device's VM has, and again when that changes, by whatever program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, VM, programs};

use crate::built::{Linked, compile_file};

const VM_ID: &str = "1170751909";

struct Watcher {
    program: Child,
    lines: BufReader<ChildStdout>,
}

impl Watcher {
    fn new(dom0: &Dom0) -> Self {
        let source = programs::workspace().join("capi/examples/watch.c");
        let program = compile_file(&["gcc"], &source, Linked::Shared);
        let mut program =
            Command::new(program).arg(VM_ID).arg(dom0.root.database()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap());
        Self { program, lines }
    }

    #[track_caller]
    fn prints(&mut self, expected: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[test]
fn it_prints_every_change_whoever_makes_it() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    let mut watcher = Watcher::new(&dom0);
    let with = |settings: &str| format!("{VM} {settings}");
    watcher.prints("not registered");
    dom0.register(VM, "A", "high");
    watcher.prints(&with("pool=A priority=high"));
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", VM, "--pool=B"]);
    watcher.prints(&with("pool=B priority=high"));
    // The shell does not wait for those who read, unless it is told to.
    sql_ok(&dom0.root.database(), ".timeout 15000\nUPDATE vms SET priority = 0");
    watcher.prints(&with("pool=B priority=low"));
    // The file is replaced: by a backup, and by a program that makes a new one.
    let (database, backup) = (dom0.root.database(), dom0.root.path("etc/vgpu/backup.db"));
    fs::copy(&database, &backup).unwrap();
    sql_ok(&backup, "UPDATE vms SET priority = 1");
    fs::rename(&backup, &database).unwrap();
    watcher.prints(&with("pool=B priority=medium"));
    dom0.root.admin_ok(&["recover", "--force", "--yes"]);
    sql_ok(&database, ".timeout 15000\nUPDATE vms SET pool_id = 'A'");
    watcher.prints(&with("pool=A priority=medium"));
    dom0.root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", VM]);
    watcher.prints("not registered");
}

#[test]
fn it_is_the_one_in_the_document() {
    let example = fs::read_to_string(programs::workspace().join("capi/examples/watch.c")).unwrap();
    let document = fs::read_to_string(programs::workspace().join("docs/c-library.md")).unwrap();
    assert!(document.contains(&format!("```c\n{example}```\n")), "docs/c-library.md has another watch.c");
}
