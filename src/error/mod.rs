//! What can go wrong, with a stable code for programs and a message for people that says what to do next.

mod code;
mod other_host;

use std::fmt;
use std::path::PathBuf;

use crate::config_file::ConfigFileError;
use crate::entry::EntryError;
use crate::model::{DeviceVmId, Gpu, InvalidValue, PciAddress, PoolId, VmLimit, VmUuid};
use crate::operations::WrapperError;
use crate::settings::SettingsError;
use crate::store::StoreError;
use crate::vm_lock::LockError;
use crate::xenapi::XapiError;
use crate::xenopsd::XenopsdError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{name}: '{value}' is not valid: expected {expected}")]
    InvalidParam {
        /// The argument's name as the plugin's callers write it.
        name: String,
        value: String,
        expected: String,
    },
    #[error("{name} is missing: expected {expected}")]
    MissingParam { name: &'static str, expected: &'static str },
    #[error("VM {0} is not registered: see 'vgpu-admin list-vms', or register it with 'vgpu-admin register-vm'")]
    NotRegistered(VmUuid),
    #[error("no registered VM is named '{0}': see 'vgpu-admin list-vms', or use the UUID")]
    NoSuchName(String),
    #[error("no registered VM has vm_id {0}: see 'vgpu-admin list-vms'")]
    NoSuchDevice(DeviceVmId),
    /// No VM has this name in XAPI any more.
    #[error("VM {vm_uuid} was named '{name}' and is now named '{now}': use the new name, or the UUID")]
    Renamed { name: String, vm_uuid: VmUuid, now: String },
    #[error("XAPI knows no VM named '{0}': see 'xe vm-list'; for a template, use the UUID")]
    NoSuchVm(String),
    #[error("{} {kind} are named '{name}': use the UUID of one of them: {}", vms.len(), listed(vms))]
    AmbiguousName { name: String, kind: &'static str, vms: Vec<NamedVm> },
    #[error("VM {0} is already registered: change it with 'vgpu-admin update-vm'")]
    AlreadyRegistered(VmUuid),
    #[error("vm_id {vm_id} belongs to VM {owner}: choose another, or leave it out to have one derived from the UUID")]
    DeviceVmIdTaken { vm_id: DeviceVmId, owner: VmUuid },
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It happened several times in a row.
    #[error("the row was edited by hand at the same time: try again")]
    Contended,
    #[error("interrupted: nothing was changed")]
    Interrupted,
    #[error("nothing to change: expected at least one of pool, priority and vm_id")]
    NothingToChange,
    #[error(
        "XAPI does not know VM {0}: see 'xe vm-list'. To register a VM that does not exist yet, add --force (force=true through \
         the plugin)"
    )]
    UnknownToXapi(VmUuid),
    #[error("{vm_uuid} is {what}, which is never started: register the VM itself")]
    NotAVm { vm_uuid: VmUuid, what: &'static str },
    #[error(
        "device-model-args would be {length} bytes long, but a VM with more than {limit} does not start: shorten its \
         other arguments (xe vm-param-get param-name=platform param-key=device-model-args)"
    )]
    DeviceArgsTooLong { length: usize, limit: usize },
    #[error(
        "nothing can be added to device-model-args '{0}': close its quote, remove the backslash at its end, or write the \
         properties of its -device {{…}} as name=value (xe vm-param-get param-name=platform param-key=device-model-args)"
    )]
    DeviceArgsUnclear(String),
    #[error("'{0}' has no valid GPU pool or priority: register the VM with 'vgpu-admin register-vm'")]
    UnclearArgument(String),
    #[error("the shared copy's entry of {subject} {error}")]
    NewerFormat { subject: String, error: EntryError },
    #[error(
        "GPU pool {pool} is full (VMs: {vms} of {max}), and would get {more} more: move or remove VMs, delete those that XAPI does not \
         know with 'vgpu-admin prune', raise the limit with 'vgpu-admin set-gpu-pool --pool={pool} --max-vms=…', or add --force as root"
    )]
    PoolFull { pool: PoolId, vms: u64, max: VmLimit, more: u64 },
    #[error("nothing to change: expected at least one of name, description and max_vms")]
    NothingToChangeInPool,
    #[error("XAPI knows no GPU {address} on host {host}: {}", known_gpus(known))]
    UnknownGpu { host: String, address: PciAddress, known: Vec<PciAddress> },
    #[error("GPU {gpu} serves GPU pool {pool}: run 'vgpu-admin unassign-gpu --gpu={gpu}' first")]
    GpuServesOther { gpu: Gpu, pool: PoolId },
    #[error(
        "GPU {gpu} is passed through to {vms}, and cannot serve a GPU pool meanwhile (xe vm-param-get param-name=other-config param-key=pci)"
    )]
    GpuPassedThrough { gpu: Gpu, vms: String },
    #[error("{} does not name this host (INSTALLATION_UUID): is it an XCP-ng host?", .0.display())]
    NotAHost(PathBuf),
    #[error("the resource pool has no host '{name}': expected a UUID or one of {known}")]
    NoSuchHost { name: String, known: String },
    #[error("{count} hosts are named '{name}': use the UUID (see 'xe host-list')")]
    AmbiguousHost { name: String, count: usize },
    #[error("{}", other_host::message(host, code, params))]
    OtherHost {
        host: String,
        /// The code that the plugin there answered, or XAPI in its place.
        code: String,
        params: Vec<String>,
    },
    #[error("host {host} did not answer in time and may still be working: see 'vgpu-admin --host={host} history'")]
    NoAnswerYet { host: String },
    #[error("host {host} gave an answer that cannot be read ({reason}): does it have another version of vgpu-config?")]
    OtherAnswer { host: String, reason: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Xapi(#[from] XapiError),
    #[error(transparent)]
    Xenopsd(#[from] XenopsdError),
    #[error("the file cannot be imported: {0}")]
    ConfigFile(#[from] ConfigFileError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Wrapper(#[from] WrapperError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the reply cannot be written: {0}")]
    Reply(String),
    /// The reader has closed the pipe, as `head` does.
    #[error("the reader of the reply has gone")]
    NobodyReads,
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// One of several VMs that share a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedVm {
    pub uuid: String,
    /// Known if XAPI was asked.
    pub power_state: Option<String>,
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

fn known_gpus(known: &[PciAddress]) -> String {
    if known.is_empty() {
        return "it knows none there, see 'vgpu-admin scan-gpus'".to_owned();
    }
    format!("expected {}", known.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "))
}

fn listed(vms: &[NamedVm]) -> String {
    vms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Error {
    #[must_use]
    pub fn unwritable(kind: std::io::ErrorKind, reason: &dyn fmt::Display) -> Self {
        if kind == std::io::ErrorKind::BrokenPipe { Self::NobodyReads } else { Self::Reply(reason.to_string()) }
    }

    pub fn invalid(name: impl Into<String>, invalid: InvalidValue) -> Self {
        Self::InvalidParam { name: name.into(), value: invalid.value, expected: invalid.expected.to_owned() }
    }
}
