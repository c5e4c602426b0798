//! Programs on a terminal.

use std::process::Command;

use crate::root::{Ran, ScratchRoot};

/// Runs vgpu-admin on a terminal of that width, and gives what the terminal is sent.
#[must_use]
pub fn on_a_terminal(root: &ScratchRoot, columns: u16, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    run(root, columns, environment, "", arguments).0
}

/// The same with an answer to what it asks. Gives its exit status too.
#[must_use]
pub fn answered(root: &ScratchRoot, answer: &str, arguments: &[&str]) -> (String, i32) {
    run(root, 200, &[], &format!("{answer}\n"), arguments)
}

fn run(
    root: &ScratchRoot,
    columns: u16,
    environment: &[(&str, &str)],
    typed: &str,
    arguments: &[&str],
) -> (String, i32) {
    let script = "import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
    os.execv(sys.argv[3], sys.argv[3:])
os.write(terminal, sys.argv[2].encode())
seen = b''
try:
    while chunk := os.read(terminal, 1000):
        seen += chunk
except OSError:
    pass
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.write(seen.decode().replace('\\r\\n', '\\n') + '\\0' + str(status))";
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("TERM", "xterm");
    command.envs(environment.iter().copied()).args(["-c", script, &columns.to_string(), typed]);
    let ran = Ran::of(command.arg(root.path("usr/bin/vgpu-admin")).args(arguments));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let (seen, status) = ran.stdout.rsplit_once('\0').expect("the script tells the exit status");
    (seen.to_owned(), status.parse().expect("an exit status is a number"))
}
