//! Holds the simulated host to recordings of the real programs (`vectors/`): what they answered, it must answer, byte
//! for byte where the recording allows. Where a value is made up anew each time (a reference, a date), just that token
//! is replaced, and the test says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "conformance/copies.rs"]
mod copies;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/gpus.rs"]
mod gpus;
#[path = "conformance/lifecycle.rs"]
mod lifecycle;
#[path = "conformance/literal.rs"]
mod literal;
#[path = "conformance/message_switch.rs"]
mod message_switch;
#[path = "conformance/plugins.rs"]
mod plugins;
#[path = "conformance/reboot.rs"]
mod reboot;
#[path = "conformance/records.rs"]
mod records;
#[path = "conformance/rules.rs"]
mod rules;
#[path = "conformance/start.rs"]
mod start;
#[path = "conformance/start_hooks.rs"]
mod start_hooks;
#[path = "conformance/support.rs"]
mod support;
#[path = "conformance/vetoes.rs"]
mod vetoes;
#[path = "conformance/vm_add.rs"]
mod vm_add;
#[path = "conformance/without_xapi.rs"]
mod without_xapi;
#[path = "conformance/wrapper.rs"]
mod wrapper;
#[path = "conformance/xe.rs"]
mod xe;
#[path = "conformance/xenapi.rs"]
mod xenapi;
