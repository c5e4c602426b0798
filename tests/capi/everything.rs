//! A program that calls every function with what it is for and what it refuses, compiled in every way and watched.

use std::process::Command;

use vgpu_tests::ScratchRoot;

use crate::built::{Linked, compile, ok};

fn runs(compiler: &[&str], linked: Linked) {
    let root = ScratchRoot::new();
    let program = compile(compiler, "everything.c", linked);
    assert_eq!(ok(Command::new(program).arg(root.database())), "done\n");
    // What is there is a database like any other, and the history says who has made it so.
    let shown = root.admin_ok(&["list-vms"]);
    assert!(shown.contains("A     high      8      7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48"), "{shown}");
    let history = root.admin_json(&["history", "--limit", "1"]);
    assert_eq!(history[0]["through"], "library");
    assert!(history[0]["changed_by"].as_str().unwrap().starts_with("everything-"), "{history}");
}

#[test]
fn it_runs_with_the_shared_library() {
    runs(&["gcc"], Linked::Shared);
}

#[test]
fn it_runs_with_the_static_library() {
    runs(&["gcc"], Linked::Static);
}

#[test]
fn it_runs_as_cpp() {
    runs(&["g++"], Linked::Shared);
}

#[test]
fn it_runs_under_the_sanitizers_of_addresses_and_undefined_behaviour() {
    runs(&["gcc", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"], Linked::Static);
}

#[test]
fn valgrind_finds_no_error_and_nothing_that_is_lost() {
    let root = ScratchRoot::new();
    let program = compile(&["gcc"], "everything.c", Linked::Shared);
    let ran = vgpu_tests::root::Ran::of(
        Command::new("valgrind")
            .args(["--quiet", "--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=all"])
            .args(["--show-leak-kinds=all", "--track-fds=yes"])
            .arg(program)
            .arg(root.database()),
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "done\n"), "{}", ran.stderr);
}

#[test]
fn any_path_will_do_for_a_database_alone() {
    let folder = tempfile::tempdir().unwrap();
    let program = compile(&["gcc"], "everything.c", Linked::Shared);
    assert_eq!(ok(Command::new(program).arg(folder.path().join("my.db"))), "done\n");
    let found = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut found: Vec<_> = found.collect();
    found.sort();
    assert_eq!(found, ["my.db", "my.db-vm-locks"]);
}
