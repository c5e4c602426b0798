//! The sockets of a host, opened and closed as the faults in force have it.

use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use super::Dom0;
use crate::fault::{Fault, Service};
use crate::listener::Listener;
use crate::{lock, switch, xapi};

/// What is listening.
#[derive(Default)]
pub struct Services {
    xapi: Option<Listener>,
    switch: Option<Listener>,
    /// A second way to the `simulated.` methods that no fault closes.
    control: Option<Listener>,
}

impl Services {
    fn of(&mut self, service: Service) -> &mut Option<Listener> {
        match service {
            Service::Xapi => &mut self.xapi,
            Service::MessageSwitch | Service::Xenopsd => &mut self.switch,
        }
    }
}

impl Dom0 {
    fn socket(&self, service: Service) -> PathBuf {
        self.root.join(match service {
            Service::Xapi => "var/lib/xcp/xapi",
            Service::MessageSwitch | Service::Xenopsd => "var/run/message-switch/sock",
        })
    }

    pub(super) fn open_services(self: &Arc<Self>) -> io::Result<()> {
        self.open(Service::Xapi)?;
        self.open(Service::MessageSwitch)?;
        self.pass_on_events_in_time();
        let dom0 = Arc::clone(self);
        let path = self.root.join("var/run/simulated-host/control");
        lock(&self.services).control =
            Some(Listener::open(&path, Arc::new(move |stream| xapi::serve_control(&dom0, stream)))?);
        Ok(())
    }

    fn open(self: &Arc<Self>, service: Service) -> io::Result<()> {
        let mut services = lock(&self.services);
        let slot = services.of(service);
        if slot.is_none() {
            let dom0 = Arc::clone(self);
            *slot = Some(Listener::open(
                &self.socket(service),
                match service {
                    Service::Xapi => Arc::new(move |stream| xapi::serve(&dom0, stream)),
                    _ => Arc::new(move |stream| switch::serve(&dom0, stream)),
                },
            )?);
        }
        Ok(())
    }

    /// As when the power goes: nobody gets the rest of a reply.
    pub(super) fn cut_services(&self) {
        let Services { xapi, switch, control } = std::mem::take(&mut *lock(&self.services));
        for listener in [xapi, switch, control].into_iter().flatten() {
            let _ = listener.cut();
        }
        self.remove_sockets();
    }

    fn remove_sockets(&self) {
        // A fault may have left a socket that nobody listens on.
        let _ = fs::remove_file(self.socket(Service::Xapi));
        let _ = fs::remove_file(self.socket(Service::MessageSwitch));
    }

    pub(super) fn close_services(&self) {
        let Services { xapi, switch, control } = std::mem::take(&mut *lock(&self.services));
        for listener in [xapi, switch, control].into_iter().flatten() {
            let _ = listener.close(true);
        }
        self.remove_sockets();
    }

    /// Lets a fault come into force.
    pub fn set_fault(self: &Arc<Self>, service: Service, method: Option<&str>, fault: Fault) -> io::Result<()> {
        let closes = method.is_none() && service != Service::Xenopsd;
        let refuses = fault == Fault::Refuses;
        let absent = refuses || fault == Fault::Absent;
        self.faults.set(service, method, 0, fault);
        if method.is_none() && absent {
            self.faults.end(service);
        }
        if closes && absent && service == Service::Xapi {
            self.xapi_has_ended();
        }
        if !closes {
            return Ok(());
        }
        if !absent {
            self.open(service)?;
            if service == Service::Xapi {
                self.report();
            }
            return Ok(());
        }
        let listener = lock(&self.services).of(service).take();
        if let Some(listener) = listener {
            listener.close(false)?;
        }
        let _ = fs::remove_file(self.socket(service));
        if refuses {
            // The file of a socket that was bound and closed again refuses connections.
            drop(UnixListener::bind(self.socket(service))?);
        }
        Ok(())
    }

    /// Lets a fault come into force after so many calls have succeeded. No socket vanishes then: connections end.
    pub fn set_fault_after(&self, service: Service, method: Option<&str>, after: usize, fault: Fault) {
        self.faults.set(service, method, after, fault);
    }

    /// xapi is killed and starts again: what it had begun is gone, and so are the faults.
    pub fn restart_xapi(self: &Arc<Self>) -> io::Result<()> {
        self.xapi_has_ended();
        self.faults.end(Service::Xapi);
        self.clear_faults()
    }

    /// Lets everything work again. What xapi did not get to do meanwhile, it does now.
    pub fn clear_faults(self: &Arc<Self>) -> io::Result<()> {
        self.faults.clear();
        if !self.is_up() {
            return Ok(());
        }
        self.open(Service::Xapi)?;
        self.open(Service::MessageSwitch)?;
        self.report();
        // If this is the coordinator, the others can reach it again.
        for host in self.pool.hosts().iter().filter(|host| host.reference != self.reference) {
            host.report();
        }
        Ok(())
    }
}
