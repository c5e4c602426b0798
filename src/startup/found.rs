//! What is known before a start: what xenopsd is about to boot, and what XAPI has.

use super::Start;
use super::report::{ThisBoot, XapiState};
use crate::deadline::Deadline;
use crate::device_args::PLATFORM_KEY;
use crate::shared_copy::SharedCopy;
use crate::xenapi::{Session, XapiError, XapiVm};
use crate::xenopsd::{VmMetadata, Xenopsd, XenopsdError};

/// What xenopsd says of the VM.
pub(super) enum Booting {
    /// It is about to boot the VM with this metadata, in a start or a reboot.
    Now(Xenopsd, Box<VmMetadata>),
    /// It runs the VM, or does not know it: there is no boot.
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

    /// The arguments that the VM is about to boot with; `None` if there are none, or no boot is known.
    pub fn args(&self) -> Option<&str> {
        match self {
            Self::Now(_, metadata) => metadata.platform(PLATFORM_KEY),
            Self::No { .. } | Self::Unknown(_) => None,
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

/// What XAPI has: the shared copy, and the VM's record if XAPI knows the VM.
pub(super) struct Xapi {
    pub session: Session,
    pub shared: SharedCopy,
    pub vm: XapiVm,
}

impl Xapi {
    pub fn ask(start: &Start<'_>, deadline: Deadline) -> XapiAnswer {
        let deadline = deadline.at_most(start.share(4));
        let mut session = Session::log_in(&start.root.xapi_socket(), deadline)?;
        // In the reverse order of a change, which writes the shared copy first: a record that is newer than it would seem
        // wrong.
        let vm = session.look_up(&start.vm_uuid)?;
        let shared = SharedCopy::load(&mut session)?;
        Ok(Self { session, shared, vm })
    }
}

pub(super) type XapiAnswer = Result<Xapi, XapiError>;

impl XapiState {
    pub(super) fn of_answer(answer: &XapiAnswer) -> Self {
        match answer {
            Ok(Xapi { vm: XapiVm::Known { .. }, .. }) => Self::NotAsked,
            Ok(_) => Self::UnknownVm,
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}
