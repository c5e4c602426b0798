//! What was found and done before a VM's start, for the log and for an administrator who runs the hook by hand.

use std::fmt::Write;
use std::time::Duration;

use crate::model::{VmSettings, VmUuid};
use crate::plan::Unwanted;
use crate::store::Registration;
use crate::text::one_line;

/// The outcome for the boot in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThisBoot {
    /// It is not ours to change.
    LeftAlone,
    /// It had the right arguments.
    AlreadyRight,
    /// It was given the right arguments.
    Repaired {
        /// The arguments that it would have had.
        was: Option<String>,
    },
    /// There is none: the VM has a domain, or xenopsd does not know it.
    NotStarting {
        /// Whether the VM runs.
        is_running: bool,
    },
    /// It could not be checked, for this reason.
    Unknown(String),
}

/// The outcome for XAPI's record, which the next boot uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XapiState {
    /// There was no reason to ask.
    NotAsked,
    /// It had the right arguments.
    AlreadyRight,
    /// It was given the right arguments.
    Repaired,
    UnknownVm,
    /// XAPI's record could not be checked or corrected, for this reason.
    Failed(String),
}

/// What decides a boot if XAPI cannot be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deciding {
    /// The arguments that it already has: they are at least as new as the database.
    Arguments,
    /// The database, for this reason.
    Database(&'static str),
}

#[derive(Debug, Clone)]
pub struct Report {
    pub vm_uuid: VmUuid,
    /// Its name, if the database or XAPI has it.
    pub name: Option<String>,
    /// Whether it is or was registered.
    pub is_known: bool,
    /// `None` if it should have no argument of ours.
    pub settings: Option<VmSettings>,
    /// Whether this start registered it.
    pub registered_now: bool,
    /// Why it must not have the argument that it had.
    pub unwanted: Option<Unwanted>,
    /// The device-model-args that it boots with.
    pub args: Option<String>,
    pub this_boot: ThisBoot,
    /// Whether XAPI says that the VM is halted, so that this is a start and not a reboot.
    pub is_start: bool,
    pub xapi: XapiState,
    /// What decided the boot, if XAPI could not be asked.
    pub decided_by: Option<Deciding>,
    /// What else went wrong.
    pub problems: Vec<String>,
    pub took: Duration,
    /// The VM's last change in the history that this start knows of.
    pub(super) last_change: i64,
}

impl Report {
    pub(super) fn new(vm_uuid: VmUuid, registration: &Registration, args: Option<&str>) -> Self {
        let name = match registration {
            Registration::Registered(vm) => vm.name.clone(),
            Registration::Removed { .. } | Registration::Unknown => None,
        };
        Self {
            vm_uuid,
            name,
            is_known: !matches!(registration, Registration::Unknown),
            settings: None,
            registered_now: false,
            unwanted: None,
            args: args.map(str::to_owned),
            this_boot: ThisBoot::LeftAlone,
            is_start: false,
            xapi: XapiState::NotAsked,
            decided_by: None,
            problems: Vec::new(),
            took: Duration::ZERO,
            last_change: 0,
        }
    }

    /// Whether the arguments of the boot in progress are known.
    pub(super) fn boots_with_args(&self) -> bool {
        matches!(self.this_boot, ThisBoot::AlreadyRight | ThisBoot::Repaired { .. } | ThisBoot::LeftAlone)
    }

    /// Whether nothing is known to be wrong with the boot in progress. If xenopsd could not be asked but XAPI has the right
    /// arguments, a start is right: xapi passed its record on a moment ago. Before a reboot it does not.
    #[must_use]
    pub fn boot_is_right(&self) -> bool {
        match self.this_boot {
            ThisBoot::Unknown(_) => self.is_start && self.xapi == XapiState::AlreadyRight,
            _ => true,
        }
    }

    /// All problems, in one line.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let mut problems = Vec::new();
        if let ThisBoot::Unknown(reason) = &self.this_boot {
            problems.push(format!("the arguments of this boot could not be checked: {reason}"));
        }
        if let XapiState::Failed(reason) = &self.xapi {
            let consequence = match &self.this_boot {
                _ if self.decided_by == Some(Deciding::Arguments) => {
                    "the existing arguments were kept, they are at least as new as the database"
                }
                ThisBoot::AlreadyRight | ThisBoot::Repaired { .. } => {
                    "this boot has the right arguments, XAPI's record is corrected at the next start or reboot"
                }
                ThisBoot::LeftAlone => "this boot was left alone",
                ThisBoot::NotStarting { .. } | ThisBoot::Unknown(_) => "XAPI's record could not be checked",
            };
            let decided = match (self.decided_by, &self.this_boot) {
                (Some(Deciding::Database(why)), ThisBoot::Repaired { .. }) => format!("the database won, {why}; "),
                _ => String::new(),
            };
            problems.push(format!("{reason}; {decided}{consequence}"));
        }
        problems.extend(self.problems.iter().cloned());
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    /// One line for the log: who, what, what was changed, how long.
    #[must_use]
    pub fn log_line(&self) -> String {
        let mut line = format!("VM {}:", self.vm_uuid);
        // Writing to a string does not fail.
        let _ = match &self.settings {
            Some(VmSettings { pool, priority, vm_id }) => {
                write!(line, " pool={pool} priority={priority} vm_id={vm_id}")
            }
            None => write!(line, " not registered"),
        };
        let _ = write!(line, " {}", self.changed());
        if let Some(problem) = self.problem() {
            let _ = write!(line, " problem=\"{problem}\"");
        }
        let _ = write!(line, " {} ms", self.took.as_millis());
        line
    }

    /// What this boot has, and what was changed.
    fn changed(&self) -> String {
        let mut changed = Vec::new();
        if self.registered_now {
            changed.push("registered");
        }
        if matches!(self.this_boot, ThisBoot::Repaired { .. }) {
            changed.push("this-boot");
        }
        if self.xapi == XapiState::Repaired {
            changed.push("xapi");
        }
        let changed = if changed.is_empty() { "nothing".to_owned() } else { changed.join(",") };
        let args = |args: &Option<String>| format!("\"{}\"", args.as_deref().unwrap_or_default());
        match &self.this_boot {
            // If this boot was not checked, "nothing" would say that all is well.
            ThisBoot::Unknown(_) if changed == "nothing" => "boot=unknown".to_owned(),
            ThisBoot::Unknown(_) => format!("boot=unknown changed={changed}"),
            ThisBoot::NotStarting { .. } => format!("boot=none changed={changed}"),
            ThisBoot::Repaired { was } => format!("boot={} changed={changed} was={}", args(&self.args), args(was)),
            ThisBoot::LeftAlone | ThisBoot::AlreadyRight => format!("boot={} changed={changed}", args(&self.args)),
        }
    }

    /// What was found, what was done and for which boot, in plain words.
    #[must_use]
    pub fn in_plain_words(&self) -> String {
        let name = self.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut lines = vec![format!("VM {}{name} {}", self.vm_uuid, self.registration_in_words())];
        lines.push(format!("This boot: {}", self.this_boot_in_words()));
        lines.push(format!("Next boots: {}", self.xapi_in_words()));
        lines.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n")
    }

    fn registration_in_words(&self) -> String {
        match (&self.settings, &self.unwanted) {
            (Some(VmSettings { pool, priority, vm_id }), _) => {
                let now = if self.registered_now { "was registered just now" } else { "is registered" };
                format!("{now}: GPU pool {pool}, priority {priority}, vm_id {vm_id}.")
            }
            (None, Some(Unwanted::Inherited { origin })) => {
                format!("is not registered, and has the vGPU argument of VM {origin}, from which it was cloned.")
            }
            (None, Some(Unwanted::Removed)) => "was removed and gets no vGPU argument.".to_owned(),
            (None, None) => "is not registered.".to_owned(),
        }
    }

    fn this_boot_in_words(&self) -> String {
        let args = |args: &Option<String>| match args {
            Some(args) => format!("'{args}'"),
            None => "no device-model-args".to_owned(),
        };
        match &self.this_boot {
            _ if self.decided_by == Some(Deciding::Arguments) => {
                format!("XAPI is away, so {} was kept: it is at least as new as the database.", args(&self.args))
            }
            ThisBoot::LeftAlone => format!("left alone, it has {}.", args(&self.args)),
            ThisBoot::AlreadyRight => format!("nothing to change, it has {}.", args(&self.args)),
            ThisBoot::Repaired { was } => format!("changed from {} to {}.", args(was), args(&self.args)),
            ThisBoot::NotStarting { is_running: true } => {
                "the VM is already running, its QEMU keeps its arguments until the next start or reboot.".to_owned()
            }
            ThisBoot::NotStarting { is_running: false } => "the VM is not being started.".to_owned(),
            ThisBoot::Unknown(reason) => format!("could not be checked: {reason}."),
        }
    }

    fn xapi_in_words(&self) -> String {
        match &self.xapi {
            XapiState::NotAsked => "nothing to change in XAPI.".to_owned(),
            XapiState::AlreadyRight => "XAPI has the right arguments.".to_owned(),
            XapiState::Repaired => "XAPI's record was corrected.".to_owned(),
            XapiState::UnknownVm => "XAPI does not know the VM.".to_owned(),
            XapiState::Failed(reason) => format!("{reason}."),
        }
    }
}
