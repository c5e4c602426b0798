//! Programs on a terminal.

use std::process::Command;

use crate::root::{Ran, ScratchRoot};

/// Runs vgpu-admin on a terminal of that width, and gives what the terminal is sent.
#[must_use]
pub fn on_a_terminal(root: &ScratchRoot, columns: u16, environment: &[(&str, &str)], arguments: &[&str]) -> String {
    let script = "import fcntl, os, pty, struct, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, int(sys.argv[1]), 0, 0))
    os.execv(sys.argv[2], sys.argv[2:])
seen = b''
try:
    while chunk := os.read(terminal, 1000):
        seen += chunk
except OSError:
    pass
os.waitpid(pid, 0)
sys.stdout.write(seen.decode().replace('\\r\\n', '\\n'))";
    let mut command = Command::new("python3");
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default()).env("TERM", "xterm");
    command.envs(environment.iter().copied()).args(["-c", script, &columns.to_string()]);
    let ran = Ran::of(command.arg(root.path("usr/bin/vgpu-admin")).args(arguments));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    ran.stdout
}
