//! Runs a program with a deadline. It does not use threads: glibc would set up signals for them, and the stock qemu-wrapper would
//! inherit the change.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The longest output that is read.
const LONGEST: usize = 256 * 1024;
/// The pause between checks whether a program has ended after closing its output.
const PAUSE: Duration = Duration::from_micros(100);

/// What a program printed.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub bytes: Vec<u8>,
    /// Its standard error, if that was piped.
    pub errors: Vec<u8>,
    /// Whether it ended in time.
    pub has_ended: bool,
}

/// Runs a program, and kills it if it does not end in time.
pub fn output(command: &mut Command, until: Instant) -> Result<Output, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = started.map_err(|error| format!("{name}: {error}"))?;
    let (mut bytes, mut errors) = (Vec::new(), Vec::new());
    let has_said_all = child.stdout.take().is_some_and(|mut stdout| read(&mut stdout, &mut bytes, until))
        && child.stderr.take().is_none_or(|mut stderr| read(&mut stderr, &mut errors, until));
    let has_ended = has_said_all && ends(&mut child, until);
    if !has_ended {
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(Output { bytes, errors, has_ended })
}

/// Reads to the end; returns whether the end came in time.
fn read(stream: &mut (impl Read + AsFd), bytes: &mut Vec<u8>, until: Instant) -> bool {
    let mut buffer = [0; 4096];
    while bytes.len() < LONGEST {
        let remaining = until.saturating_duration_since(Instant::now());
        // Rounded up, so that a short time does not become none.
        let timeout = u16::try_from(remaining.as_millis()).unwrap_or(u16::MAX).saturating_add(1);
        let ready = poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLIN)], PollTimeout::from(timeout));
        match ready {
            Err(Errno::EINTR) if !remaining.is_zero() => continue,
            Ok(1..) => {}
            _ => return false,
        }
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(length) => bytes.extend(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
        if remaining.is_zero() {
            return false;
        }
    }
    false
}

/// Whether a program ends in time. If SIGCHLD is ignored, `try_wait` fails, and the program needs no wait.
fn ends(child: &mut Child, until: Instant) -> bool {
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < until => std::thread::sleep(PAUSE),
            Ok(ended) => return ended.is_some(),
            Err(_) => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shell(script: &str, patience: Duration) -> Output {
        output(Command::new("/bin/sh").args(["-c", script]), Instant::now() + patience).unwrap()
    }

    #[test]
    fn output_is_read_to_its_end() {
        let Output { bytes, has_ended, .. } = shell("echo a; sleep 0.01; echo b", Duration::from_mins(1));
        assert_eq!((bytes.as_slice(), has_ended), (&b"a\nb\n"[..], true));
    }

    #[test]
    fn a_program_that_hangs_is_killed_and_its_output_is_kept() {
        for script in ["echo a; exec sleep 3600", "echo a; exec >&-; exec sleep 3600"] {
            let Output { bytes, has_ended, .. } = shell(script, Duration::from_millis(300));
            assert_eq!((bytes.as_slice(), has_ended), (&b"a\n"[..], false), "{script}");
        }
    }

    #[test]
    fn a_program_that_prints_without_end_is_not_read_for_ever() {
        let Output { bytes, has_ended, .. } = shell("exec cat /dev/zero", Duration::from_hours(1));
        assert!(!has_ended && bytes.len() <= LONGEST + 4096);
    }

    #[test]
    fn a_missing_program_is_an_error_with_its_name() {
        let error = output(&mut Command::new("/no/such/program"), Instant::now()).unwrap_err();
        assert!(error.starts_with("/no/such/program: No such file"), "{error}");
    }
}
