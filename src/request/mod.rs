//! Requests and their replies: one table for the plugin, `vgpu-admin` and `--host`.

mod arguments;
mod gpu;
mod reply;
mod vm;

use arguments::Argument;
use schemars::Schema;

pub use arguments::Arguments;
pub use gpu::{GpuSelector, HostSelector, OrNone};
pub use vm::{ApplyTo, NewVm, NewVms, VmSelector, VmSelectors};

use crate::config_file::ConfigFile;
use crate::error::Error;
use crate::model::{DeviceVmId, Gpus, PoolDescription, PoolId, PoolName, Priority, VmLimit, VmUuids};
use crate::reply::{
    AdoptReply, ApplyReply, ChangeReply, CheckedReply, CountByPool, CountByPriority, GpuChangeReply,
    GpuPoolChangeReply, HistoryItem, ImportReply, ListReply, MetricsReply, OneOrMore, PoolsReply, PruneReply,
    RunningReply, ScannedGpu, ScannedVm, ShowPoolReply, ShowReply, StatusReply, SyncReply, VersionReply, schema_of,
};

/// Defines [`Request`] and [`Reply`]. A field has the argument's name, and its type determines how the argument is read and
/// written, and whether it may be left out.
macro_rules! requests {
    ($(
        $(#[$about:meta])*
        $function:literal = $variant:ident {
            $($(#[$meaning:meta])* $argument:ident: $type:ty,)*
        } -> $reply:ty;
    )*) => {
        /// One variant for each function of the plugin, with its arguments.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request {
            $($(#[$about])* $variant { $($(#[$meaning])* $argument: $type,)* },)*
        }

        /// One variant for each request.
        #[derive(Debug, serde::Serialize)]
        #[serde(untagged)]
        pub enum Reply {
            $($(#[$about])* $variant($reply),)*
        }

        impl Request {
            pub const FUNCTIONS: &[&str] = &[$($function),*];

            /// The names of a function's arguments; `None` for an unknown function.
            #[must_use]
            pub fn arguments_of(function: &str) -> Option<Vec<&'static str>> {
                let names: Vec<Vec<&'static str>> = match function {
                    $($function => vec![$(<$type as Argument>::names(stringify!($argument))),*],)*
                    _ => return None,
                };
                Some(names.concat())
            }

            /// `None` for an unknown function.
            ///
            /// # Errors
            /// An argument is missing, invalid or unknown.
            pub fn read(function: &str, mut arguments: Arguments) -> Result<Option<Self>, Error> {
                let Some(names) = Self::arguments_of(function) else { return Ok(None) };
                let request = match function {
                    $($function => Self::$variant {
                        $($argument: Argument::read(stringify!($argument), &mut arguments)?,)*
                    },)*
                    _ => return Ok(None),
                };
                arguments.end(&names)?;
                Ok(Some(request))
            }

            #[must_use]
            pub fn function(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $function,)*
                }
            }

            /// The plugin's arguments, without those that are left out.
            #[must_use]
            pub fn arguments(&self) -> Arguments {
                let mut arguments = Arguments::default();
                match self {
                    $(Self::$variant { $($argument),* } => {
                        $(Argument::write($argument, stringify!($argument), &mut arguments);)*
                    })*
                }
                arguments
            }

            /// The JSON Schema of a function's reply; `None` for an unknown function.
            #[must_use]
            pub fn reply_schema(function: &str) -> Option<Schema> {
                Some(match function {
                    $($function => schema_of::<$reply>(),)*
                    _ => return None,
                })
            }

            /// Reads the reply to this request, as written by [`Reply::to_json`].
            ///
            /// # Errors
            /// It is not a reply to this request.
            pub fn read_reply(&self, json: &str) -> Result<Reply, serde_json::Error> {
                Ok(match self {
                    $(Self::$variant { .. } => Reply::$variant(serde_json::from_str(json)?),)*
                })
            }
        }
    };
}

requests! {
    /// Registers VMs.
    "register_vm" = RegisterVm {
        vm: NewVms,
        /// Default: from the settings file.
        pool: Option<PoolId>,
        /// Default: from the settings file.
        priority: Option<Priority>,
        /// The device's number; by default derived from the UUID.
        vm_id: Option<DeviceVmId>,
        /// Even if XAPI does not know the VM and, for root, beyond the limit of the GPU pool.
        force: bool,
        /// Change a VM that is registered already: what is given, and nothing else.
        if_needed: bool,
        /// Change nothing.
        dry_run: bool,
    } -> OneOrMore<ChangeReply>;
    /// Shows VMs.
    "show_vm" = ShowVm {
        vm: VmSelectors,
    } -> OneOrMore<ShowReply>;
    /// Moves VMs to another GPU pool.
    "set_pool" = SetPool {
        vm: VmSelectors,
        pool: PoolId,
        /// For root: beyond the limit of the GPU pool.
        force: bool,
        /// Change nothing.
        dry_run: bool,
    } -> OneOrMore<ChangeReply>;
    /// Gives VMs another priority.
    "set_priority" = SetPriority {
        vm: VmSelectors,
        priority: Priority,
        /// Change nothing.
        dry_run: bool,
    } -> OneOrMore<ChangeReply>;
    /// Changes only what is given.
    "update_vm" = UpdateVm {
        vm: VmSelectors,
        pool: Option<PoolId>,
        priority: Option<Priority>,
        vm_id: Option<DeviceVmId>,
        /// For root: beyond the limit of the GPU pool.
        force: bool,
        /// Change nothing.
        dry_run: bool,
    } -> OneOrMore<ChangeReply>;
    /// Lists the registered VMs.
    "list_vms" = ListVms {
        pool: Option<PoolId>,
        priority: Option<Priority>,
    } -> ListReply;
    /// Counts the VMs of each GPU pool by priority.
    "list_pools" = ListPools {} -> PoolsReply;
    /// Sets the name, description and limit of a GPU pool; what is not given stays.
    "set_gpu_pool" = SetGpuPool {
        pool: PoolId,
        name: Option<OrNone<PoolName>>,
        description: Option<OrNone<PoolDescription>>,
        /// How many VMs it may have.
        max_vms: Option<OrNone<VmLimit>>,
        /// Change nothing.
        dry_run: bool,
    } -> GpuPoolChangeReply;
    /// Shows a GPU pool with its GPUs, and how many VMs it has and may have.
    "show_pool" = ShowPool {
        pool: PoolId,
    } -> ShowPoolReply;
    /// Lets a GPU serve a GPU pool.
    "assign_gpu" = AssignGpu {
        pool: PoolId,
        gpu: GpuSelector,
        /// Change nothing.
        dry_run: bool,
    } -> GpuChangeReply;
    /// Lets a GPU serve no GPU pool.
    "unassign_gpu" = UnassignGpu {
        gpu: GpuSelector,
        /// Change nothing.
        dry_run: bool,
    } -> GpuChangeReply;
    /// Counts the VMs of each GPU pool.
    "count_by_pool" = CountByPool {} -> CountByPool;
    /// Counts the VMs of each priority.
    "count_by_priority" = CountByPriority {} -> CountByPriority;
    /// Removes VMs' settings.
    "remove_vm" = RemoveVm {
        vm: VmSelectors,
        /// Change nothing.
        dry_run: bool,
    } -> OneOrMore<ChangeReply>;
    /// Lists all VMs of the resource pool, registered or not.
    "scan_vms" = ScanVms {} -> Vec<ScannedVm>;
    /// Lists the physical GPUs of every host.
    "scan_gpus" = ScanGpus {} -> Vec<ScannedGpu>;
    /// Registers VMs that have an argument written by hand.
    "adopt" = Adopt {
        /// Change nothing.
        dry_run: bool,
    } -> AdoptReply;
    /// Synchronises this host, the other hosts and XAPI's records.
    "sync" = Sync {
        /// Change nothing.
        dry_run: bool,
    } -> SyncReply;
    /// Deletes the settings of VMs, and the GPUs of hosts, that XAPI does not know.
    "prune" = Prune {
        /// Only these VMs, separated by commas.
        vm_uuids: Option<VmUuids>,
        /// Only these GPUs, separated by commas.
        gpus: Option<Gpus>,
        /// Change nothing.
        dry_run: bool,
    } -> PruneReply;
    /// Returns the whole configuration.
    "export" = Export {} -> ConfigFile;
    /// Applies a configuration file.
    "import" = Import {
        config: ConfigFile,
        /// Remove the VMs that are not in the file.
        prune: bool,
        /// For root: beyond the limits of the GPU pools.
        force: bool,
        /// Change nothing.
        dry_run: bool,
    } -> ImportReply;
    /// Lists the changes, newest first.
    "history" = History {
        vm: Option<VmSelector>,
        /// At most this many entries.
        limit: Option<u32>,
    } -> Vec<HistoryItem>;
    /// Reboots running VMs that do not have their settings.
    "apply" = Apply {
        to: ApplyTo,
        /// Reset VMs whose guest has no agent.
        hard: bool,
        /// Change nothing.
        dry_run: bool,
    } -> ApplyReply;
    /// Shows what each VM on this host runs with.
    "running" = Running {} -> RunningReply;
    /// Shows the state of this host, and a summary of the others.
    "status" = Status {} -> StatusReply;
    /// Checks the installation.
    "check" = Check {
        /// Only this VM: what each link of the chain from its settings to its QEMU has.
        vm: Option<VmSelector>,
        /// Every host of the resource pool, not only this one.
        all_hosts: bool,
    } -> CheckedReply;
    /// Returns numbers for a monitoring system.
    "metrics" = Metrics {} -> MetricsReply;
    "version" = Version {} -> VersionReply;
}

impl Request {
    /// Whether it may change or reboot many VMs, one after the other.
    #[must_use]
    pub fn may_take_long(&self) -> bool {
        match self {
            Self::Adopt { .. } | Self::Sync { .. } | Self::Prune { .. } | Self::Import { .. } | Self::Apply { .. } => {
                true
            }
            Self::RegisterVm { vm, .. } => matches!(vm, NewVms::Several(_)),
            Self::ShowVm { vm }
            | Self::SetPool { vm, .. }
            | Self::SetPriority { vm, .. }
            | Self::UpdateVm { vm, .. }
            | Self::RemoveVm { vm, .. } => matches!(vm, VmSelectors::Several(_)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
