//! What a test lets go wrong between the hosts of a pool.

use std::io;

use super::SimulatedPool;
use crate::error::ApiError;
use crate::pool::Outage;

/// Faults between hosts, and their end. Domains run on through all of them but a crash of their own host.
impl SimulatedPool {
    /// Cuts a host off from all others. The xapi calls on its socket hang or are refused, and XAPI finds it
    /// `CANNOT_CONTACT_HOST`. If it is the coordinator, that befalls all the others, and it is alone with its database.
    pub fn partition(&self, host: usize, outage: Outage) {
        self.pool.cut_off(&self.host(host).dom0, outage);
    }

    /// Ends that. The host tells the coordinator what runs on it, and pushes to xenopsd what has changed meanwhile.
    pub fn heal(&self, host: usize) {
        self.pool.reconnect(&self.host(host).dom0);
    }

    /// Lets the coordinator's xapi be gone: every host's calls hang or are refused, its own too, and nobody can change
    /// the database. With a failover to another, the former coordinator stays out of reach until it is healed.
    pub fn lose_coordinator(&self, outage: Outage) {
        self.pool.set_lost(Some(outage));
    }

    /// The lost coordinator comes back, with its database as it was.
    pub fn restore_coordinator(&self) {
        self.pool.set_lost(None);
    }

    /// Lets a host lose its power: its programs are killed, its sockets vanish, its domains are gone, its disk stays.
    /// The database has its VMs running until it is declared dead or starts again. If it is the coordinator, the others'
    /// calls hang, or do what `lose_coordinator` says.
    pub fn crash(&self, host: usize) {
        self.host(host).dom0.crash();
    }

    /// Starts a host that has crashed, without the faults that it had. Its VMs are halted.
    ///
    /// # Errors
    /// The sockets cannot be opened.
    pub fn restart(&self, host: usize) -> io::Result<()> {
        self.host(host).dom0.restart()?;
        self.pool.report_all();
        Ok(())
    }

    /// `host.declare_dead`: what ran on a host that has crashed counts as halted.
    ///
    /// # Errors
    /// `HOST_IS_LIVE` if it has not crashed; `HOST_OFFLINE` or `CANNOT_CONTACT_HOST` if there is no coordinator.
    pub fn declare_dead(&self, host: usize) -> Result<(), ApiError> {
        let dom0 = &self.host(host).dom0;
        if dom0.is_up() {
            return Err(ApiError::new("HOST_IS_LIVE", &[&dom0.reference]));
        }
        self.pool.check_coordinator()?;
        dom0.declare_dead();
        Ok(())
    }

    /// Lets a host copy the whole database, as each does about every five minutes. The first copies are made when the
    /// pool starts.
    ///
    /// # Errors
    /// `HOST_OFFLINE` or `CANNOT_CONTACT_HOST` if it does not reach the coordinator.
    pub fn sync_replica(&self, host: usize) -> Result<(), ApiError> {
        self.pool.sync_replica(&self.host(host).dom0)
    }

    /// Makes a host the coordinator, with its copy of the database: what was written since its last `sync_replica` is
    /// lost, and so are all sessions. The hosts that it reaches tell it what runs on them. The former coordinator keeps
    /// its own database as the copy with which it would take over again. Who was cut off or lost, still is.
    ///
    /// # Errors
    /// `HOST_OFFLINE` if that host has crashed.
    pub fn failover(&self, to: usize) -> Result<(), ApiError> {
        self.pool.fail_over(&self.host(to).dom0)
    }

    /// Ends everything that goes wrong: crashed hosts start, all reach each other, no fault is left.
    ///
    /// # Errors
    /// A socket cannot be opened.
    pub fn end_all_faults(&self) -> io::Result<()> {
        self.pool.set_lost(None);
        for host in &self.hosts {
            host.dom0.restart()?;
            host.clear_faults()?;
            self.pool.reconnect(&host.dom0);
        }
        Ok(())
    }
}
