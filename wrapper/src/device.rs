//! What QEMU knows of the device, from the file where that is kept, or from QEMU itself.

use std::process::{Command, Stdio};
use std::time::Instant;

use vgpu_config::paths::Root;
use vgpu_config::qemu_device::{self, HELP, Known};
use vgpu_config::settings::DeviceName;

use crate::in_time::{self, Output};

/// What QEMU knows of the device. The error is why nobody can tell.
pub fn known(root: &Root, device: &DeviceName, until: Instant) -> Result<Known, String> {
    let qemu = qemu_device::program(root, &root.stock_qemu_wrapper());
    let noted = qemu_device::noted(root, &qemu, device);
    if let Some((known, true)) = noted {
        return Ok(known);
    }
    match in_time::output(Command::new(&qemu).args(HELP).stderr(Stdio::null()), until) {
        Ok(Output { bytes, has_ended: true, .. }) => {
            let known = Known::read(&String::from_utf8_lossy(&bytes), device);
            if let Err(error) = qemu_device::note(root, &qemu, device, known) {
                log::warn!("{}: {error}", root.qemu_device().display());
            }
            Ok(known)
        }
        // An update of QEMU rarely changes a device's bus.
        _ if noted.is_some() => Ok(noted.map_or(Known::Unclear, |(known, _)| known)),
        Ok(_) => Err(format!("{} -device help did not answer in time", qemu.display())),
        // The stock qemu-wrapper seems to start another program.
        Err(error) => {
            log::warn!("{error}");
            Ok(Known::Unclear)
        }
    }
}
