//! One host: its files, its services, its xenopsd.

mod copies;
mod hooks;
mod layout;
mod lifecycle;
mod metadata;
mod operation;
mod plugins;
mod reboot;
mod services;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use copies::CopyKind;
pub use hooks::HookRun;
pub use lifecycle::Boot;
pub use reboot::Reboot;

use crate::database::{self, Record};
use crate::fault::{Fault, Faults, Service};
use crate::pool::Pool;
use crate::switch::Switch;
use crate::syslog::Syslog;
use crate::xenopsd::Xenopsd;
use crate::{lock, random};
use services::Services;

/// Who a host is, alone in its pool: chosen by the test, or made up.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its UUID.
    pub uuid: String,
    /// XAPI's reference to it.
    pub reference: String,
    /// Its name.
    pub name: String,
    /// XAPI's reference to its pool.
    pub pool: String,
    /// The message-switch queue that its xenopsd reads.
    pub xenopsd_queue: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            uuid: random::uuid(),
            reference: random::reference(),
            name: "xcp-ng-1".to_owned(),
            pool: random::reference(),
            xenopsd_queue: "org.xen.xapi.xenops.classic".to_owned(),
        }
    }
}

/// A host of a pool.
pub struct Dom0 {
    pub uuid: String,
    pub reference: String,
    pub root: PathBuf,
    pub pool: Arc<Pool>,
    pub xenopsd: Xenopsd,
    pub switch: Switch,
    pub faults: Faults,
    pub alive: AtomicBool,
    services: Mutex<Services>,
    syslog: Mutex<Option<Syslog>>,
    boots: Mutex<Vec<Boot>>,
    hook_runs: Mutex<Vec<HookRun>>,
    /// The VMs that xenopsd is busy with: what xapi pushes for them waits.
    busy: Mutex<HashSet<String>>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Dom0 {
    /// Lays out the root, takes the host into the pool and starts its services.
    pub fn start(root: &Path, identity: Identity, pool: &Arc<Pool>) -> io::Result<Arc<Self>> {
        layout::create(root, &identity.uuid)?;
        let syslog = Syslog::open(&root.join("dev/log"), &root.join("var/log/user.log"))?;
        let (host, control_domain) = records_of(&identity);
        let dom0 = Arc::new(Self {
            uuid: identity.uuid,
            reference: identity.reference,
            root: root.to_owned(),
            pool: Arc::clone(pool),
            xenopsd: Xenopsd::new(),
            switch: Switch::new(&identity.xenopsd_queue),
            faults: Faults::default(),
            alive: AtomicBool::new(true),
            services: Mutex::default(),
            syslog: Mutex::new(Some(syslog)),
            boots: Mutex::default(),
            hook_runs: Mutex::default(),
            busy: Mutex::default(),
            workers: Mutex::default(),
        });
        pool.join(&dom0, host, control_domain);
        dom0.open_services()?;
        Ok(dom0)
    }

    /// Ends everything that was started: children, connections, threads, sockets.
    pub fn stop(&self) {
        self.alive.store(false, Ordering::Relaxed);
        self.close_services();
        loop {
            let workers = std::mem::take(&mut *lock(&self.workers));
            if workers.is_empty() {
                break;
            }
            for worker in workers {
                let _ = worker.join();
            }
        }
        lock(&self.syslog).take();
        self.pool.leave(&self.reference);
    }

    pub fn syslog_lines(&self) -> Vec<String> {
        lock(&self.syslog).as_ref().map(Syslog::lines).unwrap_or_default()
    }

    pub fn boots(&self, uuid: &str) -> Vec<Boot> {
        lock(&self.boots).iter().filter(|boot| boot.vm_uuid == uuid).cloned().collect()
    }

    pub fn hook_runs(&self, uuid: &str) -> Vec<HookRun> {
        lock(&self.hook_runs).iter().filter(|run| run.vm_uuid == uuid).cloned().collect()
    }

    /// Does something on a thread that is waited for at the end.
    pub fn in_background(&self, work: impl FnOnce() + Send + 'static) {
        let mut workers = lock(&self.workers);
        workers.retain(|worker| !worker.is_finished());
        workers.push(thread::spawn(work));
    }

    /// Sleeps, but not beyond the host's end.
    pub fn sleep(&self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() < until && self.alive.load(Ordering::Relaxed) {
            thread::sleep(until.saturating_duration_since(Instant::now()).min(Duration::from_millis(10)));
        }
    }

    /// Waits for as long as that service, or that method of it, is to hang.
    pub fn hang(&self, service: Service, method: &str) {
        while self.alive.load(Ordering::Relaxed) && self.faults.of(service, method) == Some(Fault::Hangs) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether xapi is up, so that its threads do what they do unasked.
    fn xapi_is_up(&self) -> bool {
        !matches!(self.faults.of_service(Service::Xapi), Some(Fault::Absent | Fault::Refuses | Fault::Hangs))
    }
}

fn records_of(identity: &Identity) -> (Record, Record) {
    let mut host = database::host();
    host.insert("uuid".to_owned(), identity.uuid.as_str().into());
    host.insert("name_label".to_owned(), identity.name.as_str().into());
    host.insert("hostname".to_owned(), identity.name.as_str().into());
    let mut domain = database::control_domain();
    domain.insert("uuid".to_owned(), random::uuid().into());
    domain.insert("name_label".to_owned(), format!("Control domain on host: {}", identity.name).into());
    domain.insert("resident_on".to_owned(), identity.reference.as_str().into());
    domain.insert("affinity".to_owned(), identity.reference.as_str().into());
    (host, domain)
}
