//! `xe` for a simulated host: installed as `ROOT/usr/bin/xe` it talks to the host below that root; elsewhere `--root DIR`
//! or the variable `XE_ROOT` says which.

use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = env::args_os().skip(1).collect();
    let Some(root) = take_root(&mut args).or_else(own_root).or_else(|| env::var_os("XE_ROOT").map(PathBuf::from))
    else {
        eprintln!("Error: which host? (--root DIR)");
        return ExitCode::FAILURE;
    };
    let args: Vec<Vec<u8>> = args.into_iter().map(OsStringExt::into_vec).collect();
    let output = simulated_host::xe(&root, &args);
    let written =
        std::io::stdout().write_all(&output.stdout).and_then(|()| std::io::stderr().write_all(&output.stderr));
    match (written, output.code) {
        (Ok(()), 0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Takes `--root DIR` out of the arguments.
fn take_root(args: &mut Vec<OsString>) -> Option<PathBuf> {
    let at = args.iter().position(|arg| arg == "--root")?;
    args.remove(at);
    (at < args.len()).then(|| PathBuf::from(args.remove(at)))
}

/// The root below which this program is installed.
fn own_root() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    program.ends_with("usr/bin/xe").then(|| program.ancestors().nth(3).map(PathBuf::from)).flatten()
}
