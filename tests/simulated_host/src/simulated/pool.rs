//! Several hosts in one resource pool.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SimulatedHost;
use crate::dom0::{Dom0, Identity};
use crate::error::ApiError;
use crate::pool::PoolState;
use crate::random;

/// How many hosts a pool may have.
const HOSTS: std::ops::RangeInclusive<usize> = 1..=4;

/// A resource pool: a coordinator, at first the first host, and members. Every host has its own root, sockets, xenopsd,
/// plugins and hooks; the database is one for all. Hosts are named by their place: 0, 1, 2, 3.
///
/// Everything that a [`SimulatedHost`] is asked about the database (`platform`, `create_vm`, `pool_other_config`, …) is
/// asked of the whole pool, and works through any of them; it sees the coordinator's database even where that host's
/// xapi does not, but `set_platform_key` and `rename` need a coordinator that works. What XAPI does (`vm_start`,
/// `clean_reboot`, `shutdown`, `clone_vm`, `call_plugin`, …) needs the coordinator to reach the host that does it:
/// `HOST_OFFLINE`, `CANNOT_CONTACT_HOST`. What a guest does (`guest_reboot`, `guest_power_off`) needs its host alone.
pub struct SimulatedPool {
    pub(super) hosts: Vec<SimulatedHost>,
    pub(super) pool: Arc<PoolState>,
}

impl Drop for SimulatedPool {
    fn drop(&mut self) {
        // All of them first: a host that ends waits for its connections, and one of them may wait for another host.
        for host in &self.hosts {
            host.dom0.end_life();
        }
    }
}

/// The pool and its hosts.
impl SimulatedPool {
    /// Starts a pool of so many hosts, the coordinator among them, each with its root below a folder: `h1`, `h2`, and so
    /// on. The folder's path must be short enough for unix sockets (about 60 bytes).
    ///
    /// # Errors
    /// The number is not between 1 and 4, or the files or the sockets cannot be created.
    pub fn start(folder: &Path, members: usize) -> io::Result<Self> {
        let roots: Vec<PathBuf> = (1..=members).map(|number| folder.join(format!("h{number}"))).collect();
        for root in &roots {
            fs::create_dir_all(root)?;
        }
        Self::start_in(&roots)
    }

    /// Starts a pool with a host in each of these roots, the first of them the coordinator.
    ///
    /// # Errors
    /// There is none or there are more than 4, or the files or the sockets cannot be created.
    pub fn start_in<P: AsRef<Path>>(roots: &[P]) -> io::Result<Self> {
        if !HOSTS.contains(&roots.len()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a simulated pool has 1 to 4 hosts"));
        }
        let reference = random::reference();
        let pool = Arc::new(PoolState::new(&reference));
        let mut started = Self { hosts: Vec::new(), pool: Arc::clone(&pool) };
        for (number, root) in (1..).zip(roots) {
            let identity =
                Identity { name: format!("xcp-ng-{number}"), pool: reference.clone(), ..Identity::default() };
            started.hosts.push(SimulatedHost { dom0: Dom0::start(root.as_ref(), identity, &pool)? });
        }
        for host in &started.hosts {
            pool.sync_replica(&host.dom0).map_err(io::Error::other)?;
        }
        Ok(started)
    }

    /// A host.
    ///
    /// # Panics
    /// There is none of that number.
    #[must_use]
    pub fn host(&self, index: usize) -> &SimulatedHost {
        &self.hosts[index]
    }

    /// All hosts.
    #[must_use]
    pub fn hosts(&self) -> &[SimulatedHost] {
        &self.hosts
    }

    /// How many hosts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Never: a pool has a coordinator at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The host that is the coordinator now.
    #[must_use]
    pub fn coordinator(&self) -> &SimulatedHost {
        self.host(self.coordinator_index())
    }

    /// The place of the host that is the coordinator now.
    #[must_use]
    pub fn coordinator_index(&self) -> usize {
        self.hosts.iter().position(|host| self.pool.is_coordinator(&host.dom0)).unwrap_or_default()
    }

    /// The host on which a VM has a domain, whatever the database says.
    #[must_use]
    pub fn runs_on(&self, uuid: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.dom0.xenopsd.domain(uuid).is_some())
    }

    /// `VM.pool_migrate`: the domain goes on with the platform data that it was built with, and no vm-pre-start runs.
    ///
    /// # Errors
    /// As XAPI has them: `VM_NOT_RESIDENT_HERE`, `VM_BAD_POWER_STATE`, `HOST_OFFLINE`, `CANNOT_CONTACT_HOST`.
    pub fn migrate(&self, uuid: &str, from: usize, to: usize) -> Result<(), ApiError> {
        let vm = self.host(from).vm_ref(uuid)?;
        self.host(from).dom0.migrate_vm(&vm, &self.host(to).dom0, false)
    }

    /// The XenAPI methods that were called over any host's socket, oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.pool.calls()
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.pool.clear_calls();
    }
}
