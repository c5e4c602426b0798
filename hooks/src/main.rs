//! The program behind the vm-pre-start hook.
//!
//! xenopsd ignores exit status 1, and refuses the VM's start for any other status but 0 (xapi-project/xen-api,
//! `ocaml/xenopsd/lib/xenops_hooks.ml`). So it is 0 for success, 1 for any error, and 2 only if a registered VM could not be
//! configured and the administrator has chosen `on_error = "block"`. A separate thread does the work, so that this program ends
//! in time even if the thread hangs.

mod arguments;

use std::ffi::OsString;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

use vgpu_config::model::VmUuid;
use vgpu_config::paths::Root;
use vgpu_config::settings::{OnError, Settings};
use vgpu_config::startup::{Milestone, Report, Start};
use vgpu_config::{Error, logging, text};

/// The name in the log.
const IDENT: &str = "vgpu-hook";
/// Below the root.
const INSTALLED_AS: &str = "usr/libexec/vgpu/vgpu-hook";
/// The share of the deadline for the work. The rest is for logging and exiting.
const MARGIN: f64 = 0.9;

/// xenopsd ignores it: the VM starts with its previous arguments.
const LET_START: u8 = 1;
/// xenopsd refuses the start, and shows standard output.
const BLOCK: u8 = 2;

const INTERNAL_ERROR: &str = "internal error, please report it with the lines of vgpu-hook in the log";

/// From the worker to the main thread, which watches the deadline.
enum Message {
    Vm(VmUuid),
    Settings(Box<Settings>),
    Reached(Milestone),
    Ended(Result<Box<Report>, String>),
}

/// What is known so far; it decides what a failure means.
struct Progress {
    vm: Option<VmUuid>,
    settings: Settings,
    is_registered: bool,
    boot_is_right: bool,
}

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    if arguments == ["--version"] {
        print(concat!("vgpu-hook ", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    // The worker catches panics; their messages belong in the log.
    panic::set_hook(Box::new(|info| log::error!("{info}")));
    let root = Root::of_program(INSTALLED_AS);
    logging::to_syslog(IDENT, &root.syslog_socket(), log::LevelFilter::Info);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let worker = sender.clone();
        let ended = panic::catch_unwind(AssertUnwindSafe(|| work(&root, &arguments, began, &worker)))
            .unwrap_or_else(|_| Err(INTERNAL_ERROR.to_owned()));
        // After the deadline there is no receiver any more.
        let _ = sender.send(Message::Ended(ended.map(Box::new)));
    });
    ExitCode::from(watch(&receiver, began))
}

/// Reads the settings and prepares the start.
fn work(root: &Root, arguments: &[OsString], began: Instant, messages: &Sender<Message>) -> Result<Report, String> {
    let tell = |message| drop(messages.send(message));
    let say = |error: Error| error.to_string();
    let vm_uuid = arguments::vm_uuid(arguments).map_err(|error| error.to_string())?;
    tell(Message::Vm(vm_uuid));
    let settings = Settings::load(&root.settings()).map_err(|error| format!("VM {vm_uuid}: {error}"))?;
    log::set_max_level(settings.log_level.into());
    tell(Message::Settings(Box::new(settings.clone())));
    let time = settings.deadline.as_duration().mul_f64(MARGIN).saturating_sub(began.elapsed());
    let start = Start { root, settings: &settings, vm_uuid, time };
    start
        .prepare(&|milestone| tell(Message::Reached(milestone)))
        .map_err(|error| format!("VM {vm_uuid}: {}", say(error)))
}

/// Waits for the worker or the deadline. Returns the exit status.
fn watch(messages: &Receiver<Message>, began: Instant) -> u8 {
    let mut progress = Progress { vm: None, settings: Settings::default(), is_registered: false, boot_is_right: false };
    loop {
        let deadline = progress.settings.deadline.as_duration();
        match messages.recv_timeout(deadline.saturating_sub(began.elapsed())) {
            Ok(Message::Vm(vm)) => progress.vm = Some(vm),
            Ok(Message::Settings(settings)) => progress.settings = *settings,
            Ok(Message::Reached(Milestone::Registered)) => progress.is_registered = true,
            Ok(Message::Reached(Milestone::BootIsRight)) => progress.boot_is_right = true,
            Ok(Message::Ended(Ok(report))) => return progress.conclude(&report),
            Ok(Message::Ended(Err(problem))) => return progress.fail(&problem),
            Err(RecvTimeoutError::Timeout) => return progress.fail(&progress.too_late()),
            Err(RecvTimeoutError::Disconnected) => {
                return progress.fail(INTERNAL_ERROR);
            }
        }
    }
}

impl Progress {
    fn too_late(&self) -> String {
        let vm = self.vm.map(|vm| format!("VM {vm}: ")).unwrap_or_default();
        format!(
            "{vm}not finished within {} s (deadline in vgpu.toml)",
            self.settings.deadline.as_duration().as_secs_f64()
        )
    }

    fn conclude(mut self, report: &Report) -> u8 {
        let level = if report.problem().is_some() { log::Level::Warn } else { log::Level::Info };
        log::log!(level, "{}", report.log_line());
        let Some(problem) = report.problem() else {
            print(&report.in_plain_words());
            return 0;
        };
        self.boot_is_right |= report.boot_is_right();
        self.refuse_or_let_start(&format!("VM {}: {problem}", report.vm_uuid))
    }

    fn fail(&self, problem: &str) -> u8 {
        log::error!("{problem}");
        self.refuse_or_let_start(problem)
    }

    fn refuse_or_let_start(&self, problem: &str) -> u8 {
        let problem = text::one_line(problem);
        let may_block = self.settings.on_error == OnError::Block && self.is_registered && !self.boot_is_right;
        if may_block {
            log::error!("the start is refused (on_error = \"block\" in vgpu.toml)");
            print(&format!("vgpu: {problem}; the start is refused because vgpu.toml has on_error = \"block\""));
            return BLOCK;
        }
        print(&format!("vgpu: {problem}"));
        LET_START
    }
}

/// xenopsd logs it, or an administrator reads it. Errors are ignored: they must not affect the start.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text::lines(text));
}
