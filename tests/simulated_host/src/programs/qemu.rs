//! `qemu-system-i386`: a process with QEMU's name and command line. It lists its devices, and ends with its VM: when the other
//! end of its network is closed, or by a signal.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

/// The devices on the PCI bus; what a share of a GPU is plugged into is a guess.
const PCI_DEVICES: [&str; 4] = ["vgpu-stub", "VGA", "cirrus-vga", "rtl8139"];

pub fn run(root: &Path, arguments: &[String]) -> ExitCode {
    if arguments[1..] == ["-device", "help"] {
        println!("Misc devices:\nname \"vgpu-stub\", bus PCI, desc \"a share of a GPU\"");
        return ExitCode::SUCCESS;
    }
    if let Err(error) = slots(arguments) {
        eprintln!("qemu-system-i386: {error}");
        return ExitCode::FAILURE;
    }
    let Some(mut network) = network(arguments) else {
        eprintln!("qemu: could not open the network's file descriptor");
        return ExitCode::FAILURE;
    };
    if write_pid(root, arguments).is_none() {
        eprintln!("qemu: could not create the pidfile");
        return ExitCode::FAILURE;
    }
    let _ = network.read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

/// QEMU writes its pidfile once its devices are there: `-pidfile /var/run/xen/qemu-dm-5.pid`.
fn write_pid(root: &Path, arguments: &[String]) -> Option<()> {
    let at = arguments.iter().position(|word| word == "-pidfile")?;
    let path = root.join(arguments.get(at + 1)?.trim_start_matches('/'));
    fs::create_dir_all(path.parent()?).ok()?;
    fs::write(path, std::process::id().to_string()).ok()
}

/// Plugs the PCI devices in, in the order of the command line: each into its own slot, or else into the first that is free
/// (`do_pci_register_device` in QEMU's `hw/pci/pci.c`, with its message). The chipset has the first two (`hw/i386/pc_piix.c`).
fn slots(arguments: &[String]) -> Result<(), String> {
    let mut slots = HashMap::from([(0_u8, "i440FX"), (1, "PIIX3")]);
    for pair in arguments.windows(2).filter(|pair| pair[0] == "-device") {
        let mut parts = pair[1].split(',');
        let name = parts.next().unwrap_or_default();
        if !PCI_DEVICES.contains(&name) {
            continue;
        }
        let slot = parts.find_map(|part| u8::from_str_radix(part.strip_prefix("addr=")?, 16).ok());
        let free = || (0..32).find(|slot| !slots.contains_key(slot)).unwrap_or_default();
        let slot = slot.unwrap_or_else(free);
        if let Some(other) = slots.insert(slot, name) {
            let device = &pair[1];
            return Err(format!(
                "-device {device}: PCI: slot {slot} function 0 not available for {name}, in use by {other}"
            ));
        }
    }
    Ok(())
}

/// The network is an open file descriptor: `-netdev tap,id=tapnet0,fd=3`.
fn network(arguments: &[String]) -> Option<File> {
    let at = arguments.iter().position(|word| word == "-netdev")?;
    let number = arguments.get(at + 1)?.split(',').find_map(|part| part.strip_prefix("fd="))?;
    File::open(format!("/proc/self/fd/{number}")).ok()
}
