//! Reads a value from xenstore with dom0's xenstore-read.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use vgpu_config::xenstore::value;

use crate::in_time::{self, Output};

/// The value of a path; `None` if it does not exist.
pub fn read(program: &Path, path: &str, until: Instant) -> Result<Option<String>, String> {
    match in_time::output(Command::new(program).arg(path).stderr(Stdio::piped()), until)? {
        Output { bytes, errors, has_ended: true } => value(&bytes, &errors),
        Output { has_ended: false, .. } => Err(format!("{} did not answer in time", program.display())),
    }
}
