//! The command line, for clap.

mod gpu_pool;
mod help;
mod last_word;
mod lists;
mod options;
mod parse;
mod qemu_wrapper;
mod vm;

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use vgpu_config::model::{PoolId, Priority};

use crate::words;

pub use gpu_pool::{AssignGpu, OneGpu, OnePool, PoolChange, SetGpuPool};
pub use help::with_schema;
pub use last_word::Assignment;
pub use lists::{
    ALL_VMS, AllVms, CHANGES, CHECKS, Changes, Checks, GPU_POOLS, GPUS, GpuPools, Gpus, List, ListOptions, ListStyle,
    REGISTERED_VMS, RegisteredVms,
};
pub use options::{Apply, Change, RegisterVm, UpdateVm};
pub use qemu_wrapper::QemuWrapper;
pub use vm::{ApplyTo, GivenNewVms, GivenVm, GivenVms, NewVms, OneVm, Vms};

/// Manage per-VM vGPU settings on XCP-ng: GPU pool and priority
#[derive(Debug, Parser)]
#[command(name = "vgpu-admin", version, after_help = help::AFTER_HELP, max_term_width = 80)]
pub struct Arguments {
    /// A table for people, JSON for programs (the same as the plugin's), or a list as CSV
    #[arg(long, value_enum, default_value_t, global = true, display_order = 100)]
    pub format: Format,
    /// Run the command on another host of the resource pool, through its plugin
    #[arg(long, value_name = "UUID|NAME", global = true, display_order = 101)]
    pub host: Option<String>,
    /// Log more (repeat for even more)
    #[arg(short, long, action = clap::ArgAction::Count, global = true, display_order = 102)]
    pub verbose: u8,
    /// The command
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    #[default]
    Table,
    /// JSON for programs
    Json,
    /// CSV for programs: only lists
    Csv,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register VMs: they have a vGPU from their next start on
    #[command(
        override_usage = "vgpu-admin register-vm [OPTIONS] <VM>...",
        after_help = "Example:\n  vgpu-admin register-vm web01 --pool=A --priority=high\n  vgpu-admin register-vm web02 web03 db01"
    )]
    RegisterVm(RegisterVm),
    /// Move VMs to the other GPU pool
    #[command(
        override_usage = "vgpu-admin set-pool [OPTIONS] <VM>... <POOL>",
        after_help = "Example:\n  vgpu-admin set-pool web01 B\n  vgpu-admin set-pool web01 web02 --pool=B --dry-run"
    )]
    SetPool(Assignment<PoolId>),
    /// Give VMs another priority
    #[command(
        override_usage = "vgpu-admin set-priority [OPTIONS] <VM>... <PRIORITY>",
        after_help = "Example:\n  vgpu-admin set-priority web01 low"
    )]
    SetPriority(Assignment<Priority>),
    /// Change GPU pool, priority and number of VMs at once
    #[command(
        override_usage = "vgpu-admin update-vm <VM>... <--pool <POOL>|--priority <PRIORITY>|--vm-id <VM_ID>>",
        after_help = "Example:\n  vgpu-admin update-vm web01 --pool=B --priority=medium"
    )]
    UpdateVm(UpdateVm),
    /// Show the settings of VMs, and what they run with
    #[command(
        override_usage = "vgpu-admin show-vm [OPTIONS] <VM>...",
        after_help = "Example:\n  vgpu-admin show-vm web01"
    )]
    ShowVm {
        #[command(flatten)]
        vms: Vms,
    },
    /// List the registered VMs by GPU pool, highest priority first
    #[command(
        after_help = "Example:\n  vgpu-admin list-vms --pool=A --priority=high\n  vgpu-admin list-vms --format csv --columns name,pool,runs_with"
    )]
    ListVms {
        /// Only VMs of this GPU pool: A or B
        #[arg(long, value_parser = words::value::<PoolId>(), hide_possible_values = true)]
        pool: Option<PoolId>,
        /// Only VMs with this priority: low, medium or high (or 0, 1, 2)
        #[arg(long, value_parser = words::value::<Priority>(), hide_possible_values = true)]
        priority: Option<Priority>,
        #[command(flatten)]
        list: ListOptions<RegisteredVms>,
    },
    /// Show name, VMs, free places and GPUs of each GPU pool
    #[command(after_help = "Example:\n  vgpu-admin list-pools")]
    ListPools {
        #[command(flatten)]
        list: ListOptions<GpuPools>,
    },
    /// Show a GPU pool: its GPUs, and how many VMs it has and may have
    #[command(after_help = "Example:\n  vgpu-admin show-pool A")]
    ShowPool {
        #[command(flatten)]
        pool: OnePool,
    },
    /// Set the name, the description and the limit of a GPU pool
    #[command(
        override_usage = "vgpu-admin set-gpu-pool <POOL> <--name <NAME>|--description <TEXT>|--max-vms <NUMBER>>",
        after_help = "Example:\n  vgpu-admin set-gpu-pool A --name=render --max-vms=8\n  vgpu-admin set-gpu-pool A --max-vms=none"
    )]
    SetGpuPool(SetGpuPool),
    /// Let a GPU of a host serve a GPU pool
    #[command(
        override_usage = "vgpu-admin assign-gpu <POOL> --gpu <HOST:ADDRESS>",
        after_help = "Example:\n  vgpu-admin assign-gpu --pool=A --gpu=host01:0000:81:00.0"
    )]
    AssignGpu(AssignGpu),
    /// Let a GPU serve no GPU pool
    #[command(after_help = "Example:\n  vgpu-admin unassign-gpu --gpu=host01:0000:81:00.0")]
    UnassignGpu(OneGpu),
    /// Remove VMs' settings: no vGPU from their next start (asks first)
    #[command(
        override_usage = "vgpu-admin remove-vm [OPTIONS] <VM>...",
        after_help = "Example:\n  vgpu-admin remove-vm web01 --yes"
    )]
    RemoveVm {
        #[command(flatten)]
        vms: Vms,
        /// Only show what would be done
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// List all VMs of the resource pool, registered or not
    #[command(after_help = "Example:\n  vgpu-admin scan-vms --sort name")]
    ScanVms {
        #[command(flatten)]
        list: ListOptions<AllVms>,
    },
    /// List the physical GPUs of all hosts, and the GPU pool of each
    #[command(after_help = "Example:\n  vgpu-admin scan-gpus")]
    ScanGpus {
        #[command(flatten)]
        list: ListOptions<Gpus>,
    },
    /// Register the VMs that have a vGPU argument written by hand
    #[command(after_help = "Example:\n  vgpu-admin adopt --dry-run")]
    Adopt {
        /// Only show what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the whole configuration to a file
    ///
    /// Write the whole configuration to a file: TOML, or JSON with --format json
    #[command(after_help = "Example:\n  vgpu-admin export /root/vgpu.toml")]
    Export {
        /// The file, or - for standard output
        #[arg(default_value = "-", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Register and change VMs according to a file, all or nothing
    #[command(after_help = "Example:\n  vgpu-admin import --dry-run /root/vgpu.toml")]
    Import {
        /// A file written by export, or - for standard input
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Remove the VMs that are not in the file
        #[arg(long)]
        prune: bool,
        /// Import it even if a GPU pool then has more VMs than it may have
        #[arg(long)]
        force: bool,
        /// Only show what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Synchronise this host, the other hosts and XAPI's records
    #[command(after_help = "Example:\n  vgpu-admin sync --dry-run")]
    Sync {
        /// Only show what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Delete the settings of VMs that XAPI does not know (asks first)
    #[command(after_help = "Example:\n  vgpu-admin prune --dry-run")]
    Prune {
        /// Only show what would be done
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Show who changed what, newest first
    #[command(after_help = "Example:\n  vgpu-admin history web01")]
    History {
        #[command(flatten)]
        vm: OneVm,
        /// Show at most this many entries
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u32>,
        #[command(flatten)]
        list: ListOptions<Changes>,
    },
    /// Reboot running VMs that lack their settings (asks first)
    ///
    /// Reboot running VMs that do not have their current settings, one after the other (asks first)
    #[command(after_help = "Example:\n  vgpu-admin apply --pending --dry-run")]
    Apply(Apply),
    /// Show hosts, GPUs, GPU pools, VMs and problems on one screen
    #[command(after_help = "Example:\n  vgpu-admin status")]
    Status,
    /// Print numbers for a monitoring system, as OpenMetrics text
    #[command(after_help = "Example:\n  vgpu-admin metrics")]
    Metrics,
    /// Check everything from the settings to QEMU; changes nothing
    ///
    /// Check everything from the settings to QEMU, on this host, on all hosts or for one VM; changes nothing
    #[command(after_help = "Example:\n  vgpu-admin check --all-hosts\n  vgpu-admin check web01")]
    Check {
        #[command(flatten)]
        vm: OneVm,
        /// Check every host of the resource pool
        #[arg(long, conflicts_with_all = ["vm", "vm_uuid", "vm_name"])]
        all_hosts: bool,
        #[command(flatten)]
        list: ListOptions<Checks>,
    },
    /// Make a new database from a damaged one and XAPI (asks first)
    ///
    /// Make a new database from a damaged one, and restore the rest from XAPI (asks first)
    #[command(after_help = "Example:\n  vgpu-admin recover --dry-run")]
    Recover {
        /// Only show what would be saved
        #[arg(long)]
        dry_run: bool,
        /// Do not ask for confirmation
        #[arg(long)]
        yes: bool,
        /// Even if the database is healthy, or if nothing can be read from it and XAPI is away
        #[arg(long)]
        force: bool,
    },
    /// Print the JSON Schema of what a command prints as JSON
    ///
    /// Print the JSON Schema (draft 2020-12) of what a command prints with --format json, or of what all commands print
    #[command(after_help = "Example:\n  vgpu-admin schema list-vms")]
    Schema {
        /// A command, 'qemu-wrapper', or 'error' for errors; all of them if left out
        #[arg(value_name = "COMMAND", value_parser = PossibleValuesParser::new(with_schema()))]
        command: Option<String>,
    },
    /// Have QEMU started by a qemu-wrapper that passes the vGPU
    ///
    /// Have xenopsd start QEMU through vgpu-config's qemu-wrapper, which passes the vGPU to QEMU
    #[command(after_help = qemu_wrapper::AFTER_HELP)]
    QemuWrapper {
        #[command(subcommand)]
        what: QemuWrapper,
    },
}
