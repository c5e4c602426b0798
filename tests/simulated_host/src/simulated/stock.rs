//! A stock host, on which a chain of real processes starts QEMU.

use std::io;
use std::path::{Path, PathBuf};

use super::SimulatedHost;
use crate::dom0::Release;

/// The QEMU of a running VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// Its process ID.
    pub pid: u32,
    /// Its command line from /proc: its name, then its arguments.
    pub command_line: Vec<String>,
}

/// The stock host.
impl SimulatedHost {
    /// Makes this a stock host: from now on xenopsd starts the qemu-wrapper that its settings name as a process, which starts
    /// QEMU. By default, the host's qemu-wrapper is changed so that it passes device-model-args on, and no process is started.
    /// `program` is this package's program `dom0-program`.
    ///
    /// # Errors
    /// A file cannot be written, or a process cannot be started.
    pub fn install_stock(&self, program: &Path, release: Release) -> io::Result<()> {
        self.dom0.install_stock(program, release)
    }

    /// Restarts xenopsd, which then reads its settings.
    ///
    /// # Errors
    /// Its process cannot be started.
    pub fn restart_toolstack(&self) -> io::Result<()> {
        self.dom0.restart_toolstack()
    }

    /// The qemu-wrapper that xenopsd starts.
    #[must_use]
    pub fn wrapper(&self) -> Option<PathBuf> {
        self.dom0.wrapper()
    }

    /// The QEMU of a VM that is running on this host.
    #[must_use]
    pub fn qemu(&self, uuid: &str) -> Option<Qemu> {
        let device_model = self.dom0.xenopsd.domain(uuid)?.device_model?;
        Some(Qemu { pid: device_model.pid(), command_line: device_model.command_line() })
    }
}
