//! What can be asked of a host, and what it replies: one table, which the plugin, `vgpu-admin` and `--host` share.

mod arguments;
mod vm;

use arguments::Argument;

pub use arguments::Arguments;
pub use vm::{ApplyTo, NewVm, VmSelector};

use crate::config_file::{ConfigFile, FileFormat};
use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmUuids};
use crate::reply::{
    AdoptReply, ApplyReply, ChangeReply, CheckedReply, CountByPool, CountByPriority, HistoryEntry, ImportReply,
    ListReply, PoolsReply, PruneReply, ScannedVm, ShowReply, StartReply, StatusReply, SyncReply, VersionReply,
};

/// Makes [`Request`] and [`Reply`]. A field's name is the argument's name; its type says how the argument is read, whether
/// it may be left out, and how it is written.
macro_rules! requests {
    ($(
        $(#[$about:meta])*
        $function:literal = $variant:ident {
            $($(#[$meaning:meta])* $argument:ident: $type:ty,)*
        } -> $reply:ty;
    )*) => {
        /// A request: one variant for each function of the plugin, with its arguments.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request {
            $($(#[$about])* $variant { $($(#[$meaning])* $argument: $type,)* },)*
        }

        /// What a request is answered with.
        #[derive(Debug, serde::Serialize)]
        #[serde(untagged)]
        pub enum Reply {
            $($(#[$about])* $variant($reply),)*
        }

        impl Request {
            /// The plugin's functions.
            pub const FUNCTIONS: &[&str] = &[$($function),*];

            /// The names of a function's arguments; `None` where there is no such function.
            #[must_use]
            pub fn arguments_of(function: &str) -> Option<Vec<&'static str>> {
                let names: Vec<Vec<&'static str>> = match function {
                    $($function => vec![$(<$type as Argument>::names(stringify!($argument))),*],)*
                    _ => return None,
                };
                Some(names.concat())
            }

            /// Reads a request; `None` where there is no such function.
            ///
            /// # Errors
            /// An argument is missing, has a value that it cannot have, or is not one of the function's.
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

            /// The function's name.
            #[must_use]
            pub fn function(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $function,)*
                }
            }

            /// The arguments as the plugin takes them, without those that are left out.
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

            /// Reads the reply to this request, as [`Reply::to_json`] writes it.
            ///
            /// # Errors
            /// It is none.
            pub fn read_reply(&self, json: &str) -> Result<Reply, serde_json::Error> {
                Ok(match self {
                    $(Self::$variant { .. } => Reply::$variant(serde_json::from_str(json)?),)*
                })
            }
        }
    };
}

requests! {
    /// Registers a VM.
    "register_vm" = RegisterVm {
        /// The VM.
        vm: NewVm,
        /// Its GPU pool; the default of the settings file where it is left out.
        pool: Option<PoolId>,
        /// Its priority; the default of the settings file where it is left out.
        priority: Option<Priority>,
        /// The device's number for it; derived from the UUID where it is left out.
        vm_id: Option<DeviceVmId>,
        /// Register it although XAPI does not know it.
        force: bool,
    } -> ChangeReply;
    /// Shows a VM.
    "show_vm" = ShowVm {
        /// The VM.
        vm: VmSelector,
    } -> ShowReply;
    /// Moves a VM to another GPU pool.
    "set_pool" = SetPool {
        /// The VM.
        vm: VmSelector,
        /// Its new GPU pool.
        pool: PoolId,
    } -> ChangeReply;
    /// Gives a VM another priority.
    "set_priority" = SetPriority {
        /// The VM.
        vm: VmSelector,
        /// Its new priority.
        priority: Priority,
    } -> ChangeReply;
    /// Changes a VM's GPU pool, priority and number; what is left out stays.
    "update_vm" = UpdateVm {
        /// The VM.
        vm: VmSelector,
        /// Its new GPU pool.
        pool: Option<PoolId>,
        /// Its new priority.
        priority: Option<Priority>,
        /// The device's new number for it.
        vm_id: Option<DeviceVmId>,
    } -> ChangeReply;
    /// Lists the registered VMs.
    "list_vms" = ListVms {
        /// Only those of this GPU pool.
        pool: Option<PoolId>,
        /// Only those of this priority.
        priority: Option<Priority>,
    } -> ListReply;
    /// Lists the GPU pools, with the number of their VMs by priority.
    "list_pools" = ListPools {} -> PoolsReply;
    /// Counts the VMs of each GPU pool.
    "count_by_pool" = CountByPool {} -> CountByPool;
    /// Counts the VMs of each priority.
    "count_by_priority" = CountByPriority {} -> CountByPriority;
    /// Removes a VM's settings.
    "remove_vm" = RemoveVm {
        /// The VM.
        vm: VmSelector,
    } -> ChangeReply;
    /// Lists every VM of the resource pool, registered or not.
    "scan_vms" = ScanVms {} -> Vec<ScannedVm>;
    /// Registers the VMs whose argument was written by hand.
    "adopt" = Adopt {
        /// Only say what would be done.
        dry_run: bool,
    } -> AdoptReply;
    /// Brings this host, the other hosts and XAPI's records to one state.
    "sync" = Sync {
        /// Only say what would be done.
        dry_run: bool,
    } -> SyncReply;
    /// Forgets VMs that XAPI does not know.
    "prune" = Prune {
        /// Only of these VMs, separated by commas.
        vm_uuids: Option<VmUuids>,
        /// Only say what would be done.
        dry_run: bool,
    } -> PruneReply;
    /// Gives the whole configuration.
    "export" = Export {} -> ConfigFile;
    /// Makes the configuration what a file says.
    "import" = Import {
        /// The file.
        config: ConfigFile,
        /// Remove the VMs that the file does not name.
        prune: bool,
        /// Only say what would be done.
        dry_run: bool,
    } -> ImportReply;
    /// Lists who changed what, the newest first.
    "history" = History {
        /// Only of this VM.
        vm: Option<VmSelector>,
        /// No more than so many entries.
        limit: Option<u32>,
    } -> Vec<HistoryEntry>;
    /// Reboots running VMs that do not have their settings.
    "apply" = Apply {
        /// Which VMs.
        to: ApplyTo,
        /// Reset VMs whose guest has no agent.
        hard: bool,
        /// Only say what would be done.
        dry_run: bool,
    } -> ApplyReply;
    /// Lists what the last start of each VM on this host was given.
    "last_starts" = LastStarts {} -> Vec<StartReply>;
    /// Shows the state of this host, and in short of the others.
    "status" = Status {} -> StatusReply;
    /// Checks everything that has to be right.
    "check" = Check {
        /// On every host of the resource pool.
        all_hosts: bool,
    } -> CheckedReply;
    /// Tells the version.
    "version" = Version {} -> VersionReply;
}

impl Request {
    /// Whether it may change or reboot many VMs, one after the other.
    #[must_use]
    pub fn may_take_long(&self) -> bool {
        matches!(
            self,
            Self::Adopt { .. } | Self::Sync { .. } | Self::Prune { .. } | Self::Import { .. } | Self::Apply { .. }
        )
    }
}

impl Reply {
    /// Where XAPI could not be asked: when the host last knew what all hosts have, UTC, or `unknown`.
    #[must_use]
    pub fn as_of(&self) -> Option<&str> {
        match self {
            Self::ShowVm(reply) => reply.vm.as_of.as_deref(),
            Self::ListVms(reply) => reply.as_of.as_deref(),
            Self::ListPools(reply) => reply.as_of.as_deref(),
            Self::CountByPool(reply) => reply.as_of.as_deref(),
            Self::CountByPriority(reply) => reply.as_of.as_deref(),
            Self::Status(reply) => reply.as_of.as_deref(),
            Self::Export(config) => config.as_of.as_deref(),
            _ => None,
        }
    }

    /// The reply as the plugin and `vgpu-admin --format json` answer it.
    ///
    /// # Errors
    /// Never with what a database can hold.
    pub fn to_json(&self) -> Result<String, Error> {
        match self {
            // It is a file.
            Self::Export(config) => Ok(config.to_text(FileFormat::Json)?),
            reply => serde_json::to_string(reply).map_err(|error| Error::Reply(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests;
