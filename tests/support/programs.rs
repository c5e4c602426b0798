//! The programs under test, as `cargo build` makes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the programs, built when the first test asks for it.
///
/// `cargo test` builds the programs of the package under test only, and these belong to others.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let packages = ["vgpu-plugin", "vgpu-hook", "vgpu-admin", "simulated-host"];
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--bins"])
            .args(packages.iter().flat_map(|package| ["--package", package]))
            .current_dir(workspace())
            .status()
            .expect("cargo can be run");
        assert!(status.success(), "the programs cannot be built");
        // …/target/debug/deps/a-test
        let test = std::env::current_exe().expect("a test knows where it is");
        test.ancestors().nth(2).expect("a test lies in target/debug/deps").to_owned()
    })
}

/// The workspace's folder.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}
