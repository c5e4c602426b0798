//! Who reaches whom: the coordinator, and the hosts that cannot reach it.

use std::collections::HashMap;
use std::sync::Arc;

use super::PoolState;
use crate::dom0::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::lock;

/// How a host's xapi answers while its coordinator is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outage {
    /// Calls block until the coordinator is back, and are carried out then: it was lost a moment ago.
    Hangs,
    /// xapi is in emergency mode: every call is refused at once, with this error.
    Emergency(ApiError),
}

impl Outage {
    /// Emergency mode with an error's code and parameters.
    #[must_use]
    pub fn emergency(code: &str, params: &[&str]) -> Self {
        Self::Emergency(ApiError::new(code, params))
    }
}

/// The state of the management network, as far as the pool feels it.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// The coordinator's reference.
    coordinator: String,
    /// The hosts that are cut off from all others.
    cut: HashMap<String, Outage>,
    /// Whether the coordinator's xapi is gone, and how that shows.
    lost: Option<Outage>,
}

impl PoolState {
    /// The coordinator's reference.
    pub fn coordinator_ref(&self) -> String {
        lock(&self.contact).coordinator.clone()
    }

    /// Whether a host is the coordinator.
    pub fn is_coordinator(&self, host: &Dom0) -> bool {
        lock(&self.contact).coordinator == host.reference
    }

    /// The coordinator.
    pub fn coordinator(&self) -> ApiResult<Arc<Dom0>> {
        self.host(&self.coordinator_ref())
    }

    /// Lets a host be the coordinator. It reaches itself; the one that was lost stays out of reach.
    pub(super) fn set_coordinator(&self, reference: &str) {
        let mut contact = lock(&self.contact);
        let former = std::mem::replace(&mut contact.coordinator, reference.to_owned());
        if let Some(outage) = contact.lost.take()
            && former != reference
        {
            contact.cut.insert(former, outage);
        }
        contact.cut.remove(reference);
    }

    /// Why a host does not reach its coordinator; `None`: it does.
    pub fn outage_of(&self, host: &Dom0) -> Option<Outage> {
        let coordinator = {
            let contact = lock(&self.contact);
            if let Some(outage) = &contact.lost {
                return Some(contact.cut.get(&host.reference).unwrap_or(outage).clone());
            }
            if contact.coordinator == host.reference {
                return None;
            }
            let cut = contact.cut.get(&host.reference).or_else(|| contact.cut.get(&contact.coordinator));
            if let Some(outage) = cut {
                return Some(outage.clone());
            }
            contact.coordinator.clone()
        };
        // A host that has crashed, or whose xapi is down, answers nobody.
        let answers = self.host(&coordinator).is_ok_and(|coordinator| coordinator.answers_the_pool());
        (!answers).then_some(Outage::Hangs)
    }

    /// Whether a host is up and reaches its coordinator.
    pub fn is_in_contact(&self, host: &Dom0) -> bool {
        host.is_up() && self.outage_of(host).is_none()
    }

    /// What XAPI says when it is to do something on a host that it cannot reach (`do_op_on` in
    /// `ocaml/xapi/message_forwarding.ml`). It says it at once here: the real one tries for more than a minute, and a host
    /// counts as offline only after ten minutes of silence (`host_assumed_dead_interval` in `ocaml/xapi/xapi_globs.ml`),
    /// until when it is one that cannot be contacted. A member whose xapi hangs is taken for one that answers.
    pub fn check_contact(&self, host: &Dom0) -> ApiResult<()> {
        if !host.is_up() {
            return Err(ApiError::new("HOST_OFFLINE", &[&host.reference]));
        }
        // What the coordinator does itself takes no xapi's socket.
        let listens = self.is_coordinator(host) || host.xapi_listens();
        match self.outage_of(host) {
            None if listens => Ok(()),
            _ => Err(ApiError::new("CANNOT_CONTACT_HOST", &[&host.reference])),
        }
    }

    /// What XAPI says when nobody can change its database.
    pub fn check_coordinator(&self) -> ApiResult<()> {
        self.check_contact(&*self.coordinator()?)
    }

    /// Cuts a host off from all others.
    pub fn cut_off(&self, host: &Dom0, outage: Outage) {
        lock(&self.contact).cut.insert(host.reference.clone(), outage);
    }

    /// Gives a host its network back.
    pub fn reconnect(&self, host: &Dom0) {
        lock(&self.contact).cut.remove(&host.reference);
        self.report_all();
    }

    /// Lets the coordinator's xapi be gone, or be back.
    pub fn set_lost(&self, outage: Option<Outage>) {
        let is_back = outage.is_none();
        lock(&self.contact).lost = outage;
        if is_back {
            self.report_all();
        }
    }

    /// Lets every host that reaches the coordinator tell what really runs on it: the coordinator first, as the others
    /// wait for it to start. Which of them is next is a guess, and so is that a member whose coordinator comes back looks at
    /// all of its VMs, as only one that starts does: the real one goes on with the events that it could not tell.
    pub fn report_all(&self) {
        let (coordinator, members): (Vec<_>, Vec<_>) =
            self.hosts().into_iter().partition(|host| self.is_coordinator(host));
        for host in coordinator.iter().chain(&members) {
            host.report();
        }
    }
}
