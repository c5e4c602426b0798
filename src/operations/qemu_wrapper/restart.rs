//! Restarts the toolstack. VMs go on running.

use std::process::{Command, Stdio};
use std::time::Duration;

use wait_timeout::ChildExt;

use crate::paths::Root;

/// How long it may take: it stops and starts a dozen services.
const PATIENCE: Duration = Duration::from_mins(5);

/// Restarts the toolstack, and waits for it. What it says goes to the terminal.
pub(super) fn restart_toolstack(root: &Root) -> Result<(), String> {
    let program = root.toolstack_restart();
    let say = |what: &dyn std::fmt::Display| format!("{}: {what}", program.display());
    // Standard output is for the answer.
    let mut child =
        Command::new(&program).stdin(Stdio::null()).stdout(std::io::stderr()).spawn().map_err(|error| say(&error))?;
    match child.wait_timeout(PATIENCE).map_err(|error| say(&error))? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(say(&status)),
        // It goes on: to be ended half-way is the worst for it.
        None => Err(say(&format!("it has not ended within {} s, and goes on", PATIENCE.as_secs()))),
    }
}
