//! Restarts the toolstack. VMs keep running.

use std::process::{Command, Stdio};
use std::time::Duration;

use wait_timeout::ChildExt;

use crate::paths::Root;

/// How long it may take: it restarts a dozen services.
const PATIENCE: Duration = Duration::from_mins(5);

/// Restarts the toolstack and waits for it. The terminal shows its output.
pub(super) fn restart_toolstack(root: &Root) -> Result<(), String> {
    let program = root.toolstack_restart();
    let say = |what: &dyn std::fmt::Display| format!("{}: {what}", program.display());
    // Standard output is reserved for the reply.
    let mut child =
        Command::new(&program).stdin(Stdio::null()).stdout(std::io::stderr()).spawn().map_err(|error| say(&error))?;
    match child.wait_timeout(PATIENCE).map_err(|error| say(&error))? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(say(&status)),
        // It is not killed, because a half-done restart would be worse.
        None => Err(say(&format!("it has not ended after {} s and is still running", PATIENCE.as_secs()))),
    }
}
