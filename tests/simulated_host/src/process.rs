//! Running a plugin or a hook the way dom0 does (`ocaml/forkexecd`): no environment but `PATH`, a session of its own,
//! `/dev/null` opened for writing as standard input, output into files that have no name.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Finished {
    pub exit: Exit,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub duration: Duration,
}

impl Finished {
    fn never_ran(code: i32) -> Self {
        Self { exit: Exit::Code(code), stdout: Vec::new(), stderr: Vec::new(), duration: Duration::ZERO }
    }
}

/// The exit code of a program that could not be executed.
const NOT_EXECUTABLE: i32 = 126;
/// The exit code of a program, or its interpreter, that is not there.
const NOT_FOUND: i32 = 127;

/// Runs a program and waits for it, and for it alone: a child that it leaves behind delays nothing. It is killed,
/// with all that it has started, when `alive` turns false.
pub fn run(program: &Path, args: &[&OsStr], alive: &AtomicBool) -> io::Result<Finished> {
    if let Some(code) = refused_by_the_kernel(program) {
        return Ok(Finished::never_ran(code));
    }
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let started = Instant::now();
    // The standard library restores SIGPIPE in its children, and starting a session takes unsafe code: a shell can do
    // both without, and is gone once it has executed the program.
    let child = Command::new("/bin/sh")
        .args(["-c", r#"trap "" PIPE; exec setsid "$0" "$@""#])
        .arg(program)
        .args(args)
        .env_clear()
        .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
        .current_dir("/")
        .stdin(OpenOptions::new().write(true).open("/dev/null")?)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn();
    let child = match child {
        Err(error) if error.kind() == io::ErrorKind::ArgumentListTooLong => {
            return Ok(Finished::never_ran(NOT_EXECUTABLE));
        }
        child => child?,
    };
    let status = wait(child, alive)?;
    let exit = status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or_default()), Exit::Code);
    Ok(Finished { exit, stdout: contents(&mut stdout)?, stderr: contents(&mut stderr)?, duration: started.elapsed() })
}

/// What `execve` would say before the program's first instruction, and forkexecd makes of it (`ocaml/forkexecd/src/child.ml`);
/// the shell in between would add words of its own.
fn refused_by_the_kernel(program: &Path) -> Option<i32> {
    if let Some(code) = not_executable(program) {
        return Some(code);
    }
    let mut start = Vec::new();
    File::open(program).ok()?.take(256).read_to_end(&mut start).ok()?;
    if start.starts_with(b"\x7fELF") {
        return None;
    }
    let Some(line) = start.strip_prefix(b"#!").and_then(|start| start.split(|&byte| byte == b'\n').next()) else {
        return Some(NOT_EXECUTABLE);
    };
    let line = String::from_utf8_lossy(line);
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    not_executable(Path::new(interpreter))
}

/// What is not there, a symbolic link to it included, is not found; anything else is not executable: a directory, a
/// circle of links, a file without the bit.
fn not_executable(program: &Path) -> Option<i32> {
    match fs::metadata(program) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(NOT_FOUND),
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => None,
        _ => Some(NOT_EXECUTABLE),
    }
}

fn wait(mut child: Child, alive: &AtomicBool) -> io::Result<ExitStatus> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if !alive.load(Ordering::Relaxed) {
            child.kill()?;
            kill_session(child.id());
            return child.wait();
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(4));
    }
}

/// Kills what a program has started: it leads a process group, which lasts until its end has been waited for.
fn kill_session(leader: u32) {
    // The standard library cannot signal a group; a shell can. That there is nobody left is no failure.
    let _ = Command::new("/bin/sh")
        .args(["-c", r#"kill -KILL -"$0""#, &leader.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

fn contents(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A signal's name, as OCaml's programs print it.
pub fn signal_name(signal: i32) -> String {
    let names = [
        (1, "SIGHUP"),
        (2, "SIGINT"),
        (3, "SIGQUIT"),
        (4, "SIGILL"),
        (6, "SIGABRT"),
        (8, "SIGFPE"),
        (9, "SIGKILL"),
        (10, "SIGUSR1"),
        (11, "SIGSEGV"),
        (12, "SIGUSR2"),
        (13, "SIGPIPE"),
        (14, "SIGALRM"),
        (15, "SIGTERM"),
    ];
    names
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| signal.to_string(), |(_, name)| (*name).to_owned())
}
