//! The operations: one function each. The plugin, the CLI and the C library only parse, call and print.

mod apply;
mod boot;
mod catch_up;
mod change;
mod changed;
mod check;
mod device_model;
mod execute;
mod file;
mod gpu_assignment;
mod gpu_file;
mod gpu_pools;
mod gpu_sync;
mod guests;
mod history;
mod hosts;
mod installed;
mod metrics;
mod pending;
mod programs;
mod qemu_wrapper;
mod read;
mod recover;
mod resident;
mod running;
mod scan;
mod selector;
mod serving;
mod single;
mod status;
mod sync;

pub use crate::host::{Caller, Guest, Host};
pub use apply::apply;
pub use change::{RegisterVm, UpdateVm, register_vms, remove_vms, update_vms};
pub use check::{check, check_all_hosts, check_vm};
pub use execute::ThisHost;
pub use file::{Importing, export, import};
pub use gpu_assignment::{assign_gpu, unassign_gpu};
pub use gpu_pools::{SetGpuPool, set_gpu_pool, show_pool};
pub use history::history;
pub use hosts::OtherHost;
pub use metrics::metrics;
pub use qemu_wrapper::{
    WrapperError, disable_qemu_wrapper, enable_qemu_wrapper, is_patched_script, qemu_wrapper_status,
};
pub use read::{count_by_pool, count_by_priority, list_pools, list_vms, list_vms_as_json, show_vms, version};
pub use recover::recover;
pub use resident::Resident;
pub use running::running;
pub use scan::{adopt, scan_gpus, scan_vms};
pub use status::status;
pub use sync::{prune, sync};
