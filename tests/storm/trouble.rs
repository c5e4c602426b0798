//! What goes wrong between the hosts, and its end.

use simulated_host::{ApiError, Outage};

use super::step::Trouble;
use super::world::World;

impl World<'_> {
    /// Lets something go wrong, or ends it; says whether that could be.
    pub fn trouble(&mut self, host: usize, trouble: &Trouble) -> bool {
        let emergency = || Outage::Emergency(ApiError::new("HOST_STILL_BOOTING", &[]));
        let coordinator = self.pool.coordinator_index();
        match trouble {
            Trouble::Partition => self.pool.partition(host, emergency()),
            Trouble::Heal => self.pool.heal(host),
            Trouble::LoseCoordinator => self.pool.lose_coordinator(emergency()),
            Trouble::RestoreCoordinator if self.crashed[coordinator] => return false,
            Trouble::RestoreCoordinator => self.pool.restore_coordinator(),
            Trouble::Crash if self.crashed[host] => return false,
            Trouble::Crash => {
                // The others' calls would hang, which takes each of them seconds.
                if host == coordinator {
                    self.pool.lose_coordinator(emergency());
                }
                self.pool.crash(host);
                self.crashed[host] = true;
            }
            Trouble::Restart if !self.crashed[host] => return false,
            Trouble::Restart => self.restart(host, host == coordinator),
            Trouble::DeclareDead => return self.pool.declare_dead(host).is_ok(),
            Trouble::CopyDatabase => {
                let copied = self.pool.sync_replica(host).is_ok();
                if copied {
                    self.ledger.copied(host);
                }
                return copied;
            }
            Trouble::FailOver => return self.fail_over(coordinator, host),
            // A coordinator without its xapi is a lost one, and lets the others hang.
            Trouble::Break(..) if self.crashed[host] || host == coordinator => return false,
            Trouble::Break(service, fault) => {
                self.host(host).set_fault(*service, fault.clone()).expect("sockets can be closed");
                self.broken[host] = Some(*service);
            }
            Trouble::Mend if self.broken[host].is_none() => return false,
            Trouble::Mend => self.mend(host),
        }
        true
    }

    fn restart(&mut self, host: usize, is_coordinator: bool) {
        self.pool.restart(host).expect("sockets can be opened");
        self.pool.heal(host);
        // The coordinator's xapi was lost with it.
        if is_coordinator {
            self.pool.restore_coordinator();
        }
        (self.crashed[host], self.broken[host]) = (false, None);
    }

    fn mend(&mut self, host: usize) {
        self.host(host).clear_faults().expect("sockets can be opened");
        self.host(host).wait_for_late_calls();
        self.broken[host] = None;
    }

    fn fail_over(&mut self, from: usize, to: usize) -> bool {
        if self.crashed[to] || from == to {
            return false;
        }
        self.mend(to);
        self.pool.failover(to).expect("it is up and has a copy");
        self.ledger.failed_over(from, to);
        true
    }
}
