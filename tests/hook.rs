//! The hook: whatever goes wrong, the VM starts, in time, and the log says why. Its script alone is in `hook_script`.

#[path = "hook/by_hand.rs"]
mod by_hand;
#[path = "hook/database.rs"]
mod database;
#[path = "hook/log.rs"]
mod log;
#[path = "hook/refusing.rs"]
mod refusing;
#[path = "hook/services.rs"]
mod services;
#[path = "hook/support.rs"]
mod support;
