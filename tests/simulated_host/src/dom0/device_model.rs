//! A VM's device model: xenopsd starts the qemu-wrapper that its settings name, which starts QEMU (`ocaml/xenopsd/xc/device.ml`).

use std::fs::{self, File};
use std::io::{self, PipeWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::Dom0;
use super::stock::link_process;
use crate::database::Class;
use crate::error::{ApiError, ApiResult};
use crate::lock;
use crate::xenopsd::Domain;
use crate::xenstore::Xenstore;

/// How long QEMU may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
/// How long QEMU and its logger may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// The pause between two checks.
const PAUSE: Duration = Duration::from_millis(1);

/// The number of the first process that the kernel cannot have (`PID_MAX_LIMIT`).
const NO_PROCESS: u32 = 4_194_305;

/// The QEMU of a domain. It ends when this is dropped.
#[derive(Debug)]
pub struct DeviceModel {
    pid: u32,
    /// `None` on a host with a patched wrapper, where QEMU is only a command line below `/proc`.
    process: Option<Process>,
    /// Its folder below the host's own `/proc`.
    shown: PathBuf,
    store: Xenstore,
    domid: i64,
    /// The last of xenopsd's arguments. Others have added what follows it in QEMU's command line.
    last_argument: String,
}

#[derive(Debug)]
struct Process {
    /// The other end of QEMU's network.
    network: Mutex<Option<PipeWriter>>,
    /// The qemu-wrapper's process, which has executed a logger for QEMU's output.
    logger: Mutex<Child>,
}

impl DeviceModel {
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// QEMU's command line from /proc; empty if it has ended.
    pub fn command_line(&self) -> Vec<String> {
        command_line(&self.shown).unwrap_or_default()
    }

    /// What is between xenopsd's arguments and those that the stock qemu-wrapper adds.
    pub fn additions(&self) -> Option<String> {
        let words = self.command_line();
        let after = words.iter().position(|word| *word == self.last_argument)? + 1;
        let display = |pair: &[String]| {
            pair[0] == "-device"
                && ["cirrus-vga", "VGA,", "vgpu"]
                    .iter()
                    .any(|name| pair[1].starts_with(name) && (pair[1].contains("vgamem_mb=") || pair[1] == "vgpu"))
        };
        let end = words[after..].windows(2).position(display)? + after;
        (end > after).then(|| words[after..end].join(" "))
    }
}

fn command_line(process: &Path) -> io::Result<Vec<String>> {
    let bytes = fs::read(process.join("cmdline"))?;
    let words = bytes.split_inclusive(|byte| *byte == 0);
    Ok(words.map(|word| String::from_utf8_lossy(word.strip_suffix(b"\0").unwrap_or(word)).into_owned()).collect())
}

impl Drop for DeviceModel {
    fn drop(&mut self) {
        if let Some(Process { network, logger }) = &self.process {
            lock(network).take();
            let mut logger = lock(logger);
            if ended(&mut logger, ENDS_WITHIN).is_none() {
                let _ = logger.kill();
                let _ = logger.wait();
            }
        }
        let _ = fs::remove_file(&self.shown).or_else(|_| fs::remove_dir_all(&self.shown));
        self.store.remove(&format!("/local/domain/{}", self.domid));
    }
}

fn ended(process: &mut Child, within: Duration) -> Option<ExitStatus> {
    let until = Instant::now() + within;
    loop {
        match process.try_wait() {
            Ok(None) if Instant::now() < until => thread::sleep(PAUSE),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

impl Dom0 {
    /// Starts a domain's device model, and returns what QEMU got in addition to xenopsd's arguments. If this fails, the VM does
    /// not start, and its domain is destroyed (`Failed_to_start_emulator` in `xenops_server_xen.ml`). PV and PVH guests have none.
    pub(super) fn start_device_model(&self, uuid: &str, domain: &Domain, restores: bool) -> ApiResult<Option<String>> {
        if !self.has_device_model(uuid) {
            return Ok(None);
        }
        let started = match self.wrapper() {
            Some(wrapper) => run_wrapper(&self.root, &wrapper, domain, restores),
            None => show_patched(&self.root, domain, restores),
        };
        match started {
            Ok(device_model) => {
                let additions = device_model.additions();
                self.xenopsd.set_device_model(uuid, device_model);
                Ok(additions)
            }
            Err(error) => {
                self.xenopsd.destroy_domain(uuid);
                Xenstore::below(&self.root).remove(&format!("/local/domain/{}", domain.domid));
                let vm = self.pool.read().table(Class::Vm).by_uuid(Class::Vm, uuid);
                // The real one waits and then only says "Timeout reached while starting daemon".
                Err(ApiError::new(
                    "FAILED_TO_START_EMULATOR",
                    &[&vm.unwrap_or_default(), "qemu-dm", &error.to_string()],
                ))
            }
        }
    }
}

impl Dom0 {
    /// Whether a VM is an HVM guest (`domain_type` in `ocaml/idl/datamodel_vm.ml`).
    fn has_device_model(&self, uuid: &str) -> bool {
        let pool = self.pool.read();
        let vms = pool.table(Class::Vm);
        let domain_type = vms.by_uuid(Class::Vm, uuid).ok().and_then(|vm| vms.get(&vm)?.get("domain_type")?.text());
        !matches!(domain_type.as_deref(), Some("pv" | "pvh" | "pv_in_pvh"))
    }
}

/// On a host with a patched qemu-wrapper: QEMU's command line, with every word of device-model-args at its end.
fn show_patched(root: &Path, domain: &Domain, restores: bool) -> io::Result<DeviceModel> {
    let domid = domain.domid;
    let mut words = vec![format!("qemu-dm-{domid}")];
    words.extend(arguments(domid, restores).into_iter().skip(1));
    let last_argument = words.last().cloned().unwrap_or_default();
    let args = domain.platformdata.get("device-model-args").map(String::as_str).unwrap_or_default();
    words.extend(shlex::split(args).unwrap_or_else(|| args.split_whitespace().map(str::to_owned).collect()));
    let pid = NO_PROCESS.saturating_add(u32::try_from(domid).unwrap_or_default());
    let shown = root.join("proc").join(pid.to_string());
    fs::create_dir_all(&shown)?;
    let command_line: Vec<_> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"]).collect();
    fs::write(shown.join("cmdline"), command_line.concat())?;
    Ok(DeviceModel { pid, process: None, shown, store: Xenstore::below(root), domid, last_argument })
}

fn run_wrapper(root: &Path, wrapper: &Path, domain: &Domain, restores: bool) -> io::Result<DeviceModel> {
    let store = Xenstore::below(root);
    let domid = domain.domid;
    let own = format!("/local/domain/{domid}");
    for (key, value) in &domain.platformdata {
        store.write(&format!("{own}/platform/{key}"), value.as_bytes())?;
    }
    let arguments = arguments(domid, restores);
    let (read_end, network) = io::pipe()?;
    let output = root.join(format!("var/log/qemu-dm-{domid}"));
    // Like forkexecd: SIGPIPE ignored, a session of its own, /dev/null opened for writing, and the network's file descriptor
    // (`ocaml/forkexecd/src/child.ml`). A shell can do all of this, and then executes the program.
    let mut logger = Command::new("/bin/sh")
        .args(["-c", r#"trap "" PIPE; exec setsid "$0" "$@" 3<&0 0>/dev/null"#])
        .arg(wrapper)
        .args(&arguments)
        .env_clear()
        .env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin")
        .current_dir("/")
        .stdin(read_end)
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?)
        .spawn()?;
    let until = Instant::now() + STARTS_WITHIN;
    let pidfile = root.join(format!("var/run/xen/qemu-dm-{domid}.pid"));
    let pid = loop {
        let pid = store.read(&format!("{own}/qemu-pid")).and_then(|pid| String::from_utf8(pid).ok()?.parse().ok());
        if let (Some(pid), true) = (pid, pidfile.exists()) {
            break pid;
        }
        if logger.try_wait()?.is_some() || Instant::now() > until {
            let _ = logger.kill();
            let _ = logger.wait();
            return Err(io::Error::other(fs::read_to_string(&output).unwrap_or_default()));
        }
        thread::sleep(PAUSE);
    };
    let shown = link_process(root, pid)?;
    let last_argument = arguments.last().cloned().unwrap_or_default();
    let process = Some(Process { network: Mutex::new(Some(network)), logger: Mutex::new(logger) });
    Ok(DeviceModel { pid, process, shown, store, domid, last_argument })
}

/// The arguments that xenopsd passes to a qemu-wrapper, in the same order (`cmdline_of_disp`, `qemu_args` and
/// `prepend_wrapper_args` in `device.ml` of xen-api), without those for a vTPM, USB, PCI, disks and the platform device. The memory
/// and the MAC address are made up.
fn arguments(domid: i64, restores: bool) -> Vec<String> {
    let mut words = vec![domid.to_string()];
    let mut add = |text: &str| words.extend(text.split(' ').map(str::to_owned));
    add("--syslog -std-vga -videoram 8");
    add(&format!("-vnc unix:/var/run/xen/vnc-{domid},lock-key-sync=off -acpi"));
    if restores {
        add(&format!("-loadvm /var/run/xen/qemu-resume.{domid}"));
    }
    add(&format!("-pidfile /var/run/xen/qemu-dm-{domid}.pid"));
    add(&format!("-xen-domid {domid} -m size=2048 -boot order=cdn -usb -device usb-tablet,port=2 -smp 2,maxcpus=2"));
    add("-serial pty -display none -nodefaults -trace enable=xen_platform_log");
    add("-sandbox on,obsolete=deny,elevateprivileges=allow,spawn=deny,resourcecontrol=deny -S -parallel null");
    for name in ["libxl", "event"] {
        add(&format!("-qmp unix:/var/run/xen/qmp-{name}-{domid},server,nowait"));
    }
    add("-device rtl8139,netdev=tapnet0,mac=02:00:00:00:00:01,addr=4 -netdev tap,id=tapnet0,fd=3");
    words
}
