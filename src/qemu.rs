//! The QEMUs of this host. What a VM runs with is on the command line of its QEMU, which the kernel shows to root.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::device_args::{self, FoundDevice};
use crate::model::VmSettings;
use crate::paths::Root;
use crate::settings::DeviceName;

/// What QEMU's name begins with; the domain's number follows (xapi-project/xen-api, `ocaml/xenopsd/scripts/qemu-wrapper`).
const NAME: &str = "qemu-dm-";
/// The option with the domain's number.
const DOMID: &str = "-xen-domid";

/// What a VM runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunsWith {
    /// Our device, once and with valid values.
    Vgpu {
        device_argument: String,
        settings: VmSettings,
    },
    NoVgpu,
    /// Our device with values that cannot be read, or several of it.
    Unclear {
        device_argument: String,
    },
    /// The domain has no QEMU: a PV or PVH guest, or one that starts or ends right now.
    NoQemu,
    /// A process could not be read, for this reason, and it may be the VM's QEMU.
    NotReadable {
        why: String,
    },
}

impl RunsWith {
    #[must_use]
    pub fn settings(&self) -> Option<VmSettings> {
        match self {
            Self::Vgpu { settings, .. } => Some(*settings),
            _ => None,
        }
    }

    /// QEMU's argument; empty for no vGPU, `None` if it is not known.
    #[must_use]
    pub fn device_argument(&self) -> Option<&str> {
        match self {
            Self::Vgpu { device_argument, .. } | Self::Unclear { device_argument } => Some(device_argument),
            Self::NoVgpu => Some(""),
            Self::NoQemu | Self::NotReadable { .. } => None,
        }
    }

    fn of(device: &DeviceName, command_line: &[String]) -> Self {
        let found = device_args::find_in_words(device, command_line);
        if let [only @ FoundDevice { is_exact: true, text, .. }] = found.as_slice()
            && let Some(settings) = only.settings()
        {
            return Self::Vgpu { device_argument: text.clone(), settings };
        }
        let texts: Vec<_> = found.iter().map(|found| found.text.as_str()).collect();
        if texts.is_empty() { Self::NoVgpu } else { Self::Unclear { device_argument: texts.join(" ") } }
    }
}

/// The command lines of this host's QEMUs, read once for all of them.
#[derive(Debug, Default)]
pub struct Qemus {
    by_domid: HashMap<i64, Vec<String>>,
    /// Why a process could not be read, if one could not.
    unreadable: Option<String>,
}

impl Qemus {
    /// Reads every process of the host.
    #[must_use]
    pub fn read(root: &Root) -> Self {
        let mut qemus = Self::default();
        let proc = root.proc();
        match fs::read_dir(&proc) {
            Ok(entries) => entries.flatten().for_each(|entry| qemus.add(&entry.path())),
            Err(error) => qemus.unreadable = Some(format!("{}: {error}", proc.display())),
        }
        qemus
    }

    fn add(&mut self, process: &Path) {
        let is_process = process.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit));
        if !is_process {
            return;
        }
        let path = process.join("cmdline");
        match fs::read(&path) {
            Ok(command_line) => self.by_domid.extend(qemu(&command_line)),
            Err(error) if has_ended(&error) => {}
            Err(error) => self.unreadable = Some(format!("{}: {error}", path.display())),
        }
    }

    /// What a domain runs with.
    #[must_use]
    pub fn runs_with(&self, domid: i64, device: &DeviceName) -> RunsWith {
        match (self.by_domid.get(&domid), &self.unreadable) {
            (Some(command_line), _) => RunsWith::of(device, command_line),
            (None, Some(why)) => RunsWith::NotReadable { why: why.clone() },
            (None, None) => RunsWith::NoQemu,
        }
    }
}

/// A process may end while it is looked at.
fn has_ended(error: &io::Error) -> bool {
    // Linux: ESRCH, "no such process".
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3)
}

/// The domain and the arguments of a process, if it is a QEMU: each word ends with a zero byte.
fn qemu(command_line: &[u8]) -> Option<(i64, Vec<String>)> {
    // Most processes are not: their names say so.
    if !command_line.starts_with(NAME.as_bytes()) {
        return None;
    }
    let words = command_line.strip_suffix(b"\0").unwrap_or(command_line).split(|byte| *byte == 0);
    let words: Vec<_> = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let of_name: i64 = words.first()?.strip_prefix(NAME)?.parse().ok()?;
    let at = words.iter().position(|word| word == DOMID)?;
    let domid = words.get(at + 1)?.parse().ok()?;
    (of_name == domid).then_some((domid, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PoolId, Priority};

    fn device() -> DeviceName {
        DeviceName::try_from("vgpu-stub".to_owned()).unwrap()
    }

    /// A host with these processes, by their numbers.
    fn host(processes: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (pid, command_line) in processes {
            let process = folder.path().join("proc").join(pid);
            fs::create_dir_all(&process).unwrap();
            fs::write(process.join("cmdline"), command_line.replace(' ', "\0") + "\0").unwrap();
        }
        let root = Root::at(folder.path());
        (folder, root)
    }

    fn runs_with(processes: &[(&str, &str)], domid: i64) -> RunsWith {
        let (_folder, root) = host(processes);
        Qemus::read(&root).runs_with(domid, &device())
    }

    const OURS: &str = "vgpu-stub,pool_id=A,priority=high,vm_id=7";

    #[test]
    fn each_domain_has_what_its_own_qemu_was_given() {
        let qemu = |domid: i64, more: &str| format!("qemu-dm-{domid} -machine pc -xen-domid {domid} -m 2048{more}");
        let (one, two) = (qemu(5, &format!(" -device {OURS} -vnc none")), qemu(6, ""));
        let processes = [("100", one.as_str()), ("101", &two), ("102", "logger -t qemu-dm-7[9]")];
        let RunsWith::Vgpu { device_argument, settings } = runs_with(&processes, 5) else { panic!("no vGPU") };
        assert_eq!(device_argument, format!("-device {OURS}"));
        assert_eq!((settings.pool, settings.priority, settings.vm_id.get()), (PoolId::A, Priority::High, 7));
        assert_eq!(runs_with(&processes, 6), RunsWith::NoVgpu);
        assert_eq!(runs_with(&processes, 7), RunsWith::NoQemu);
    }

    #[test]
    fn what_is_not_one_valid_device_is_unclear() {
        for words in [
            "-device vgpu-stub,pool_id=A",
            "-device vgpu-stub,pool_id=C,priority=high,vm_id=7",
            "-device vgpu-stub,pool_id=a,priority=high,vm_id=7",
            &format!("-device {OURS} -device {OURS}"),
        ] {
            let command_line = format!("qemu-dm-5 -xen-domid 5 {words}");
            let expected = RunsWith::Unclear { device_argument: words.to_owned() };
            assert_eq!(runs_with(&[("100", &command_line)], 5), expected);
        }
    }

    #[test]
    fn a_process_that_only_resembles_a_qemu_is_none() {
        for command_line in [
            "qemu-dm-5".to_owned(),
            format!("qemu-dm-6 -xen-domid 5 -device {OURS}"),
            format!("/bin/qemu-dm-5 -xen-domid 5 -device {OURS}"),
            format!("python qemu-wrapper 5 -xen-domid 5 -device {OURS}"),
            "qemu-dm-5 -xen-domid".to_owned(),
        ] {
            assert_eq!(runs_with(&[("100", &command_line)], 5), RunsWith::NoQemu, "{command_line}");
        }
        assert_eq!(runs_with(&[("self", "qemu-dm-5 -xen-domid 5")], 5), RunsWith::NoQemu);
    }

    #[test]
    fn where_a_process_cannot_be_read_a_missing_qemu_may_be_that_one() {
        let (folder, root) = host(&[("100", "qemu-dm-5 -xen-domid 5")]);
        // A folder: to read it is an error for root as well.
        fs::create_dir_all(folder.path().join("proc/200/cmdline")).unwrap();
        let qemus = Qemus::read(&root);
        assert_eq!(qemus.runs_with(5, &device()), RunsWith::NoVgpu);
        let RunsWith::NotReadable { why } = qemus.runs_with(6, &device()) else { panic!("readable") };
        assert!(why.contains("proc/200/cmdline"), "{why}");
        let nowhere = Qemus::read(&Root::at(folder.path().join("nowhere")));
        assert!(matches!(nowhere.runs_with(5, &device()), RunsWith::NotReadable { .. }));
    }
}
