//! Other programs: whether a file is one, and what it prints.

use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use wait_timeout::ChildExt;

use crate::deadline::Deadline;

/// How long a program may take to answer.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn is_executable(file: &Metadata) -> bool {
    file.permissions().mode() & 0o111 != 0
}

/// Runs a program and returns what it prints on both streams.
pub(super) fn ask(program: &Path, arguments: &[&str]) -> Result<String, String> {
    ask_within(PROGRAM_TIMEOUT, program, arguments)
}

/// Runs a program and returns what it prints on standard output and on standard error.
pub(super) fn streams_of(program: &Path, arguments: &[&str]) -> Result<[Vec<u8>; 2], String> {
    run(PROGRAM_TIMEOUT, program, arguments)
}

fn ask_within(timeout: Duration, program: &Path, arguments: &[&str]) -> Result<String, String> {
    let streams = run(timeout, program, arguments)?;
    Ok(streams.map(|text| String::from_utf8_lossy(&text).into_owned()).concat())
}

fn run(timeout: Duration, program: &Path, arguments: &[&str]) -> Result<[Vec<u8>; 2], String> {
    let say = |error: std::io::Error| error.to_string();
    let deadline = Deadline::after(timeout);
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(say)?;
    let (sender, chunks) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        read_in_background(Stream::Output, stdout, sender.clone());
    }
    if let Some(stderr) = child.stderr.take() {
        read_in_background(Stream::Error, stderr, sender);
    }
    let ended = child.wait_timeout(timeout).map_err(say)?;
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("did not end within {} s", timeout.as_secs()));
    }
    Ok(received(&chunks, deadline))
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Output,
    Error,
}

/// Reads while the program runs, so that a full pipe does not block it.
fn read_in_background(stream: Stream, mut pipe: impl Read + Send + 'static, chunks: Sender<(Stream, Vec<u8>)>) {
    thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        // On an error, what was read so far has to suffice.
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            if chunks.send((stream, chunk[..length].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// Both streams up to their ends or the deadline: a process that the program has left behind may keep them open, or never stop
/// writing.
fn received(chunks: &Receiver<(Stream, Vec<u8>)>, deadline: Deadline) -> [Vec<u8>; 2] {
    let (mut output, mut error) = (Vec::new(), Vec::new());
    while let Some(left) = deadline.remaining()
        && let Ok((stream, chunk)) = chunks.recv_timeout(left)
    {
        match stream {
            Stream::Output => output.extend(chunk),
            Stream::Error => error.extend(chunk),
        }
    }
    [output, error]
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_process_that_never_stops_writing_does_not_hold_up_the_answer() {
        let (sender, chunks) = mpsc::channel();
        let began = Instant::now();
        // More is always there than has been taken.
        let writer = thread::spawn(move || {
            while began.elapsed() < Duration::from_secs(5) && sender.send((Stream::Output, Vec::new())).is_ok() {}
        });
        assert_eq!(received(&chunks, Deadline::after(Duration::from_millis(10))), <[Vec<u8>; 2]>::default());
        assert!(!writer.is_finished(), "it has waited for the writer's end");
    }

    #[test]
    fn a_process_that_keeps_the_output_open_does_not_hold_up_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let (sender, answer) = mpsc::channel();
        let left_behind = fifo.display().to_string();
        thread::spawn(move || {
            // The shell ends at once. What it leaves in the background reads until the test opens and closes the other end.
            let script = "cat <\"$0\" & echo here; echo there >&2";
            let _ =
                sender.send(ask_within(Duration::from_secs(1), Path::new("/bin/sh"), &["-c", script, &left_behind]));
        });
        let answer = answer.recv_timeout(Duration::from_mins(1));
        drop(OpenOptions::new().write(true).open(&fifo).unwrap());
        assert_eq!(answer.expect("it waits for what was left behind"), Ok("here\nthere\n".to_owned()));
    }
}
