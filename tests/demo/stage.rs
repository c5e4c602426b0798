//! What an act is shown with: titles, and commands as they are typed in dom0.

use std::fs;
use std::io::IsTerminal;
use std::process::Command;

use simulated_host::Qemu;
use vgpu_tests::{ScratchRoot, programs};

/// The terminal.
pub struct Stage {
    colour: bool,
}

impl Stage {
    pub fn new() -> Self {
        Self { colour: std::io::stdout().is_terminal() }
    }

    pub fn title(&self, text: &str) {
        println!("\n{}\n", self.bold(&format!("── {text} ──")));
    }

    pub fn say(text: &str) {
        println!("{text}");
    }

    /// The vGPU of a running VM, from its QEMU's command line.
    pub fn qemu(&self, name: &str, qemu: Option<&Qemu>) {
        let words = qemu.map(|qemu| qemu.command_line.as_slice()).unwrap_or_default();
        let device = words.windows(2).find(|pair| pair[0] == "-device" && pair[1].starts_with("vgpu-stub"));
        let device = device.map_or_else(|| "(no vGPU)".to_owned(), |pair| pair.join(" "));
        let process = words.first().map_or("no QEMU", String::as_str);
        println!("  {process} of {name}: {}\n", self.bold(&device));
    }

    /// Puts `xe` on a host.
    pub fn install_xe(root: &ScratchRoot) {
        fs::copy(programs::folder().join("xe"), root.path("usr/bin/xe")).expect("xe can be installed");
    }

    /// Shows a command as it is typed on a host, and runs it below the host's root.
    pub fn run(&self, root: &ScratchRoot, prompt: &str, line: &str) -> String {
        println!("{}", self.bold(&format!("{prompt}# {line}")));
        let root = root.folder();
        let below_root = line.replace(" /etc/", &format!(" {}/etc/", root.display()));
        let path = format!("{}/usr/bin:{}", root.display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new("sh").args(["-c", &below_root]).env("PATH", path).output().expect("there is a shell");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).replace(&root.display().to_string(), "");
        assert!(output.status.success(), "{line}: {text}");
        let text = text.trim_end();
        if !text.is_empty() {
            println!("{text}");
        }
        println!();
        text.to_owned()
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
