//! The packages under test, and commands that look at them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use vgpu_tests::programs;
use vgpu_tests::root::Ran;

/// This version's package, and the next one's, which has one more migration.
#[derive(Debug)]
pub struct Packages {
    pub this: PathBuf,
    pub next: PathBuf,
}

/// Both packages, built from the tree as it is.
pub fn packages() -> &'static Packages {
    static PACKAGES: OnceLock<Packages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        // The next one first, so that what lies in the target folder in the end is this version's.
        let next = build("tests/package/next-version.sh");
        Packages { next, this: build("packaging/build-rpm.sh") }
    })
}

/// With less optimisation, which takes minutes for each: the released packages differ from these in nothing else.
fn build(script: &str) -> PathBuf {
    let profile = [
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ];
    let printed = ok(Command::new("sh").arg(programs::workspace().join(script)).envs(profile));
    PathBuf::from(printed.lines().last().expect("the script prints the package's path"))
}

/// Runs a command, which has to succeed, and gives what it prints.
pub fn ok(command: &mut Command) -> String {
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{command:?}\n{}\n{}", ran.stdout, ran.stderr);
    ran.stdout
}

/// Asks rpm about a package file.
pub fn query(package: &Path, arguments: &[&str]) -> String {
    ok(Command::new("rpm").args(["-qp", "--nosignature"]).args(arguments).arg(package))
}

/// A file's size.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("it is there").len()
}
