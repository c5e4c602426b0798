//! A stock host: xenopsd is a process. Its settings name the qemu-wrapper that it starts, which starts a process for QEMU.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Dom0, layout};
use crate::lock;
use crate::programs::PLACES;

/// The releases; their xenopsd and stock qemu-wrapper differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// XCP-ng 8.2.
    V8_2,
    /// XCP-ng 8.3.
    V8_3,
}

impl Release {
    fn version(self) -> &'static str {
        match self {
            Self::V8_2 => "8.2.1",
            Self::V8_3 => "8.3.0",
        }
    }

    /// The folder that xenopsd reads: by default the one with its own name (`default_service_name` in
    /// `ocaml/xapi-idl/lib/xcp_service.ml`). XCP-ng's package creates the one of 8.3, and its documentation names it. The one of
    /// 8.2 is a guess from the source.
    fn folder(self) -> &'static str {
        match self {
            Self::V8_2 => "etc/xenopsd-xc.conf.d",
            Self::V8_3 => "etc/xenopsd.conf.d",
        }
    }

    /// The release that is installed below a root.
    pub(crate) fn of(root: &Path) -> Self {
        let inventory = fs::read_to_string(root.join("etc/xensource-inventory")).unwrap_or_default();
        if inventory.contains("PRODUCT_VERSION='8.2") { Self::V8_2 } else { Self::V8_3 }
    }
}

/// The stock qemu-wrapper is a script.
const STOCK_WRAPPER: &str = "#!/bin/sh\n\
    # Stand-in for the stock one.\n\
    exec \"${0%/usr/*}/usr/libexec/simulated-host/qemu-wrapper\" \"$@\"\n";

/// Lets another process write a script. If this one wrote it while another thread starts a program, that program could inherit
/// the open file, and the script could not be run yet.
fn write_program(path: &Path, text: &str) -> io::Result<()> {
    let line = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
    let status = Command::new("/bin/sh").args(["-c", line, "sh", text]).arg(path).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("a script could not be written")) }
}

/// A running xenopsd.
pub struct XenopsdProcess {
    process: Child,
    link: PathBuf,
    /// The qemu-wrapper that its settings named when it started.
    pub wrapper: PathBuf,
}

impl XenopsdProcess {
    fn start(root: &Path) -> io::Result<Self> {
        let mut command = Command::new(root.join("usr/sbin/xenopsd-xc"));
        // It ends when its standard input is closed, so in any case together with this process.
        let process = command.args(["--config", "/etc/xenopsd.conf"]).stdin(Stdio::piped()).spawn()?;
        let link = link_process(root, process.id())?;
        Ok(Self { process, link, wrapper: configured_wrapper(root) })
    }
}

impl Drop for XenopsdProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.link);
    }
}

/// Makes a process visible in the host's own `/proc`.
pub fn link_process(root: &Path, pid: u32) -> io::Result<PathBuf> {
    let link = root.join("proc").join(pid.to_string());
    let _ = fs::remove_file(&link);
    symlink(format!("/proc/{pid}"), &link)?;
    Ok(link)
}

impl Dom0 {
    /// Makes this a stock host. `program` is the stand-in for dom0's programs.
    pub fn install_stock(&self, program: &Path, release: Release) -> io::Result<()> {
        fs::create_dir_all(self.root.join(release.folder()))?;
        fs::create_dir_all(self.root.join("proc"))?;
        let _ = symlink("/proc/uptime", self.root.join("proc/uptime"));
        fs::write(self.root.join("etc/xenopsd.conf"), "# Default paths to search for binaries\nuse-switch = true\n")?;
        fs::write(self.root.join("etc/xensource-inventory"), layout::inventory(&self.uuid, release.version()))?;
        for place in PLACES {
            let path = self.root.join(place);
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let _ = fs::remove_file(&path);
            if fs::hard_link(program, &path).is_err() {
                fs::copy(program, &path)?;
            }
        }
        let wrapper = self.root.join("usr/lib64/xen/bin/qemu-wrapper");
        let _ = fs::remove_file(&wrapper);
        write_program(&wrapper, STOCK_WRAPPER)?;
        self.start_xenopsd_process()
    }

    /// Starts xenopsd's process, which reads its settings.
    fn start_xenopsd_process(&self) -> io::Result<()> {
        *lock(&self.xenopsd_process) = None;
        *lock(&self.xenopsd_process) = Some(XenopsdProcess::start(&self.root)?);
        Ok(())
    }

    /// `xe-toolstack-restart`; only xenopsd matters here. Other hosts than stock ones have no process for it.
    pub fn restart_toolstack(&self) -> io::Result<()> {
        if self.is_stock() { self.start_xenopsd_process() } else { Ok(()) }
    }

    pub fn is_stock(&self) -> bool {
        self.root.join("usr/sbin/xenopsd-xc").exists()
    }

    /// The qemu-wrapper that the running xenopsd starts.
    pub fn wrapper(&self) -> Option<PathBuf> {
        lock(&self.xenopsd_process).as_ref().map(|xenopsd| xenopsd.wrapper.clone())
    }

    pub(super) fn end_xenopsd_process(&self) {
        lock(&self.xenopsd_process).take();
    }
}

/// The qemu-wrapper in the settings: from the file of `--config`, then from each file of the folder in sorted order, where later
/// ones override earlier ones (`read_config_file` in `xcp_service.ml`). It is a guess that a name without a path is searched in
/// Xen's folder.
fn configured_wrapper(root: &Path) -> PathBuf {
    let mut files = vec![root.join("etc/xenopsd.conf")];
    let folder = fs::read_dir(root.join(Release::of(root).folder()));
    let mut fragments: Vec<_> = folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    fragments.sort();
    files.extend(fragments);
    let mut wrapper = "qemu-wrapper".to_owned();
    for text in files.iter().filter_map(|file| fs::read_to_string(file).ok()) {
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            if let Some(("upstream-compat-qemu-dm-wrapper", value)) =
                line.split_once('=').map(|(key, value)| (key.trim(), value))
            {
                value.trim().trim_matches(['"', '\'']).clone_into(&mut wrapper);
            }
        }
    }
    match wrapper.strip_prefix('/') {
        Some(path) => root.join(path),
        None => root.join("usr/lib64/xen/bin").join(wrapper),
    }
}
