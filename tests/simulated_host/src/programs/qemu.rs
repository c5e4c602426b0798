//! `qemu-system-i386`: a process with QEMU's name and command line. It lists its devices, and ends with its VM: when the other
//! end of its network is closed, or by a signal.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

pub fn run(arguments: &[String]) -> ExitCode {
    if arguments[1..] == ["-device", "help"] {
        println!("Misc devices:\nname \"vgpu-stub\", bus PCI, desc \"a share of a GPU\"");
        return ExitCode::SUCCESS;
    }
    let Some(mut network) = network(arguments) else {
        eprintln!("qemu: could not open the network's file descriptor");
        return ExitCode::FAILURE;
    };
    let _ = network.read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

/// The network is an open file descriptor: `-netdev tap,id=tapnet0,fd=3`.
fn network(arguments: &[String]) -> Option<File> {
    let at = arguments.iter().position(|word| word == "-netdev")?;
    let number = arguments.get(at + 1)?.split(',').find_map(|part| part.strip_prefix("fd="))?;
    File::open(format!("/proc/self/fd/{number}")).ok()
}
