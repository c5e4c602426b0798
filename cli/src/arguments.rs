//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmUuid};
use vgpu_config::request::{self, VmSelector};

use crate::words;

const AFTER_HELP: &str = "\
Examples:
  vgpu-admin register-vm --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90 --pool=A --priority=high
  vgpu-admin list-vms --pool=A
  vgpu-admin list-vms --format json

Exit status: 0 done, 1 failed, 2 wrong usage.
A change is in effect when its VM is started or rebooted the next time.";

/// Per-VM vGPU settings of an XCP-ng host: which GPU pool a VM belongs to, and at which priority its GPU work runs
#[derive(Debug, Parser)]
#[command(name = "vgpu-admin", version, after_help = AFTER_HELP, max_term_width = 100)]
pub struct Arguments {
    /// A table for people, or JSON for programs (the same that the plugin answers)
    #[arg(long, value_enum, default_value_t, global = true)]
    pub format: Format,
    /// Do it on another host of the resource pool, named by its UUID or name (through the plugin there)
    #[arg(long, value_name = "UUID|NAME", global = true)]
    pub host: Option<String>,
    /// Say more about what is done (again for more)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// How to print.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register a VM: from its next start on it has a vGPU
    #[command(
        after_help = "Example:\n  vgpu-admin register-vm --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90 --pool=A --priority=high\n  vgpu-admin register-vm --vm-name=web01"
    )]
    RegisterVm(RegisterVm),
    /// Move a VM to the other GPU pool
    #[command(after_help = "Example:\n  vgpu-admin set-pool --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90 --pool=B")]
    SetPool {
        /// The VM
        #[command(flatten)]
        vm: Vm,
        /// Its new GPU pool: A or B
        #[arg(long, value_parser = words::pool(), hide_possible_values = true)]
        pool: PoolId,
    },
    /// Give a VM another priority
    #[command(after_help = "Example:\n  vgpu-admin set-priority --vm-name=web01 --priority=low")]
    SetPriority {
        /// The VM
        #[command(flatten)]
        vm: Vm,
        /// The new priority: low, medium or high (or 0, 1, 2)
        #[arg(long, value_parser = words::priority(), hide_possible_values = true)]
        priority: Priority,
    },
    /// Change a VM's GPU pool, priority or number, in one go
    #[command(
        after_help = "Example:\n  vgpu-admin update-vm --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90 --pool=B --priority=medium"
    )]
    UpdateVm(UpdateVm),
    /// Show a VM: what is configured, and what its last start was given
    #[command(after_help = "Example:\n  vgpu-admin show-vm --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90")]
    ShowVm {
        /// The VM
        #[command(flatten)]
        vm: Vm,
    },
    /// List the registered VMs: by GPU pool, most urgent first
    #[command(after_help = "Example:\n  vgpu-admin list-vms --pool=A --priority=high")]
    ListVms {
        /// Only this GPU pool's: A or B
        #[arg(long, value_parser = words::pool(), hide_possible_values = true)]
        pool: Option<PoolId>,
        /// Only those of this priority: low, medium or high (or 0, 1, 2)
        #[arg(long, value_parser = words::priority(), hide_possible_values = true)]
        priority: Option<Priority>,
    },
    /// List the GPU pools, with the number of their VMs
    #[command(after_help = "Example:\n  vgpu-admin list-pools")]
    ListPools,
    /// Remove a VM's settings: from its next start on it has no vGPU
    #[command(after_help = "Example:\n  vgpu-admin remove-vm --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90 --yes")]
    RemoveVm {
        /// The VM
        #[command(flatten)]
        vm: Vm,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// List every VM of the resource pool, registered or not, with its power state and where it runs
    #[command(after_help = "Example:\n  vgpu-admin scan-vms")]
    ScanVms,
    /// Register the VMs whose vGPU argument was written by hand, as it says
    #[command(after_help = "Example:\n  vgpu-admin adopt --dry-run")]
    Adopt {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the whole configuration to a file: TOML, or JSON with --format json
    #[command(after_help = "Example:\n  vgpu-admin export /root/vgpu.toml")]
    Export {
        /// The file; - is standard output
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Register and change VMs as a file says, all of it or nothing
    #[command(after_help = "Example:\n  vgpu-admin import --dry-run /root/vgpu.toml")]
    Import {
        /// The file, as export wrote it; - is standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Remove the VMs that the file does not name
        #[arg(long)]
        prune: bool,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Bring this host, the other hosts of the resource pool and XAPI's records to one state
    #[command(after_help = "Example:\n  vgpu-admin sync --dry-run")]
    Sync {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Forget VMs that XAPI does not know (asks first)
    #[command(after_help = "Example:\n  vgpu-admin prune --dry-run")]
    Prune {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show who changed what, the newest first
    #[command(after_help = "Example:\n  vgpu-admin history --vm-uuid=cda8bcd3-f410-bd1f-3688-8c308ff28e90")]
    History {
        /// Only of one VM
        #[command(flatten)]
        vm: OneVm,
        /// No more than so many entries
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
    },
    /// Reboot running VMs that were started with other settings than they have now, one after the other (asks first)
    #[command(after_help = "Example:\n  vgpu-admin apply --pending --dry-run")]
    Apply(Apply),
    /// Show the state of vgpu-config on this host, and in short on the others
    #[command(after_help = "Example:\n  vgpu-admin status")]
    Status,
    /// Check the settings file, the database and everything else that has to be right; changes nothing
    #[command(after_help = "Example:\n  vgpu-admin check --all-hosts")]
    Check {
        /// On every host of the resource pool
        #[arg(long)]
        all_hosts: bool,
    },
    /// Make a whole database of a damaged one: what can be read of it, and the rest from XAPI (asks first)
    #[command(after_help = "Example:\n  vgpu-admin recover --dry-run")]
    Recover {
        /// Only say what would be saved
        #[arg(long)]
        dry_run: bool,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Also where the database is healthy, or where nothing can be read of it and XAPI is away
        #[arg(long)]
        force: bool,
    },
}

/// Which VM is meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Vm {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

impl Vm {
    /// The VM that is meant. Clap has made sure that there is one.
    #[must_use]
    pub fn selector(self) -> VmSelector {
        match self.vm_uuid {
            Some(uuid) => VmSelector::Uuid(uuid),
            None => VmSelector::Name(self.vm_name.unwrap_or_default()),
        }
    }
}

/// One VM, or all.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct OneVm {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

impl OneVm {
    /// The VM, if one is meant.
    #[must_use]
    pub fn selector(self) -> Option<VmSelector> {
        self.vm_uuid.map(VmSelector::Uuid).or(self.vm_name.map(VmSelector::Name))
    }
}

/// Options of apply.
#[derive(Debug, Args)]
pub struct Apply {
    /// Which VMs
    #[command(flatten)]
    pub to: ApplyTo,
    /// Reset VMs whose guest has no agent that could be told to reboot; what a guest has not written to disk is lost
    #[arg(long)]
    pub hard: bool,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Which VMs are to have their settings now.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct ApplyTo {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
    /// Every running VM that does not have its settings yet
    #[arg(long)]
    pending: bool,
}

impl ApplyTo {
    /// The VMs that are meant. Clap has made sure that it is one, or all.
    #[must_use]
    pub fn vms(self) -> request::ApplyTo {
        let vm = self.vm_uuid.map(VmSelector::Uuid).or(self.vm_name.map(VmSelector::Name));
        vm.map_or(request::ApplyTo::Pending, request::ApplyTo::Vm)
    }
}

/// Which VM is to be registered.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct NewVm {
    /// The VM, by its UUID (see 'xe vm-list')
    #[arg(long, value_name = "UUID")]
    vm_uuid: Option<VmUuid>,
    /// The VM, by its name in XAPI; beside --vm-uuid, the name of a VM that XAPI does not know (yet)
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    vm_name: Option<String>,
}

impl NewVm {
    /// The VM that is meant. Clap has made sure that there is one.
    #[must_use]
    pub fn vm(self) -> request::NewVm {
        match self.vm_uuid {
            Some(uuid) => request::NewVm::Uuid { uuid, name: self.vm_name },
            None => request::NewVm::Name(self.vm_name.unwrap_or_default()),
        }
    }
}

/// Options of register-vm.
#[derive(Debug, Args)]
pub struct RegisterVm {
    /// The VM
    #[command(flatten)]
    pub vm: NewVm,
    /// The GPU pool: A or B [default: as /etc/vgpu/vgpu.toml says, or A]
    #[arg(long, value_parser = words::pool(), hide_possible_values = true)]
    pub pool: Option<PoolId>,
    /// The priority: low, medium or high (or 0, 1, 2) [default: as /etc/vgpu/vgpu.toml says, or medium]
    #[arg(long, value_parser = words::priority(), hide_possible_values = true)]
    pub priority: Option<Priority>,
    /// The device's number for the VM, 1 to 4294967295 [default: derived from the UUID]
    #[arg(long)]
    pub vm_id: Option<DeviceVmId>,
    /// Register the VM although XAPI does not know it (yet)
    #[arg(long)]
    pub force: bool,
}

/// Options of update-vm.
#[derive(Debug, Args)]
pub struct UpdateVm {
    /// The VM
    #[command(flatten)]
    pub vm: Vm,
    /// What to change
    #[command(flatten)]
    pub change: Change,
}

/// What to change.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Change {
    /// The new GPU pool: A or B
    #[arg(long, value_parser = words::pool(), hide_possible_values = true)]
    pub pool: Option<PoolId>,
    /// The new priority: low, medium or high (or 0, 1, 2)
    #[arg(long, value_parser = words::priority(), hide_possible_values = true)]
    pub priority: Option<Priority>,
    /// The device's new number for the VM, 1 to 4294967295
    #[arg(long)]
    pub vm_id: Option<DeviceVmId>,
}
