//! Whether this host's QEMU gets the argument and has the device.

use std::path::{Path, PathBuf};

use super::installed;
use super::programs::ask;
use super::qemu_wrapper::configured::{Configured, Whose, whose};
use super::qemu_wrapper::{cannot_be_run, is_patched, running};
use crate::device_args::PLATFORM_KEY;
use crate::paths::Root;
use crate::qemu_device::{self, HELP, Known};
use crate::settings::DeviceName;

/// Whether the qemu-wrapper passes `platform/device-model-args` on to QEMU. The stock one does not; ours does, and so does a GPU
/// vendor's.
pub(super) fn wrapper_passes_arguments(root: &Root) -> Result<String, String> {
    let stock = root.stock_qemu_wrapper();
    let whose = whose(root);
    match &whose {
        Whose::Ours(_) => ours_is_in_effect(root, &whose),
        Whose::Stock if running::has_ours(root, &whose) == Some(true) => Err(format!(
            "{} is disabled, and passes the vGPU only until xenopsd is restarted: run 'vgpu-admin qemu-wrapper enable' to keep it",
            root.qemu_wrapper().display()
        )),
        Whose::Stock => reads_key(&stock, "run 'vgpu-admin qemu-wrapper enable'"),
        Whose::Foreign(Configured { wrapper, file }) => reads_key(
            &root.xen_program(wrapper),
            &format!(
                "install it again, or remove the line from {} and run 'vgpu-admin qemu-wrapper enable'",
                file.display()
            ),
        ),
    }
}

fn ours_is_in_effect(root: &Root, whose: &Whose) -> Result<String, String> {
    let (ours, stock) = (root.qemu_wrapper(), root.stock_qemu_wrapper());
    let (ours, stock) = (ours.display(), stock.display());
    if let Some(reason) = cannot_be_run(&root.qemu_wrapper()) {
        return Err(format!(
            "{reason}, so no VM that uses QEMU starts: run /usr/libexec/vgpu/put-hook, or install vgpu-config again"
        ));
    }
    installed::qemu_wrapper(root)?;
    can_be_run(&root.stock_qemu_wrapper())?;
    if is_patched(&root.stock_qemu_wrapper()) {
        return Err(format!(
            "{stock} was changed and passes platform/{PLATFORM_KEY} to QEMU itself, so vgpu-config's qemu-wrapper passes \
             nothing: restore the stock one (yum reinstall \"$(rpm -qf {stock})\"), or run 'vgpu-admin qemu-wrapper disable'"
        ));
    }
    match running::has_ours(root, whose) {
        Some(false) => Err(format!(
            "{ours} is enabled, but not in effect yet because xenopsd was started before that, so QEMU gets no vGPU: run \
             'vgpu-admin qemu-wrapper enable --restart-toolstack' (running VMs are not affected)"
        )),
        _ => Ok(format!("{ours} passes the vGPU from platform/{PLATFORM_KEY} to QEMU, and starts {stock}")),
    }
}

fn reads_key(wrapper: &Path, remedy: &str) -> Result<String, String> {
    can_be_run(wrapper)?;
    let shown = wrapper.display();
    if is_patched(wrapper) {
        return Ok(format!("{shown} reads platform/{PLATFORM_KEY}"));
    }
    Err(format!("{shown} does not read platform/{PLATFORM_KEY}, so QEMU gets no vGPU: {remedy}"))
}

fn can_be_run(wrapper: &Path) -> Result<(), String> {
    let shown = wrapper.display();
    match cannot_be_run(wrapper) {
        None => Ok(()),
        Some(reason) if wrapper.is_file() => {
            Err(format!("{reason}, so no VM that uses QEMU starts: chmod 755 {shown}"))
        }
        Some(reason) => Err(format!("{reason}; without it, no VM that uses QEMU starts")),
    }
}

pub(super) fn qemu_knows_device(root: &Root, device: &DeviceName) -> Result<String, String> {
    let qemu = qemu(root);
    let shown = qemu.display();
    let name = device.as_str();
    match known_by(&qemu, device)? {
        Known::Pci | Known::NotPci => Ok(format!("{shown} has the device {name}")),
        Known::Missing | Known::Unclear => Err(format!(
            "{shown} has no device {name}, so registered VMs start without a vGPU, or not at all if another qemu-wrapper passes it: \
             install the GPU vendor's QEMU again, or correct 'device' in vgpu.toml ({shown} -device help)"
        )),
    }
}

/// Asks QEMU what it knows of the device, so that no start of a VM has to.
pub(super) fn learn_of_device(root: &Root, device: &DeviceName) {
    let qemu = qemu(root);
    match known_by(&qemu, device).map(|known| qemu_device::note(root, &qemu, device, known)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("{}: {error}", root.qemu_device().display()),
        Err(error) => log::warn!("{error}"),
    }
}

fn known_by(qemu: &Path, device: &DeviceName) -> Result<Known, String> {
    let help = ask(qemu, &HELP).map_err(|error| format!("{} -device help: {error}", qemu.display()))?;
    Ok(Known::read(&help, device))
}

fn qemu(root: &Root) -> PathBuf {
    let wrapper = match whose(root) {
        Whose::Foreign(Configured { wrapper, .. }) => root.xen_program(&wrapper),
        Whose::Stock | Whose::Ours(_) => root.stock_qemu_wrapper(),
    };
    qemu_device::program(root, &wrapper)
}
