//! What a test has in hand.

mod gpus;
mod lifecycle;
mod plugins;
mod pool;
mod pool_faults;
mod stock;
mod vms;

pub use pool::SimulatedPool;
pub use stock::Qemu;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use crate::database::{Class, map_of};
use crate::dom0::{Dom0, Identity};
use crate::fault::{Fault, Service};
use crate::pool::PoolState;

/// How long late calls are waited for: a call takes milliseconds.
const LATE_CALLS_TIMEOUT: Duration = Duration::from_secs(10);

/// A host: alone in its pool, or one of a [`SimulatedPool`]. It ends when it is dropped: threads, children and sockets go with it.
///
/// VMs are named by their UUIDs. A method that is given the UUID of no VM fails as XAPI does, or where it has no error
/// to give, finds nothing.
pub struct SimulatedHost {
    dom0: Arc<Dom0>,
}

impl Drop for SimulatedHost {
    fn drop(&mut self) {
        self.dom0.stop();
    }
}

/// The host itself.
impl SimulatedHost {
    /// Starts a host below a root, whose path must be short enough for unix sockets (about 60 bytes).
    ///
    /// # Errors
    /// The files or the sockets cannot be created.
    pub fn start(root: &Path) -> io::Result<Self> {
        Self::start_as(root, Identity::default())
    }

    /// Starts a host that is somebody in particular.
    ///
    /// # Errors
    /// The files or the sockets cannot be created.
    pub fn start_as(root: &Path, identity: Identity) -> io::Result<Self> {
        let pool = Arc::new(PoolState::new(&identity.pool));
        Ok(Self { dom0: Dom0::start(root, identity, &pool)? })
    }

    /// The folder that stands for `/`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.dom0.root
    }

    /// Its UUID, which is also in `/etc/xensource-inventory`.
    #[must_use]
    pub fn host_uuid(&self) -> &str {
        &self.dom0.uuid
    }

    /// XAPI's reference to it.
    #[must_use]
    pub fn host_ref(&self) -> &str {
        &self.dom0.reference
    }

    /// XAPI's reference to its pool.
    #[must_use]
    pub fn pool_ref(&self) -> &str {
        &self.dom0.pool.reference
    }

    /// The pool's `other_config`.
    #[must_use]
    pub fn pool_other_config(&self) -> IndexMap<String, String> {
        let database = self.dom0.pool.read();
        database.record(Class::Pool, self.pool_ref()).map(|record| map_of(record, "other_config")).unwrap_or_default()
    }

    /// Sets a key of the pool's `other_config`, or removes it.
    pub fn set_pool_other_config(&self, key: &str, value: Option<&str>) {
        self.dom0.pool.write(|database| {
            let _ = vms::set_key(database, Class::Pool, &self.dom0.pool.reference, "other_config", key, value);
        });
    }

    /// Whether xapi drops platform keys that it does not know; XCP-ng's does not.
    pub fn filter_unknown_platform_keys(&self, filter: bool) {
        self.dom0.pool.set_filters_platform(filter);
    }
}

/// Events.
impl SimulatedHost {
    /// Lets xapi pass changes on to this host's xenopsd only when [`Self::pass_on_events`] says so, or by itself again, a
    /// moment later. A start or reboot through XAPI passes them on whatever this says.
    pub fn hold_events(&self, held: bool) {
        self.dom0.hold_events(held);
    }

    /// Lets xapi pass on to this host's xenopsd what has changed.
    pub fn pass_on_events(&self) {
        self.dom0.pass_on_events();
    }
}

/// Faults and logs.
impl SimulatedHost {
    /// Lets a service fail, whatever it is asked.
    ///
    /// # Errors
    /// A socket cannot be closed or opened.
    pub fn set_fault(&self, service: Service, fault: Fault) -> io::Result<()> {
        self.dom0.set_fault(service, None, fault)
    }

    /// Lets a service fail in one method only.
    ///
    /// # Errors
    /// A socket cannot be closed or opened.
    pub fn set_fault_in(&self, service: Service, method: &str, fault: Fault) -> io::Result<()> {
        self.dom0.set_fault(service, Some(method), fault)
    }

    /// Lets a service fail in one method once so many calls of it have succeeded, and from then on: an operation breaks
    /// between its calls. A call that XAPI refuses has not succeeded. No socket goes away then, also where the fault is
    /// [`Fault::Absent`] or [`Fault::Refuses`]: connections are closed without a reply.
    pub fn set_fault_after(&self, service: Service, method: &str, calls: usize, fault: Fault) {
        self.dom0.set_fault_after(service, Some(method), calls, fault);
    }

    /// The same, counting every call of the service, whatever its method.
    pub fn set_fault_after_any(&self, service: Service, calls: usize, fault: Fault) {
        self.dom0.set_fault_after(service, None, calls, fault);
    }

    /// Lets everything work again that was made to fail on this host.
    ///
    /// # Errors
    /// A socket cannot be opened.
    pub fn clear_faults(&self) -> io::Result<()> {
        self.dom0.clear_faults()
    }

    /// Waits until xapi has carried out what it was asked, also what it was asked before it went on: a caller may be gone
    /// long before its call is carried out.
    pub fn wait_for_late_calls(&self) {
        let began = Instant::now();
        while self.dom0.calls_in_progress.load(Ordering::SeqCst) > 0 && began.elapsed() < LATE_CALLS_TIMEOUT {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills xapi and starts it again, without the faults: what it was asked and had not answered is never done.
    ///
    /// # Errors
    /// A socket cannot be opened.
    pub fn restart_xapi(&self) -> io::Result<()> {
        self.dom0.restart_xapi()
    }

    /// What was sent to `/dev/log`, line by line, each with its `<priority>`.
    #[must_use]
    pub fn syslog_lines(&self) -> Vec<String> {
        self.dom0.syslog_lines()
    }
}
