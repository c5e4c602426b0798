//! A unix socket with a thread that accepts and a thread for each connection.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::lock;

/// What is done with a connection.
pub type Serve = dyn Fn(UnixStream) + Send + Sync;

/// A socket that is being served.
pub struct Listener {
    path: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    closed: AtomicBool,
    last_id: AtomicU64,
    connections: Mutex<HashMap<u64, UnixStream>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Listener {
    /// Binds the socket, in place of a stale one, and starts to serve it.
    pub fn open(path: &Path, serve: Arc<Serve>) -> io::Result<Self> {
        remove(path)?;
        let socket = UnixListener::bind(path)?;
        let shared = Arc::new(Shared::default());
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&socket, &shared, &serve)
        });
        Ok(Self { path: path.to_owned(), shared, acceptor: Some(acceptor) })
    }

    /// Stops to serve: no new connection is accepted, an idle one is closed, a reply being written still goes out.
    /// Waits for the connections' threads only if asked: one of them may be the caller.
    pub fn close(self, wait: bool) -> io::Result<()> {
        self.end(Shutdown::Read, wait)
    }

    /// Stops at once: connections break in the middle of a reply too.
    pub fn cut(self) -> io::Result<()> {
        self.end(Shutdown::Both, false)
    }

    fn end(mut self, how: Shutdown, wait: bool) -> io::Result<()> {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let woken = UnixStream::connect(&self.path).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
        for connection in lock(&self.shared.connections).values() {
            let _ = connection.shutdown(how);
        }
        let threads = std::mem::take(&mut *lock(&self.shared.threads));
        if wait {
            for thread in threads {
                let _ = thread.join();
            }
        }
        remove(&self.path)
    }
}

fn accept(socket: &UnixListener, shared: &Arc<Shared>, serve: &Arc<Serve>) {
    for connection in socket.incoming() {
        if shared.closed.load(Ordering::Relaxed) {
            return;
        }
        let Ok(connection) = connection else { continue };
        let id = shared.last_id.fetch_add(1, Ordering::Relaxed);
        if let Ok(copy) = connection.try_clone() {
            lock(&shared.connections).insert(id, copy);
        }
        let thread = thread::spawn({
            let (shared, serve) = (Arc::clone(shared), Arc::clone(serve));
            move || {
                serve(connection);
                // Both ends must go, or the client would wait for a reply that never comes.
                if let Some(connection) = lock(&shared.connections).remove(&id) {
                    let _ = connection.shutdown(Shutdown::Both);
                }
            }
        });
        let mut threads = lock(&shared.threads);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
