//! The stock qemu-wrapper, with the command line that QEMU gets from it, according to the recordings in `vectors/wrapper`: of
//! `scripts/qemu-wrapper` from xenopsd 0.150.19 (8.2), and of `ocaml/xenopsd/scripts/qemu-wrapper` from xen-api 24.11.0 (8.3), to
//! which 26.1.0 is equal in this. Not included: the upgrade of old images, the clipboard itself, namespaces, limits and the chroot.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::dom0::Release;
use crate::xenstore::Xenstore;

/// `HVM_BELOW_4G_RAM_END`.
const BELOW_4G: u64 = 0xf000_0000;
/// The UID and GID of `qemu_base`.
const QEMU_BASE: u64 = 65535;

pub fn run(root: &Path, arguments: &[String]) -> ExitCode {
    println!("Arguments: {}", arguments[1..].join(" "));
    let at = arguments.iter().position(|word| word == "-xen-domid");
    let Some(domid) = at.and_then(|at| arguments.get(at + 1)?.parse().ok()) else {
        eprintln!("UnboundLocalError: local variable 'domid' referenced before assignment");
        return ExitCode::FAILURE;
    };
    let store = Xenstore::below(root);
    let write = |key: &str, value: &str| store.write(&format!("/local/domain/{domid}/{key}"), value.as_bytes());
    let _ = write("hvmloader/allow-memory-relocate", "0");
    let _ = write("platform/device-model", "qemu_xen");
    let words = command_line(Release::of(root), domid, arguments);
    let qemu = root.join("usr/lib64/xen/bin/qemu-system-i386");
    println!("Exec: {} {}", qemu.display(), words.join(" "));
    let (name, words) = words.split_at(1);
    let qemu = Command::new(&qemu)
        .arg0(&name[0])
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut qemu = match qemu {
        Ok(qemu) => qemu,
        Err(error) => {
            eprintln!("OSError: {error}");
            return ExitCode::FAILURE;
        }
    };
    let pid = qemu.id().to_string();
    let _ = write("qemu-pid", &pid);
    let _ = write("image/device-model-pid", &pid);
    let error = Command::new("logger")
        .arg("-u")
        .arg(root.join("dev/log"))
        .args(["-p", "daemon.info", "-t", &format!("qemu-dm-{domid}[{pid}]")])
        .stdin(qemu.stdout.take().map_or_else(Stdio::null, Stdio::from))
        .exec();
    eprintln!("OSError: {error}");
    ExitCode::FAILURE
}

/// QEMU's command line, which begins with its name.
fn command_line(release: Release, domid: u64, arguments: &[String]) -> Vec<String> {
    let has = |option: &str| arguments.iter().any(|word| word == option);
    let mmio_start = if has("-vgpu") { BELOW_4G - ((1 << 32) - BELOW_4G) } else { BELOW_4G };
    // As Python prints a boolean.
    let (machine, trad) = if has("-trad-compat") { ("pc-0.10", "True") } else { ("pc-i440fx-2.10", "False") };
    let suppress = if release == Release::V8_2 { "" } else { "suppress-vmdesc=on," };
    let machine =
        format!("{machine},accel=xen,max-ram-below-4g={mmio_start},{suppress}allow-unassigned=true,trad_compat={trad}");
    let mut words = vec![format!("qemu-dm-{domid}"), "-machine".to_owned(), machine];
    let own = Own::take(&arguments[2..], &mut words, has("-trad-compat"));
    let mut add = |text: &str| words.extend(text.split(' ').map(str::to_owned));
    add(&format!("-device {}", own.display()));
    add(&format!("-vnc-clipboard-socket-fd {}", own.next_file));
    if release == Release::V8_3 {
        add("-chardev stdio,id=ovmf -device isa-debugcon,chardev=ovmf,iobase=0x402");
    }
    if own.depriv {
        let id = QEMU_BASE + domid;
        add(&format!("-xen-domid-restrict -chroot /var/xen/qemu/root-{domid} -runas {id}:{id}"));
    }
    words
}

/// The arguments that it reads itself and does not pass on.
struct Own {
    display_device: &'static str,
    video_memory: String,
    properties: Vec<&'static str>,
    depriv: bool,
    /// The number of the next file descriptor that it opens.
    next_file: u32,
}

impl Own {
    fn take(arguments: &[String], words: &mut Vec<String>, trad_compat: bool) -> Self {
        let mut properties = vec!["addr=2", "romfile="];
        let extended = if trad_compat { Some("qemu-extended-regs=false") } else { None };
        if trad_compat {
            properties.extend(["rombar=1", "subvendor_id=0x5853,subsystem_id=0x0001"]);
        }
        let video_memory = "4".to_owned();
        let mut own = Self { display_device: "cirrus-vga", video_memory, properties, depriv: true, next_file: 3 };
        let mut rest = arguments.iter();
        while let Some(word) = rest.next() {
            match word.as_str() {
                "--syslog" | "-trad-compat" | "-acpi" => {}
                "-priv" => own.depriv = false,
                "-videoram" => own.video_memory = rest.next().cloned().unwrap_or_default(),
                "-std-vga" | "-xengt" => {
                    own.display_device = "VGA";
                    own.properties.extend(extended);
                    words.extend((word == "-xengt").then(|| word.clone()));
                }
                "-vgpu" => own.display_device = "vgpu",
                "-loadvm" => {
                    rest.next();
                    words.extend(["-incoming".to_owned(), format!("fd:{}", own.next_file)]);
                    own.next_file += 1;
                }
                _ => words.push(word.clone()),
            }
        }
        own
    }

    fn display(&self) -> String {
        if self.display_device == "vgpu" {
            return "vgpu".to_owned();
        }
        format!("{},vgamem_mb={},{}", self.display_device, self.video_memory, self.properties.join(","))
    }
}
