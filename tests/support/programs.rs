//! The programs under test, as `cargo build` makes them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder with the programs, built when the first test asks for it.
///
/// `cargo test` builds the programs of the package under test only, and these belong to others. Whoever has built them in
/// another way says where in `VGPU_PROGRAMS`.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("VGPU_PROGRAMS") {
            return folder.into();
        }
        // All of them: another choice of packages is another choice of features, for which crates would be built again.
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--bins"])
            .current_dir(workspace())
            .status()
            .expect("cargo can be run");
        assert!(status.success(), "the programs cannot be built");
        // A test lies in target/debug/deps, the programs in target/debug.
        let own = std::env::current_exe().expect("a program knows where it is");
        let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
        folder.expect("a program lies in a folder").to_owned()
    })
}

/// The workspace's folder.
#[must_use]
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}
