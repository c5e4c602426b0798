//! `apply`: running VMs get their changed settings now, by a clean reboot, one after the other.

#[path = "apply/asks.rs"]
mod asks;
#[path = "apply/ends.rs"]
mod ends;
#[path = "apply/hosts.rs"]
mod hosts;
#[path = "apply/support.rs"]
mod support;
#[path = "apply/which.rs"]
mod which;
