//! How long a host lives: from its start to its end, with a crash and a restart on the way.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Dom0;
use crate::fault::{Fault, Service};
use crate::lock;
use crate::process::{self, Exit, Finished};
use crate::syslog::Syslog;

/// Whether a host is up, and what must end with it.
pub struct Life {
    /// A new flag for every start: whoever waits on the one of a life that has ended learns of its end, however soon
    /// the next begins.
    up: Mutex<Arc<AtomicBool>>,
    /// The hooks and plugins that run.
    children: AtomicUsize,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Default for Life {
    fn default() -> Self {
        Self { up: Mutex::new(flag()), children: AtomicUsize::new(0), workers: Mutex::default() }
    }
}

fn flag() -> Arc<AtomicBool> {
    Arc::new(AtomicBool::new(true))
}

/// The longest that a killed program may take to be gone.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

impl Dom0 {
    /// The flag that turns false when this life of the host ends.
    pub fn life(&self) -> Arc<AtomicBool> {
        Arc::clone(&lock(&self.life.up))
    }

    /// Whether the host is up.
    pub fn is_up(&self) -> bool {
        self.life().load(Ordering::Relaxed)
    }

    /// Lets everything that waits on this host give up; programs that run on it are killed.
    pub fn end_life(&self) {
        self.life().store(false, Ordering::Relaxed);
    }

    /// Ends everything that was started: children, connections, threads, sockets.
    pub fn stop(&self) {
        self.end_life();
        self.close_services();
        loop {
            let workers = std::mem::take(&mut *lock(&self.life.workers));
            if workers.is_empty() {
                break;
            }
            for worker in workers {
                let _ = worker.join();
            }
        }
        self.xenopsd.reset();
        self.end_xenopsd_process();
        lock(&self.syslog).take();
        self.pool.leave(&self.reference);
    }

    /// The power goes: programs are killed, sockets vanish, domains are gone. The disk stays as it is.
    pub fn crash(&self) {
        self.end_life();
        self.cut_services();
        let until = Instant::now() + KILLED_WITHIN;
        while self.life.children.load(Ordering::SeqCst) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(1));
        }
        self.forget_memory();
    }

    /// Boots again after a crash. VMs that ran here do not run any more.
    pub fn restart(self: &Arc<Self>) -> io::Result<()> {
        if self.is_up() {
            return Ok(());
        }
        self.forget_memory();
        self.faults.clear();
        *self.life.up.lock().unwrap_or_else(PoisonError::into_inner) = flag();
        self.restart_toolstack()?;
        self.open_services()
    }

    fn forget_memory(&self) {
        self.xenopsd.reset();
        self.end_xenopsd_process();
        self.switch.reset();
        lock(&self.busy).clear();
        self.forget_events();
    }

    /// Runs a hook or a plugin, which ends with this life of the host at the latest.
    pub(super) fn run_program(&self, program: &Path, args: &[&OsStr]) -> io::Result<Finished> {
        let life = self.life();
        self.life.children.fetch_add(1, Ordering::SeqCst);
        let outcome = if life.load(Ordering::SeqCst) { process::run(program, args, &life) } else { Ok(killed()) };
        self.life.children.fetch_sub(1, Ordering::SeqCst);
        outcome
    }

    /// Does something on a thread that is waited for at the end.
    pub fn in_background(&self, work: impl FnOnce() + Send + 'static) {
        let mut workers = lock(&self.life.workers);
        workers.retain(|worker| !worker.is_finished());
        workers.push(thread::spawn(work));
    }

    /// Sleeps, but not beyond the host's end.
    pub fn sleep(&self, duration: Duration) {
        let life = self.life();
        let until = Instant::now() + duration;
        while Instant::now() < until && life.load(Ordering::Relaxed) {
            thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(10)));
        }
    }

    /// Waits for as long as that service, or that method of it, is to hang, and says whether it goes on then: a process
    /// that was stopped finds what it was sent meanwhile, while one that is killed or fails otherwise does not.
    pub fn goes_on_after_hanging(&self, service: Service, method: &str) -> bool {
        let (life, ends) = (self.life(), self.faults.ends(service));
        let lives = || self.faults.ends(service) == ends;
        self.wait_while(|| lives() && self.faults.of(service, method) == Some(Fault::Hangs));
        life.load(Ordering::Relaxed) && lives() && self.faults.of(service, method).is_none()
    }

    /// Waits for as long as something holds, but not beyond the host's end.
    pub fn wait_while(&self, holds: impl Fn() -> bool) {
        let life = self.life();
        while life.load(Ordering::Relaxed) && holds() {
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn syslog_lines(&self) -> Vec<String> {
        lock(&self.syslog).as_ref().map(Syslog::lines).unwrap_or_default()
    }
}

/// A program that the end came too early for.
fn killed() -> Finished {
    const SIGKILL: i32 = 9;
    Finished { exit: Exit::Signal(SIGKILL), stdout: Vec::new(), stderr: Vec::new(), duration: Duration::ZERO }
}
