//! Real tools: dom0's own sqlite3 shell, and Python.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::programs;
use crate::root::Ran;

/// SQLite 3.7.17's shell, which is dom0's; built once.
pub fn sqlite_3_7_17() -> &'static Path {
    static SHELL: OnceLock<PathBuf> = OnceLock::new();
    SHELL.get_or_init(|| {
        let script = programs::workspace().join("tests/setup/sqlite-3.7.17.sh");
        let status = Command::new("sh").arg(script).stdout(Stdio::null()).status().expect("sh can be run");
        assert!(status.success(), "SQLite 3.7.17 cannot be built");
        programs::workspace().join("target/sqlite-3.7.17/sqlite3")
    })
}

/// Runs SQL as an administrator does in dom0.
#[must_use]
pub fn sql(database: &Path, sql: &str) -> Ran {
    fed(Command::new(sqlite_3_7_17()).args(["-batch", "-bail"]).arg(database), format!("{sql}\n;\n").as_bytes())
}

/// Runs SQL, which has to succeed, and gives what the shell prints.
pub fn sql_ok(database: &Path, text: &str) -> String {
    let ran = sql(database, text);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{text}");
    ran.stdout
}

/// Runs SQL of which single statements may fail: the shell goes on with the next.
#[must_use]
pub fn sql_each(database: &Path, text: &str) -> Ran {
    fed(Command::new(sqlite_3_7_17()).arg("-batch").arg(database), text.as_bytes())
}

/// Runs a Python script with something on its standard input.
#[must_use]
pub fn python(script: &str, input: &[u8]) -> Ran {
    fed(Command::new("python3").args(["-c", script]), input)
}

/// Runs a command with something on its standard input.
fn fed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that ends before it has read everything is judged by how it ended.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    Ran::from(child.wait_with_output().expect("a child ends"))
}
