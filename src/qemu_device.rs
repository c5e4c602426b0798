//! What QEMU knows of the vGPU device. QEMU does not start with a device that it does not have, and it gives a PCI device
//! without an address the first free slot. On XCP-ng that is the VGA device's, which the stock qemu-wrapper adds later
//! (xapi-project/xen-api, `ocaml/xenopsd/scripts/qemu-wrapper`; QEMU, `do_pci_register_device` in `hw/pci/pci.c`).
//!
//! To ask QEMU takes longer than the start of a VM should wait, so the answer is kept in a file until QEMU changes.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::paths::Root;
use crate::settings::DeviceName;

/// The arguments with which QEMU lists its devices.
pub const HELP: [&str; 2] = ["-device", "help"];
/// The PCI slots to choose from. The highest comes first, because QEMU and xenopsd use the lowest.
const SLOTS: RangeInclusive<u8> = 0x10..=0x1e;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// It is a PCI device.
    Pci,
    /// It is a device of another kind.
    NotPci,
    /// QEMU does not have it.
    Missing,
    /// The output of QEMU is not a list of devices.
    Unclear,
}

impl Known {
    /// Reads QEMU's list of devices, with lines such as `name "VGA", bus PCI, desc "…"`.
    #[must_use]
    pub fn read(help: &str, device: &DeviceName) -> Self {
        let mut devices = help.lines().filter_map(|line| line.strip_prefix("name \"")?.split_once('"')).peekable();
        if devices.peek().is_none() {
            return Self::Unclear;
        }
        match devices.find(|(name, _)| *name == device.as_str()) {
            None => Self::Missing,
            Some((_, rest)) if rest.split(',').any(|part| part.trim() == "bus PCI") => Self::Pci,
            Some(_) => Self::NotPci,
        }
    }
}

/// The QEMU that a qemu-wrapper starts: it names it in a line `qemu_dm = '/usr/lib64/xen/bin/qemu-system-i386'`.
#[must_use]
pub fn program(root: &Root, wrapper: &Path) -> PathBuf {
    let text = fs::read_to_string(wrapper).unwrap_or_default();
    let named = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "qemu_dm").then(|| value.trim().trim_matches(['\'', '"']).to_owned())
    });
    let named = named.filter(|name| name.starts_with('/'));
    root.xen_program(named.as_deref().unwrap_or("qemu-system-i386"))
}

/// What is kept in the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    qemu: Identity,
    device: String,
    known: Known,
}

/// A file, as it was when it was asked.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    path: PathBuf,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Identity {
    fn of(qemu: &Path) -> Option<Self> {
        let file = fs::metadata(qemu).ok()?;
        let changed = (file.ctime(), file.ctime_nsec());
        Some(Self { path: qemu.to_owned(), inode: file.ino(), size: file.size(), changed })
    }
}

/// What was noted of a device, and whether QEMU has not changed since then.
#[must_use]
pub fn noted(root: &Root, qemu: &Path, device: &DeviceName) -> Option<(Known, bool)> {
    let note: Note = serde_json::from_slice(&fs::read(root.qemu_device()).ok()?).ok()?;
    let is_current = Identity::of(qemu).as_ref() == Some(&note.qemu);
    (note.device == device.as_str()).then_some((note.known, is_current))
}

/// Notes what QEMU knows of a device.
///
/// # Errors
/// The file cannot be written.
pub fn note(root: &Root, qemu: &Path, device: &DeviceName, known: Known) -> io::Result<()> {
    let Some(qemu) = Identity::of(qemu) else { return Ok(()) };
    let path = root.qemu_device();
    // Unique, because several VMs may start at the same time.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let text = serde_json::to_vec(&Note { qemu, device: device.as_str().to_owned(), known })?;
    let write = || {
        File::create(&new)?.write_all(&text)?;
        fs::rename(&new, &path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&new)))
}

/// Gives a PCI device an address that nothing else has, unless it has one.
pub fn give_address(words: &mut [String], device: &DeviceName, others: &[String]) {
    let taken: Vec<_> = others.iter().chain(words.iter()).flat_map(|word| slots_of(word)).collect();
    let Some(free) = SLOTS.rev().find(|slot| !taken.contains(slot)) else { return };
    let mut is_device = false;
    for word in words {
        let mut parts = word.split(',');
        let is_ours = is_device && parts.next() == Some(device.as_str());
        if is_ours && !parts.any(|part| part.starts_with("addr=")) {
            *word = format!("{word},addr={free:x}");
            return;
        }
        is_device = word == "-device";
    }
}

/// The slots that an argument names: `addr=4`, `addr=0x0b.0`.
fn slots_of(word: &str) -> impl Iterator<Item = u8> {
    word.split(',').filter_map(|part| {
        let slot = part.strip_prefix("addr=")?.split('.').next()?;
        u8::from_str_radix(slot.strip_prefix("0x").unwrap_or(slot), 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceName {
        DeviceName::try_from("vgpu-stub".to_owned()).unwrap()
    }

    #[test]
    fn the_list_of_devices_says_on_which_bus_ours_is() {
        let list = |line: &str| format!("Display devices:\nname \"VGA\", bus PCI\n\nMisc devices:\n{line}\n");
        for (line, known) in [
            ("name \"vgpu-stub\", bus PCI, desc \"a share of a GPU\"", Known::Pci),
            ("name \"vgpu-stub\", bus PCI", Known::Pci),
            ("name \"vgpu-stub\", bus ISA", Known::NotPci),
            ("name \"vgpu-stub\"", Known::NotPci),
            ("name \"vgpu-stub\", desc \"not on bus PCI, at all\"", Known::NotPci),
            ("name \"vgpu-stub2\", bus PCI", Known::Missing),
        ] {
            assert_eq!(Known::read(&list(line), &device()), known, "{line}");
        }
        assert_eq!(Known::read("", &device()), Known::Unclear);
        assert_eq!(Known::read("usage: qemu", &device()), Known::Unclear);
    }

    #[test]
    fn the_address_is_the_highest_that_no_other_device_has() {
        let given = |words: &[&str], others: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            let mut words = owned(words);
            give_address(&mut words, &device(), &owned(others));
            words.join(" ")
        };
        assert_eq!(given(&["-device", "vgpu-stub,pool_id=A"], &[]), "-device vgpu-stub,pool_id=A,addr=1e");
        assert_eq!(given(&["-device", "vgpu-stub"], &["-device", "x,addr=0x1e.0,y"]), "-device vgpu-stub,addr=1d");
        for with_one in ["-device vgpu-stub,addr=5", "-device other", "vgpu-stub", "-device vgpu-stub2"] {
            assert_eq!(given(&with_one.split(' ').collect::<Vec<_>>(), &[]), with_one);
        }
    }

    #[test]
    fn what_was_noted_is_current_until_qemu_changes() {
        let folder = tempfile::tempdir().unwrap();
        let root = Root::at(folder.path());
        fs::create_dir_all(root.config_dir()).unwrap();
        let qemu = folder.path().join("qemu");
        fs::write(&qemu, "one").unwrap();
        assert_eq!(noted(&root, &qemu, &device()), None);
        note(&root, &qemu, &device(), Known::Pci).unwrap();
        assert_eq!(noted(&root, &qemu, &device()), Some((Known::Pci, true)));
        fs::write(&qemu, "another").unwrap();
        assert_eq!(noted(&root, &qemu, &device()), Some((Known::Pci, false)));
        assert_eq!(noted(&root, &qemu, &DeviceName::try_from("other".to_owned()).unwrap()), None);
        fs::write(root.qemu_device(), "nonsense").unwrap();
        assert_eq!(noted(&root, &qemu, &device()), None);
    }
}
