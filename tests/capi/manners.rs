//! What the library must not touch in the process that uses it.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;

use vgpu_tests::{Dom0, ScratchRoot, VM};

use crate::built::{Linked, compile};
use crate::calls::{DATABASE_ONLY, call};

#[test]
fn signals_locale_umask_streams_threads_and_descriptors_are_left_alone() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    dom0.register(VM, "A", "high");
    let root = &dom0.root;
    let complaints = root.path("complaints");
    let program = compile(&["gcc"], "manners.c", Linked::Shared);
    let mut command = Command::new(program);
    command.arg(root.database()).arg(VM).stdin(Stdio::null()).stderr(File::create(&complaints).unwrap());
    let output = command.output().unwrap();
    let complaints = fs::read_to_string(complaints).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n", "{complaints}");
    // The umask of 0 has opened nothing to others, and the log is the daemon's own.
    assert_eq!(fs::metadata(root.database()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(complaints, "");
    assert!(!dom0.syslog_lines().iter().any(|line| line.contains("manners")), "{:?}", dom0.syslog_lines());
}

/// A server that has gone in the middle of a request would end a C program by SIGPIPE, which only Rust's programs ignore.
#[test]
fn a_connection_that_breaks_is_an_error_and_no_signal() {
    let root = ScratchRoot::new();
    assert!(call(&root, DATABASE_ONLY, &["register", VM, "A", "1"]).contains("\n0 "));
    let socket = root.path("var/lib/xcp/xapi");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    thread::spawn(move || {
        for (number, connection) in listener.incoming().enumerate() {
            // Without a word, or after the first byte.
            let mut first = [0; 1];
            if number % 2 == 1 {
                let _ = connection.unwrap().read(&mut first);
            }
        }
    });
    for _ in 0..5 {
        let printed = call(&root, "0", &["set_pool", VM, "B"]);
        assert!(printed.contains("xapi=4") && printed.contains("\n0 "), "{printed}");
    }
}
