//! A program that stands in for XCP-ng's dom0: xapi, message-switch and xenopsd on unix sockets below a scratch root,
//! with the hooks and plugins in that root run as dom0 runs them.
//!
//! It is held to recordings of the real programs by `tests/conformance.rs`. What a test sees of it is
//! [`SimulatedHost`], or of several of
//! them [`SimulatedPool`].

mod database;
mod dom0;
mod error;
mod fault;
mod http;
mod listener;
mod pool;
mod process;
mod programs;
mod random;
mod seed;
mod simulated;
mod switch;
mod syslog;
mod wire;
mod xapi;
mod xe;
mod xenopsd;
mod xenstore;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use database::{Role, SessionInfo};
pub use dom0::{Boot, HookRun, Identity, Release};
pub use error::ApiError;
pub use fault::{Fault, Service};
pub use pool::Outage;
pub use process::Exit;
pub use programs::dom0_program;
pub use simulated::{Qemu, SimulatedHost, SimulatedPool};
pub use xe::{XeOutput, xe};

/// Locks a mutex; that another thread panicked while it held it is that thread's failure, not everybody's.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
