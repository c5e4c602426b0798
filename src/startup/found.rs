//! What is found before a start: what xenopsd is about to boot, and what XAPI has.

use super::Start;
use super::report::{ThisBoot, XapiState};
use crate::deadline::Deadline;
use crate::device_args::PLATFORM_KEY;
use crate::mirror::Mirror;
use crate::xenapi::{Reference, Session, VmRecord, XapiError};
use crate::xenopsd::{VmMetadata, Xenopsd, XenopsdError};

/// xenopsd as it was found.
pub(super) enum Booting {
    /// It is about to boot the VM with this, in a start or a reboot.
    Now(Xenopsd, Box<VmMetadata>),
    /// It runs the VM, or does not know it: nothing boots.
    No { is_running: bool },
    /// It could not be asked.
    Unknown(XenopsdError),
}

impl Booting {
    /// Asks xenopsd what it is about to boot the VM with.
    pub fn ask(start: &Start<'_>, deadline: Deadline) -> Self {
        let deadline = deadline.at_most(start.share(4));
        let asked = Xenopsd::connect(&start.root.message_switch_socket(), deadline)
            .and_then(|mut xenopsd| Ok((xenopsd.stat(&start.vm_uuid)?, xenopsd)));
        match asked {
            Ok((Some(metadata), _)) if metadata.has_domain => Booting::No { is_running: true },
            Ok((Some(metadata), xenopsd)) => Booting::Now(xenopsd, Box::new(metadata)),
            Ok((None, _)) => Booting::No { is_running: false },
            Err(error) => Booting::Unknown(error),
        }
    }

    pub fn left_alone(self) -> ThisBoot {
        match self {
            Self::Now(..) => ThisBoot::LeftAlone,
            Self::No { is_running } => ThisBoot::NotStarting { is_running },
            Self::Unknown(error) => ThisBoot::Unknown(error.to_string()),
        }
    }
}

/// What XAPI has: the pool-wide copy of the settings, and the VM's record where it knows the VM.
pub(super) struct Xapi {
    pub session: Session,
    pub mirror: Mirror,
    pub vm: Option<XapiVm>,
}

impl Xapi {
    /// Asks XAPI.
    pub fn ask(start: &Start<'_>, deadline: Deadline) -> XapiAnswer {
        let deadline = deadline.at_most(start.share(4));
        let mut session = Session::log_in(&start.root.xapi_socket(), deadline)?;
        // In the order opposite to the one in which they are written: a record that is newer than the copy would seem wrong.
        let vm = match session.vm_by_uuid(&start.vm_uuid)? {
            None => None,
            Some(vm) => {
                let VmRecord { name_label: name, mut platform, power_state, .. } = session.vm_record(&vm)?;
                let is_halted = power_state == "Halted";
                Some(XapiVm { vm, name, is_halted, args: platform.swap_remove(PLATFORM_KEY) })
            }
        };
        let mirror = Mirror::load(&mut session)?;
        Ok(Self { session, mirror, vm })
    }
}

/// A VM as XAPI has it.
pub(super) struct XapiVm {
    pub vm: Reference,
    pub name: String,
    /// Whether this is a start: at a reboot XAPI has the VM running.
    pub is_halted: bool,
    pub args: Option<String>,
}

pub(super) type XapiAnswer = Result<Xapi, XapiError>;

impl XapiState {
    pub(super) fn of_answer(answer: &XapiAnswer) -> Self {
        match answer {
            Ok(Xapi { vm: Some(_), .. }) => Self::NotAsked,
            Ok(Xapi { vm: None, .. }) => Self::UnknownVm,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}
