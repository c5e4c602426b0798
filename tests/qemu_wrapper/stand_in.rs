//! Our qemu-wrapper alone, with stand-ins for the stock one, for xenstore-read and for the log.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use vgpu_tests::ScratchRoot;
use vgpu_tests::root::Ran;

pub const WRAPPER: &str = "usr/libexec/vgpu/qemu-wrapper";
pub const STOCK: &str = "usr/lib64/xen/bin/qemu-wrapper";
const XENSTORE_READ: &str = "usr/bin/xenstore-read";

/// Some of the arguments that xenopsd passes.
pub const ARGUMENTS: [&str; 9] =
    ["5", "--syslog", "-std-vga", "", "a  b", "-xen-domid", "5", "-netdev", "tap,id=tapnet0,fd=7"];
pub const OURS: [&str; 2] = ["-device", "vgpu-stub,pool_id=A,priority=high,vm_id=7"];

/// A root in which the stock qemu-wrapper prints its arguments, and xenstore has our argument for domain 5.
pub struct StandIn {
    pub root: ScratchRoot,
    log: UnixDatagram,
}

impl StandIn {
    pub fn new() -> Self {
        let root = ScratchRoot::new();
        fs::create_dir_all(root.path("dev")).unwrap();
        let log = UnixDatagram::bind(root.path("dev/log")).unwrap();
        log.set_nonblocking(true).unwrap();
        let stand_in = Self { root, log };
        stand_in.stock("printf '<%s>\\n' \"$@\"");
        stand_in
            .xenstore(&format!("[ \"$*\" = /local/domain/5/platform/device-model-args ] && echo '{}'", OURS.join(" ")));
        stand_in
    }

    pub fn script(&self, below: &str, body: &str) {
        self.root.write(below, "");
        self.root.replace_program(below, &format!("#!/bin/sh\n{body}\n"));
    }

    /// Replaces the stock qemu-wrapper.
    pub fn stock(&self, body: &str) {
        self.script(STOCK, body);
    }

    /// Replaces xenstore-read.
    pub fn xenstore(&self, body: &str) {
        self.script(XENSTORE_READ, body);
    }

    /// Starts our qemu-wrapper as xenopsd does, and returns what the stock one printed.
    pub fn start(&self) -> Ran {
        self.root.run(WRAPPER, &ARGUMENTS)
    }

    pub fn command(&self) -> Command {
        self.root.command(WRAPPER)
    }

    /// What has been logged since the last call.
    pub fn logged(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut datagram = vec![0; 64 * 1024];
        while let Ok(length) = self.log.recv(&mut datagram) {
            lines.push(String::from_utf8_lossy(&datagram[..length]).into_owned());
        }
        lines
    }
}

/// The arguments as the stock qemu-wrapper prints them.
pub fn printed(arguments: &[&str]) -> String {
    arguments.iter().flat_map(|argument| ["<", argument, ">\n"]).collect()
}
