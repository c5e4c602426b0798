//! Whether this host's QEMU gets the argument and has the device. The GPU vendor provides both.

use std::fs;
use std::path::PathBuf;

use super::programs::{ask, is_executable};
use crate::device_args::PLATFORM_KEY;
use crate::paths::Root;
use crate::settings::DeviceName;

/// xenopsd's setting for another wrapper (xapi-project/xen-api, `ocaml/xenopsd/lib/resources.ml`).
const WRAPPER_SETTING: &str = "upstream-compat-qemu-dm-wrapper";

/// XCP-ng's stock wrapper does not pass `platform/device-model-args` on to QEMU.
pub(super) fn wrapper_passes_arguments(root: &Root) -> Result<String, String> {
    let wrapper = wrapper(root);
    let shown = wrapper.display();
    let text =
        fs::read(&wrapper).map_err(|error| format!("{shown}: {error}; without it, no VM that uses QEMU starts"))?;
    if !fs::metadata(&wrapper).is_ok_and(|file| is_executable(&file)) {
        return Err(format!("{shown} is not executable, so no VM that uses QEMU starts: chmod 755 {shown}"));
    }
    if reads(&text, PLATFORM_KEY) {
        return Ok(format!("{shown} reads platform/{PLATFORM_KEY}"));
    }
    Err(format!(
        "{shown} does not read platform/{PLATFORM_KEY}, so QEMU gets no vGPU: install the GPU vendor's qemu-wrapper again (an \
         update of XCP-ng restores the stock one)"
    ))
}

pub(super) fn qemu_knows_device(root: &Root, device: &DeviceName) -> Result<String, String> {
    let qemu = qemu(root);
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

/// The wrapper from xenopsd's settings, or the stock one.
fn wrapper(root: &Root) -> PathBuf {
    let configured = root.xenopsd_settings().into_iter().filter_map(|file| fs::read_to_string(file).ok());
    let value = |text: String| {
        let mut settings = text.lines().rev().filter_map(|line| line.split_once('='));
        settings.find(|(key, _)| key.trim() == WRAPPER_SETTING).map(|(_, value)| value.trim().to_owned())
    };
    let name = configured.filter_map(value).next_back().unwrap_or_else(|| "qemu-wrapper".to_owned());
    root.xen_program(&name)
}

/// The QEMU from the wrapper's line `qemu_dm = '/usr/lib64/xen/bin/qemu-system-i386'`.
fn qemu(root: &Root) -> PathBuf {
    let text = fs::read_to_string(wrapper(root)).unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "qemu_dm").then(|| value.trim().trim_matches(['\'', '"']).to_owned())
    });
    let is_path = |name: &String| name.starts_with('/');
    root.xen_program(&named.filter(is_path).unwrap_or_else(|| "qemu-system-i386".to_owned()))
}

/// Whether a program contains a text; comments of a script do not count.
fn reads(program: &[u8], wanted: &str) -> bool {
    let has = |text: &[u8]| text.windows(wanted.len()).any(|window| window == wanted.as_bytes());
    if program.starts_with(b"#!") {
        program.split(|byte| *byte == b'\n').any(|line| has(code_of(line)))
    } else {
        has(program)
    }
}

/// A line of a shell or Python script without its comment, which begins with a `#` at the start of a word and outside quotes.
fn code_of(line: &[u8]) -> &[u8] {
    let (mut quote, mut before) = (None, b' ');
    for (at, &byte) in line.iter().enumerate() {
        match quote {
            None if byte == b'#' && before.is_ascii_whitespace() => return &line[..at],
            None if matches!(byte, b'\'' | b'"') => quote = Some(byte),
            Some(open) if byte == open => quote = None,
            _ => {}
        }
        before = byte;
    }
    line
}
