//! The system log: what programs send to `/dev/log`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::lock;

/// Datagrams that no logging program sends: the one ends the thread, the other asks it to say that it has come this far.
const STOP: &[u8] = b"\0stop";
const FLUSH: &[u8] = b"\0flush";

/// The collector behind `/dev/log`.
pub struct Syslog {
    socket: PathBuf,
    lines: Arc<Mutex<Vec<String>>>,
    flushed: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Syslog {
    /// Binds the socket and collects; every line also goes to a file, as rsyslog would write it.
    pub fn open(socket: &Path, file: &Path) -> io::Result<Self> {
        if socket.exists() {
            std::fs::remove_file(socket)?;
        }
        let receiver = UnixDatagram::bind(socket)?;
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (flush, flushed) = mpsc::channel();
        let thread = thread::spawn({
            let lines = Arc::clone(&lines);
            move || {
                let mut datagram = vec![0; 64 * 1024];
                while let Ok(length) = receiver.recv(&mut datagram) {
                    match &datagram[..length] {
                        STOP => return,
                        FLUSH => {
                            let _ = flush.send(());
                        }
                        line => {
                            let line = String::from_utf8_lossy(line).trim_end().to_owned();
                            let _ = writeln!(file, "{}", without_priority(&line));
                            lock(&lines).push(line);
                        }
                    }
                }
            }
        });
        Ok(Self { socket: socket.to_owned(), lines, flushed, thread: Some(thread) })
    }

    /// Everything that had been sent by now.
    pub fn lines(&self) -> Vec<String> {
        if UnixDatagram::unbound().and_then(|sender| sender.send_to(FLUSH, &self.socket)).is_ok() {
            let _ = self.flushed.recv_timeout(Duration::from_secs(1));
        }
        lock(&self.lines).clone()
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let sent = UnixDatagram::unbound().and_then(|sender| sender.send_to(STOP, &self.socket));
        if let Some(thread) = self.thread.take().filter(|_| sent.is_ok()) {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// A log file has no `<14>` in front of its lines.
fn without_priority(line: &str) -> &str {
    match line.strip_prefix('<').and_then(|line| line.split_once('>')) {
        Some((priority, rest)) if priority.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => line,
    }
}
