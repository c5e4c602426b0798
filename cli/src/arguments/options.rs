//! The options of commands that have many.

use clap::Args;
use vgpu_config::model::{DeviceVmId, PoolId, Priority};

use super::vm::{ApplyTo, NewVms, Vms};
use crate::words;

#[derive(Debug, Args)]
pub struct Apply {
    #[command(flatten)]
    pub to: ApplyTo,
    /// Reset VMs whose guest has no agent, which loses data that the guest has not written to disk
    #[arg(long)]
    pub hard: bool,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct RegisterVm {
    #[command(flatten)]
    pub vms: NewVms,
    /// The GPU pool: A or B [default: from /etc/vgpu/vgpu.toml, or A]
    #[arg(long, value_parser = words::value::<PoolId>(), hide_possible_values = true)]
    pub pool: Option<PoolId>,
    /// The priority: low, medium or high (or 0, 1, 2) [default: from /etc/vgpu/vgpu.toml, or medium]
    #[arg(long, value_parser = words::value::<Priority>(), hide_possible_values = true)]
    pub priority: Option<Priority>,
    /// The device's number for the VM, 1 to 4294967295 [default: derived from the UUID]
    #[arg(long, value_parser = words::parsed::<DeviceVmId>())]
    pub vm_id: Option<DeviceVmId>,
    /// Register the VM even if XAPI does not know it (yet), or the GPU pool then has more VMs than it may have
    #[arg(long)]
    pub force: bool,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct UpdateVm {
    #[command(flatten)]
    pub vms: Vms,
    #[command(flatten)]
    pub change: Change,
    /// Change them even if the GPU pool then has more VMs than it may have
    #[arg(long)]
    pub force: bool,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct Change {
    /// The new GPU pool: A or B
    #[arg(long, value_parser = words::value::<PoolId>(), hide_possible_values = true)]
    pub pool: Option<PoolId>,
    /// The new priority: low, medium or high (or 0, 1, 2)
    #[arg(long, value_parser = words::value::<Priority>(), hide_possible_values = true)]
    pub priority: Option<Priority>,
    /// The device's new number for the VM, 1 to 4294967295
    #[arg(long, value_parser = words::parsed::<DeviceVmId>())]
    pub vm_id: Option<DeviceVmId>,
}
