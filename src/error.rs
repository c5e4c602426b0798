//! What can go wrong, with a stable code for programs and a sentence for people that says what to do next.

use std::fmt;
use std::path::PathBuf;

use crate::config_file::ConfigFileError;
use crate::entry::EntryError;
use crate::model::{DeviceVmId, InvalidValue, VmUuid};
use crate::settings::SettingsError;
use crate::store::StoreError;
use crate::text;
use crate::vm_lock::LockError;
use crate::xenapi::XapiError;
use crate::xenopsd::XenopsdError;

/// Everything that an operation can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument has a value that it cannot have.
    #[error("{name}: '{value}' is not valid: expected {expected}")]
    InvalidParam {
        /// The argument's name, as the plugin's callers write it.
        name: String,
        /// The value as it came.
        value: String,
        /// What would have been accepted.
        expected: String,
    },
    /// An argument that has to be there is not.
    #[error("{name} is missing: expected {expected}")]
    MissingParam {
        /// The argument's name.
        name: &'static str,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The VM has no settings.
    #[error("VM {0} is not registered: see 'vgpu-admin list-vms', or register it with 'vgpu-admin register-vm'")]
    NotRegistered(VmUuid),
    /// No registered VM has that name.
    #[error("no registered VM is named '{0}': see 'vgpu-admin list-vms', or name it by its UUID")]
    NoSuchName(String),
    /// The registered VM of that name has another one by now.
    #[error("VM {vm_uuid} was named '{name}' and is named '{now}' now: use that name, or its UUID")]
    Renamed {
        /// The name that it had.
        name: String,
        /// The VM.
        vm_uuid: VmUuid,
        /// The name that it has in XAPI.
        now: String,
    },
    /// XAPI has no VM of that name.
    #[error("XAPI knows no VM named '{0}': see 'xe vm-list'; a template is named by its UUID")]
    NoSuchVm(String),
    /// Several VMs have that name.
    #[error("{} {kind} are named '{name}': name the one that is meant by its UUID: {}", vms.len(), listed(vms))]
    AmbiguousName {
        /// The name they share.
        name: String,
        /// What they are.
        kind: &'static str,
        /// The VMs.
        vms: Vec<NamedVm>,
    },
    /// The VM has settings already.
    #[error("VM {0} is registered already: change it with 'vgpu-admin update-vm'")]
    AlreadyRegistered(VmUuid),
    /// Another VM has that `vm_id`.
    #[error("vm_id {vm_id} belongs to VM {owner}: choose another, or leave it out and one is derived from the UUID")]
    DeviceVmIdTaken {
        /// The number asked for.
        vm_id: DeviceVmId,
        /// Whose it is.
        owner: VmUuid,
    },
    /// Another program works on the VM.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The VM's row was edited while it was changed, several times.
    #[error("the VM's row was edited by hand while it was changed: try again")]
    Contended,
    /// Somebody has ended the program by a signal.
    #[error("interrupted: nothing was changed")]
    Interrupted,
    /// A change that names nothing to change.
    #[error("nothing to change was named: expected at least one of pool, priority and vm_id")]
    NothingToChange,
    /// XAPI has no VM with that UUID.
    #[error(
        "XAPI knows no VM {0}: see 'xe vm-list'. To register a VM that is yet to come, add --force (force=true through the plugin)"
    )]
    UnknownToXapi(VmUuid),
    /// The VM is a snapshot or dom0 itself, which are never started.
    #[error("{vm_uuid} is {what}, which is never started: register the VM itself")]
    NotAVm {
        /// Its UUID.
        vm_uuid: VmUuid,
        /// What it is instead.
        what: &'static str,
    },
    /// The value for XAPI would be longer than xenstore takes.
    #[error(
        "device-model-args would be {length} bytes long, but a VM with more than {limit} does not start: shorten its \
         other arguments (xe vm-param-get param-name=platform param-key=device-model-args)"
    )]
    DeviceArgsTooLong {
        /// How long it would be, in bytes.
        length: usize,
        /// How long it may be, in bytes.
        limit: usize,
    },
    /// The value in XAPI ends in a way that swallows whatever is added to it, or says of our device what we cannot.
    #[error(
        "device-model-args is '{0}', to which nothing can be added: close its quote, take the backslash from its end, or \
         write the properties of its -device {{…}} as name=value \
         (xe vm-param-get param-name=platform param-key=device-model-args)"
    )]
    DeviceArgsUnclear(String),
    /// An argument that was written by hand does not say what has to be known.
    #[error("'{0}' has no GPU pool or priority that can be read: register the VM by hand")]
    UnclearArgument(String),
    /// The pool-wide copy cannot be used for a VM.
    #[error("what the resource pool has of VM {vm_uuid} {error}")]
    NewerFormat {
        /// The VM.
        vm_uuid: VmUuid,
        /// Why.
        error: EntryError,
    },
    /// The resource pool has no such host.
    #[error("the resource pool has no host '{name}': expected a UUID or one of {known}")]
    NoSuchHost {
        /// The name or UUID asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// Several hosts have that name.
    #[error("{count} hosts are named '{name}': name the one that is meant by its UUID (see 'xe host-list')")]
    AmbiguousHost {
        /// The name they share.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// The operation failed on another host.
    #[error("{}", on_other_host(host, code, params))]
    OtherHost {
        /// The host's name.
        host: String,
        /// The code that came from there, or from XAPI about it.
        code: String,
        /// Its parameters.
        params: Vec<String>,
    },
    /// Another host has not answered in time.
    #[error(
        "host {host} has not answered in time, and what was begun there may go on: look with 'vgpu-admin --host={host} history'"
    )]
    NoAnswerYet {
        /// The host's name.
        host: String,
    },
    /// What another host answered cannot be understood.
    #[error("what host {host} answered cannot be understood ({reason}): is its vgpu-config of another version?")]
    OtherAnswer {
        /// The host's name.
        host: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// XAPI refused, or could not be asked.
    #[error(transparent)]
    Xapi(#[from] XapiError),
    /// xenopsd refused, or could not be asked.
    #[error(transparent)]
    Xenopsd(#[from] XenopsdError),
    /// A file of settings cannot be used.
    #[error("the file cannot be imported: {0}")]
    ConfigFile(#[from] ConfigFileError),
    /// The settings file cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The reply could not be written.
    #[error("the reply could not be written: {0}")]
    Reply(String),
    /// Whoever was to read the reply has stopped reading, as `head` does.
    #[error("nobody reads the reply")]
    NobodyReads,
    /// A mistake of ours.
    #[error("vgpu-config made a mistake, nothing was changed on purpose: {0}; please report it")]
    Internal(String),
}

/// One of several VMs that share a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedVm {
    /// Its UUID.
    pub uuid: String,
    /// Its power state, where XAPI was asked.
    pub power_state: Option<String>,
    /// The name of the host on which it runs.
    pub host: Option<String>,
}

impl fmt::Display for NamedVm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.uuid)?;
        match (&self.power_state, &self.host) {
            (Some(state), Some(host)) => write!(formatter, " ({state} on {host})"),
            (Some(state), None) => write!(formatter, " ({state})"),
            (None, _) => Ok(()),
        }
    }
}

fn listed(vms: &[NamedVm]) -> String {
    vms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Error {
    /// A reply that cannot be written.
    #[must_use]
    pub fn unwritable(kind: std::io::ErrorKind, reason: &dyn std::fmt::Display) -> Self {
        if kind == std::io::ErrorKind::BrokenPipe { Self::NobodyReads } else { Self::Reply(reason.to_string()) }
    }

    /// An argument that cannot be what it is.
    pub fn invalid(name: impl Into<String>, invalid: InvalidValue) -> Self {
        Self::InvalidParam { name: name.into(), value: invalid.value, expected: invalid.expected.to_owned() }
    }

    /// The code by which a program tells errors apart. Codes are never renamed.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidParam { .. }
            | Self::MissingParam { .. }
            | Self::AmbiguousName { .. }
            | Self::AmbiguousHost { .. }
            | Self::NotAVm { .. }
            | Self::NothingToChange => "VGPU_INVALID_PARAM",
            Self::NotRegistered(_) | Self::NoSuchName(_) | Self::Renamed { .. } | Self::NoSuchHost { .. } => {
                "VGPU_NOT_FOUND"
            }
            Self::OtherHost { code, .. } => code,
            Self::AlreadyRegistered(_) | Self::DeviceVmIdTaken { .. } => "VGPU_ALREADY_EXISTS",
            Self::UnknownToXapi(_) | Self::NoSuchVm(_) => "VGPU_UNKNOWN_VM",
            Self::DeviceArgsTooLong { .. } => "VGPU_ARGS_TOO_LONG",
            Self::DeviceArgsUnclear(_) | Self::UnclearArgument(_) => "VGPU_ARGS_UNCLEAR",
            Self::NewerFormat { .. } => "VGPU_NEWER_FORMAT",
            Self::Store(_) => "VGPU_DB_ERROR",
            Self::Lock(_) | Self::Contended => "VGPU_BUSY",
            Self::Interrupted => "VGPU_INTERRUPTED",
            // RBAC_PERMISSION_DENIED is XAPI's own answer to a caller who may not: every client of XAPI knows it.
            Self::Xapi(XapiError::Refused { code, .. }) if code == "RBAC_PERMISSION_DENIED" => code,
            Self::Xapi(_) | Self::NoAnswerYet { .. } => "VGPU_XAPI_ERROR",
            Self::Xenopsd(_) => "VGPU_XENOPSD_ERROR",
            Self::ConfigFile(_) => "VGPU_INVALID_FILE",
            Self::Settings(_) => "VGPU_SETTINGS_ERROR",
            Self::File { .. } => "VGPU_FILE_ERROR",
            Self::Reply(_) | Self::NobodyReads | Self::OtherAnswer { .. } | Self::Internal(_) => "VGPU_INTERNAL_ERROR",
        }
    }

    /// The parameters that go with the code in a XAPI error: for a bad argument its name, its value and what is
    /// allowed, for XAPI's own refusals XAPI's parameters, for everything else the message.
    #[must_use]
    pub fn params(&self) -> Vec<String> {
        match self {
            Self::InvalidParam { name, value, expected } => vec![name.clone(), value.clone(), expected.clone()],
            Self::MissingParam { name, expected } => vec![(*name).to_owned(), String::new(), (*expected).to_owned()],
            Self::Xapi(XapiError::Refused { code, params, .. }) if code == "RBAC_PERMISSION_DENIED" => params.clone(),
            Self::OtherHost { params, .. } => params.clone(),
            _ => vec![text::one_line(&self.to_string())],
        }
    }
}

/// What went wrong on another host, as it would have been said there.
fn on_other_host(host: &str, code: &str, params: &[String]) -> String {
    match (code, params) {
        ("XENAPI_MISSING_PLUGIN", _) => format!("vgpu-config is not installed on host {host}: install it there"),
        ("UNKNOWN_XENAPI_PLUGIN_FUNCTION", _) => {
            format!("the vgpu-config on host {host} is older and cannot do this: update it there")
        }
        ("HOST_OFFLINE" | "CANNOT_CONTACT_HOST", _) => {
            format!("XAPI cannot reach host {host}: is it up? (xe host-list)")
        }
        ("VGPU_INVALID_PARAM", [name, value, expected]) => {
            format!("on host {host}: {name}: '{value}' is not valid: expected {expected}")
        }
        (_, [message]) if code.starts_with("VGPU_") => format!("on host {host}: {message}"),
        _ => format!("host {host} refused: {code} ({})", params.join(", ")),
    }
}
