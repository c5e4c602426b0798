//! Eight threads, each with a handle of its own, while vgpu-admin and the sqlite3 shell write.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use vgpu_tests::tools::{sql, sql_ok};
use vgpu_tests::{ScratchRoot, uuid};

use crate::built::{Linked, compile};

/// Runs until the program has ended, and gives how often.
fn meanwhile(program: &mut Child, mut write: impl FnMut(u32)) -> u32 {
    for round in 0.. {
        if program.try_wait().unwrap().is_some() {
            return round;
        }
        write(round);
    }
    0
}

fn run(compiler: &[&str], linked: Linked) {
    let root = ScratchRoot::new();
    root.register(&uuid(1000), "cli", "A", "low");
    root.register(&uuid(1001), "shell", "A", "low");
    let program = compile(compiler, "threads.c", linked);
    let mut program =
        Command::new(program).arg(root.database()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let mut writes = 0;
    let rounds = meanwhile(&mut program, |round| {
        let pool = ["--pool=A", "--pool=B"][round as usize % 2];
        root.admin_ok(&["set-pool", "--vm-uuid", &uuid(1000), pool]);
        // The shell does not wait for a lock unless it is told to.
        let edited = sql(
            &root.database(),
            &format!(".timeout 15000\nUPDATE vms SET priority = {} WHERE vm_name = 'shell'", (round + 1) % 3),
        );
        assert_eq!(edited.code, Some(0), "{edited:?}");
        writes += 1;
    });
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    let mut complaints = String::new();
    program.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
    assert_eq!((line.as_str(), rest.as_str()), ("registered\n", "done\n"), "{complaints}");
    assert!(rounds > 0 && writes == rounds, "nobody else has written meanwhile");
    let revisions = "SELECT DISTINCT revision FROM vms JOIN vm_state USING (vm_uuid) WHERE vm_name IS NULL";
    assert_eq!(sql_ok(&root.database(), revisions), "26\n", "every change counts");
    // The first of the CLI's changed nothing, all others did.
    let of = |name: &str| {
        sql_ok(
            &root.database(),
            &format!("SELECT revision FROM vms JOIN vm_state USING (vm_uuid) WHERE vm_name = '{name}'"),
        )
    };
    assert_eq!((of("cli"), of("shell")), (format!("{rounds}\n"), format!("{}\n", rounds + 1)));
    assert_eq!(sql_ok(&root.database(), "PRAGMA integrity_check"), "ok\n");
}

#[test]
fn no_change_is_lost_and_nobody_reads_half_of_one() {
    run(&["gcc"], Linked::Shared);
}

#[test]
fn the_same_under_the_sanitizers() {
    run(&["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"], Linked::Static);
}
