//! The arguments of commands about GPU pools and GPUs.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use vgpu_config::model::{PoolDescription, PoolId, PoolName, VmLimit};
use vgpu_config::request::{GpuSelector, OrNone};

use crate::{candidates, words};

/// The GPU pool, as a plain argument or an option.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, args = ["pool_word", "pool"])]
pub struct OnePool {
    /// The GPU pool: A or B
    #[arg(value_name = "POOL", value_parser = words::value::<PoolId>(), hide_possible_values = true)]
    pool_word: Option<PoolId>,
    /// The GPU pool: A or B
    #[arg(long, value_parser = words::value::<PoolId>(), hide_possible_values = true)]
    pool: Option<PoolId>,
}

impl OnePool {
    /// Clap ensures that there is one.
    #[must_use]
    pub fn given(&self) -> PoolId {
        self.pool_word.or(self.pool).unwrap_or(PoolId::A)
    }
}

#[derive(Debug, Args)]
pub struct SetGpuPool {
    #[command(flatten)]
    pub pool: OnePool,
    #[command(flatten)]
    pub change: PoolChange,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct PoolChange {
    /// Its name, or none to remove it
    #[arg(long, value_parser = words::parsed::<OrNone<PoolName>>())]
    pub name: Option<OrNone<PoolName>>,
    /// What it is for, or none to remove that
    #[arg(long, value_name = "TEXT", value_parser = words::parsed::<OrNone<PoolDescription>>())]
    pub description: Option<OrNone<PoolDescription>>,
    /// How many VMs it may have, or none for any number
    #[arg(long, value_name = "NUMBER", value_parser = words::parsed::<OrNone<VmLimit>>())]
    pub max_vms: Option<OrNone<VmLimit>>,
}

#[derive(Debug, Args)]
pub struct AssignGpu {
    #[command(flatten)]
    pub pool: OnePool,
    #[command(flatten)]
    pub gpu: OneGpu,
}

#[derive(Debug, Args)]
pub struct OneGpu {
    /// The GPU: its host's name or UUID, a colon and its PCI address (see 'vgpu-admin scan-gpus')
    #[arg(long, value_name = "HOST:ADDRESS", value_parser = words::parsed::<GpuSelector>(), add = ArgValueCompleter::new(candidates::gpus))]
    pub gpu: GpuSelector,
    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,
}
