//! Per-VM vGPU settings for XCP-ng.
//!
//! Each VM belongs to GPU pool A or B and runs its GPU work at a low, medium or high priority. The settings live in
//! SQLite ([`store`]), are written to XAPI at every change ([`operations`]) and applied at every VM start ([`startup`]).
//!
//! The plugin, the vm-pre-start hook and `vgpu-admin` only parse their input, call this library and print. The library knows
//! neither XML-RPC nor a command line.

pub mod config_file;
mod contact;
pub mod deadline;
pub mod device_args;
pub mod entry;
pub mod error;
mod host;
mod http;
mod last_check;
mod limits;
pub mod logging;
pub mod model;
pub mod operations;
pub mod paths;
pub mod plan;
pub mod qemu;
pub mod qemu_device;
pub mod reply;
pub mod request;
mod run_file;
pub mod settings;
pub mod shared_copy;
pub mod startup;
pub mod store;
pub mod text;
mod transaction;
mod vm_lock;
pub mod xenapi;
pub mod xenopsd;
pub mod xenstore;

pub use error::Error;

/// The version of the library and of the three programs, which are released together.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
