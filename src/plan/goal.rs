//! What a VM should have.

use crate::device_args::{self, FoundDevice};
use crate::error::Error;
use crate::model::{PoolId, Priority, VmSettings, VmUuid};
use crate::settings::{DeviceName, Settings, Unregistered};
use crate::store::Registration;

/// What a VM should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// What it has already: it is not ours.
    LeaveAlone,
    /// Our argument, with these settings.
    Have(VmSettings),
    /// No argument of ours, for this reason.
    HaveNot(Unwanted),
    /// New settings of its own.
    Register {
        pool: PoolId,
        priority: Priority,
        /// The VM whose argument it has, if it is a clone.
        origin: Option<VmUuid>,
    },
}

impl Goal {
    /// The settings that the VM should have; `None` if it should have none, is not ours, or is not registered yet.
    #[must_use]
    pub fn settings(&self) -> Option<VmSettings> {
        match self {
            Self::Have(settings) => Some(*settings),
            Self::LeaveAlone | Self::HaveNot(_) | Self::Register { .. } => None,
        }
    }

    /// Why the VM should have no argument of ours, if that is the goal.
    #[must_use]
    pub fn unwanted(&self) -> Option<Unwanted> {
        match self {
            Self::HaveNot(why) => Some(*why),
            Self::LeaveAlone | Self::Have(_) | Self::Register { .. } => None,
        }
    }

    /// The arguments that a VM should have if it has `args` now.
    ///
    /// # Errors
    /// The arguments cannot be made right.
    pub fn wanted(&self, device: &DeviceName, args: Option<&str>) -> Result<Option<String>, Error> {
        match self {
            Self::LeaveAlone | Self::Register { .. } => Ok(args.map(str::to_owned)),
            Self::Have(settings) => device_args::desired(device, args, Some(settings)),
            Self::HaveNot(_) => device_args::desired(device, args, None),
        }
    }
}

/// Why an argument is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwanted {
    /// It is another VM's: this one was cloned from it, or from a template or snapshot of it.
    Inherited {
        /// The VM that it belongs to.
        origin: VmUuid,
    },
    /// The VM was removed; a snapshot or an import may have brought the argument back.
    Removed,
}

/// The other VM that the argument of a clone belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    pub uuid: VmUuid,
    /// `None` if it was removed.
    pub settings: Option<VmSettings>,
}

/// What a VM should have, given what the database knows of it and the arguments that it has.
#[must_use]
pub fn goal(settings: &Settings, registration: &Registration, found: &[FoundDevice], origin: Option<Origin>) -> Goal {
    let was_removed = match registration {
        Registration::Registered(vm) => return Goal::Have(vm.settings),
        Registration::Removed { vm_id: Some(vm_id), .. } if found.iter().any(|found| found.vm_id == Some(*vm_id)) => {
            return Goal::HaveNot(Unwanted::Removed);
        }
        Registration::Removed { .. } => true,
        Registration::Unknown => false,
    };
    // A VM that was removed on purpose is not registered again behind the administrator's back, and an argument that was
    // written by hand is not replaced.
    let may_register = !was_removed && (found.is_empty() || origin.is_some());
    let register = |pool, priority| Goal::Register { pool, priority, origin: origin.map(|origin| origin.uuid) };
    match (settings.unregistered, origin) {
        (Unregistered::Default, _) if may_register => register(settings.defaults.pool, settings.defaults.priority),
        (Unregistered::Inherit, Some(Origin { settings: Some(VmSettings { pool, priority, .. }), .. }))
            if may_register =>
        {
            register(pool, priority)
        }
        (_, Some(origin)) => Goal::HaveNot(Unwanted::Inherited { origin: origin.uuid }),
        (_, None) => Goal::LeaveAlone,
    }
}
