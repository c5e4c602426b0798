//! A simulated host's xapi at a TCP port of this machine, for clients that cannot use its unix socket.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// The port, open until it is dropped. What arrives is passed on to the local socket as it is, so a login succeeds with any
/// password, which a real xapi checks, and there is no TLS, which a real xapi insists on.
pub struct Loopback {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Loopback {
    /// Opens a free port for the host below a root.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let closed = Arc::new(AtomicBool::new(false));
        let (socket, is_closed) = (root.join("var/lib/xcp/xapi"), Arc::clone(&closed));
        thread::spawn(move || accept(&listener, &socket, &is_closed));
        Self { address, closed }
    }

    /// As clients take it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, socket: &PathBuf, closed: &AtomicBool) {
    for client in listener.incoming() {
        if closed.load(Ordering::Relaxed) {
            return;
        }
        let (Ok(client), Ok(xapi)) = (client, UnixStream::connect(socket)) else { continue };
        let (Ok(from_client), Ok(to_xapi)) = (client.try_clone(), xapi.try_clone()) else { continue };
        thread::spawn(move || {
            pass_on(from_client, &to_xapi);
            let _ = to_xapi.shutdown(Shutdown::Both);
        });
        thread::spawn(move || {
            pass_on(xapi, &client);
            let _ = client.shutdown(Shutdown::Both);
        });
    }
}

/// Until either end closes.
fn pass_on(mut from: impl io::Read, mut to: impl io::Write) {
    let _ = io::copy(&mut from, &mut to);
}
