//! The library, built once, and programs that are compiled with it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use vgpu_tests::programs;
use vgpu_tests::root::Ran;

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// How a program gets the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linked {
    Static,
    Shared,
}

/// Runs a command, which has to succeed, and gives what it prints.
pub fn ok(command: &mut Command) -> String {
    let ran = Ran::of(command);
    assert_eq!(ran.code, Some(0), "{command:?}\n{}\n{}", ran.stdout, ran.stderr);
    ran.stdout
}

/// The folder with the library and its header.
pub fn library() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        ok(Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "vgpu-config-capi"])
            .current_dir(programs::workspace()));
        // A test lies in target/debug/deps, the library in target/debug.
        let own = std::env::current_exe().expect("a program knows where it is");
        let built = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).expect("a program is in a folder");
        let folder = built.join("capi");
        ok(Command::new("sh")
            .arg(programs::workspace().join("capi/build.sh"))
            .arg(built.join("libvgpu_config_c.a"))
            .arg(&folder)
            .env("STRIP", "yes"));
        folder
    })
}

/// Compiles a program of this folder, and gives its path.
pub fn compile(compiler: &[&str], source: &str, linked: Linked) -> PathBuf {
    compile_file(compiler, &programs::workspace().join("tests/capi").join(source), linked)
}

/// Compiles a program, once, and gives its path.
pub fn compile_file(compiler: &[&str], source: &Path, linked: Linked) -> PathBuf {
    static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut done = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let name = source.file_stem().expect("a source has a name").display();
    let program = library().join(format!("{name}-{}-{linked:?}", compiler.join("")));
    if !done.insert(program.clone()) {
        return program;
    }
    let standard: &[&str] = if compiler[0] == "g++" { &["-std=c++11", "-x", "c++"] } else { &["-std=c99"] };
    let mut command = Command::new(compiler[0]);
    command.args(standard).args(WARNINGS).args(["-D_GNU_SOURCE", "-g"]).args(&compiler[1..]);
    command.arg("-I").arg(library()).arg(source).args(["-x", "none", "-o"]).arg(&program);
    match linked {
        Linked::Static => command.arg(library().join("libvgpu_config.a")),
        Linked::Shared => {
            let folder = library().display();
            command.arg(format!("-L{folder}")).arg(format!("-Wl,-rpath,{folder}")).arg("-lvgpu_config")
        }
    };
    ok(command.args(["-lpthread", "-ldl", "-lm"]));
    program
}
