//! An administrator's days: register, start, change, reboot, copy, revert, remove, and what QEMU really gets.

#[path = "integration/copies.rs"]
mod copies;
#[path = "integration/refused.rs"]
mod refused;
#[path = "integration/starts.rs"]
mod starts;
#[path = "integration/support.rs"]
mod support;
