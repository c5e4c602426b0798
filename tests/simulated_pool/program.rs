//! The simulated host as a program of its own.

use std::process::Command;

use vgpu_tests::programs;
use vgpu_tests::root::Ran;

#[test]
fn help_is_printed_and_an_unknown_option_refused_and_neither_starts_a_server() {
    let folder = tempfile::TempDir::new().unwrap();
    let run = |argument: &str| {
        let program = programs::folder().join("simulated-host");
        Ran::of(Command::new(program).args([argument, "--until-stdin-closes"]).current_dir(folder.path()))
    };
    for argument in ["--help", "-h"] {
        let ran = run(argument);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{argument}");
        assert!(ran.stdout.contains("simulated-host ROOT") && ran.stdout.contains("end when standard input does"));
    }
    let ran = run("--port=80");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("there is no option --port=80"), "{ran:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no root is made of an option");
}
