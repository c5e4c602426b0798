//! One host: its files, its services, its xenopsd.

mod copies;
mod device_model;
mod events;
mod gpus;
mod hooks;
mod layout;
mod life;
mod lifecycle;
mod metadata;
mod migration;
mod operation;
mod plugins;
mod reboot;
mod report;
mod rules;
mod services;
mod stock;
mod suspension;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

pub use copies::CopyKind;
pub use device_model::DeviceModel;
pub use hooks::HookRun;
pub use lifecycle::Boot;
pub use operation::{Operation, text};
pub use reboot::Reboot;
pub use stock::Release;

use crate::database::{self, Record};
use crate::fault::{Fault, Faults, Service};
use crate::pool::PoolState;
use crate::switch::Switch;
use crate::syslog::Syslog;
use crate::xenopsd::Xenopsd;
use crate::{lock, random};
use events::Events;
use life::Life;
use services::Services;
use stock::XenopsdProcess;

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
    pub pool: Arc<PoolState>,
    pub xenopsd: Xenopsd,
    pub switch: Switch,
    pub faults: Faults,
    life: Life,
    services: Mutex<Services>,
    syslog: Mutex<Option<Syslog>>,
    boots: Mutex<Vec<Boot>>,
    hook_runs: Mutex<Vec<HookRun>>,
    /// The VMs that xenopsd is busy with: what xapi pushes for them waits.
    busy: Mutex<HashSet<String>>,
    events: Events,
    /// xenopsd's process, on a stock host.
    xenopsd_process: Mutex<Option<XenopsdProcess>>,
    /// The calls that xapi is carrying out, or that it will carry out when it goes on.
    pub calls_in_progress: AtomicUsize,
}

impl Dom0 {
    /// Lays out the root, takes the host into the pool and starts its services.
    pub fn start(root: &Path, identity: Identity, pool: &Arc<PoolState>) -> io::Result<Arc<Self>> {
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
            life: Life::default(),
            services: Mutex::default(),
            syslog: Mutex::new(Some(syslog)),
            boots: Mutex::default(),
            hook_runs: Mutex::default(),
            busy: Mutex::default(),
            events: Events::default(),
            xenopsd_process: Mutex::default(),
            calls_in_progress: AtomicUsize::default(),
        });
        pool.join(&dom0, host, control_domain);
        dom0.open_services()?;
        Ok(dom0)
    }

    pub fn boots(&self, uuid: &str) -> Vec<Boot> {
        lock(&self.boots).iter().filter(|boot| boot.vm_uuid == uuid).cloned().collect()
    }

    pub fn hook_runs(&self, uuid: &str) -> Vec<HookRun> {
        lock(&self.hook_runs).iter().filter(|run| run.vm_uuid == uuid).cloned().collect()
    }

    /// Whether xapi is up and has its database, so that its threads do what they do unasked.
    fn xapi_works(&self) -> bool {
        self.xapi_is_up() && self.pool.is_in_contact(self)
    }

    /// Whether other hosts get an answer from this one's xapi.
    pub fn answers_the_pool(&self) -> bool {
        self.is_up() && self.xapi_is_up()
    }

    /// Whether there is a xapi at all.
    pub fn xapi_listens(&self) -> bool {
        !matches!(self.faults.of_service(Service::Xapi), Some(Fault::Absent | Fault::Refuses))
    }

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
