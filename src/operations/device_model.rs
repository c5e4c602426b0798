//! Whether this host's QEMU gets the argument and has the device.

use std::fs;
use std::path::Path;

use super::installed;
use super::programs::ask;
use super::qemu_wrapper::configured::{Configured, Whose, whose};
use super::qemu_wrapper::{cannot_be_run, is_patched, running};
use crate::device_args::PLATFORM_KEY;
use crate::paths::Root;
use crate::settings::DeviceName;

/// Whether the qemu-wrapper passes `platform/device-model-args` on to QEMU. The stock one does not; ours does, and so does a GPU
/// vendor's.
pub(super) fn wrapper_passes_arguments(root: &Root) -> Result<String, String> {
    let stock = root.stock_qemu_wrapper();
    let whose = whose(root);
    match &whose {
        Whose::Ours(_) => ours_is_in_effect(root, &whose),
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
    let qemu = root.xen_program(&qemu(root));
    let shown = qemu.display();
    let devices = ask(&qemu, &["-device", "help"]).map_err(|error| format!("{shown} -device help: {error}"))?;
    let name = device.as_str();
    if devices.contains(&format!("name \"{name}\"")) {
        return Ok(format!("{shown} has the device {name}"));
    }
    Err(format!(
        "{shown} has no device {name}, so registered VMs do not start: install the GPU vendor's QEMU again, or correct 'device' in \
         vgpu.toml ({shown} -device help)"
    ))
}

/// The QEMU from the qemu-wrapper's line `qemu_dm = '/usr/lib64/xen/bin/qemu-system-i386'`.
fn qemu(root: &Root) -> String {
    let wrapper = match whose(root) {
        Whose::Foreign(Configured { wrapper, .. }) => root.xen_program(&wrapper),
        Whose::Stock | Whose::Ours(_) => root.stock_qemu_wrapper(),
    };
    let text = fs::read_to_string(wrapper).unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "qemu_dm").then(|| value.trim().trim_matches(['\'', '"']).to_owned())
    });
    let is_path = |name: &String| name.starts_with('/');
    named.filter(is_path).unwrap_or_else(|| "qemu-system-i386".to_owned())
}
