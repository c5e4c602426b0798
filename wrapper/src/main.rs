//! The qemu-wrapper that xenopsd starts after `vgpu-admin qemu-wrapper enable`. It reads what xenopsd has written to xenstore for
//! this boot, and executes the stock qemu-wrapper with the same arguments plus our device. The stock one passes arguments that it
//! does not know on to QEMU (xapi-project/xen-api, `ocaml/xenopsd/scripts/qemu-wrapper`).
//!
//! Every VM that uses QEMU starts through this program. If anything fails, the stock one gets the arguments unchanged, within a
//! second. Except for the arguments, it finds everything as xenopsd left it. A second process of this program determines what
//! QEMU gets, so that this one can continue if that process fails.

mod device;
mod find;
mod in_time;
mod stock;
mod xenstore;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use vgpu_config::logging;
use vgpu_config::paths::Root;
use vgpu_config::text::one_line;

/// The name in the log.
const IDENT: &str = "vgpu-wrapper";
/// Where the program is installed, below the root.
const INSTALLED_AS: &str = "usr/libexec/vgpu/qemu-wrapper";
/// How long the second process may take, including its log entries.
const PATIENCE: Duration = Duration::from_millis(950);

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let root = Root::of_program(INSTALLED_AS);
    match arguments.as_slice() {
        [option] if option == "--version" => {
            let _ = writeln!(std::io::stdout(), concat!("qemu-wrapper ", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        [option, domid, others @ ..] if option == find::OPTION => return find::run(&root, domid, others),
        _ => {}
    }
    let additions = additions(&root, &arguments).unwrap_or_else(|problem| {
        log_error(&root, &arguments, &format!("{problem}; QEMU starts without a vGPU"));
        Vec::new()
    });
    // Returns only if this fails.
    let failure = stock::become_it(&root.stock_qemu_wrapper(), &arguments, &additions, |problem| {
        log_error(&root, &arguments, problem);
    });
    log_error(&root, &arguments, &failure);
    let _ = writeln!(std::io::stderr(), "vgpu: {failure}");
    ExitCode::from(stock::NOT_STARTED)
}

/// What QEMU gets in addition to xenopsd's arguments.
fn additions(root: &Root, arguments: &[OsString]) -> Result<Vec<OsString>, String> {
    let until = Instant::now() + PATIENCE;
    let domid = domid(arguments).ok_or("the arguments have no valid domain number (-xen-domid)")?;
    // An upgrade may be replacing the file. /proc/self/exe is the program that is running.
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { own.to_owned() } else { root.qemu_wrapper() };
    let printed = in_time::output(Command::new(program).arg(find::OPTION).arg(domid).args(arguments), until)?;
    let words = printed.bytes.strip_suffix(find::END).ok_or("the vGPU could not be determined")?;
    Ok(words
        .split_inclusive(|byte| *byte == 0)
        .map(|word| OsStr::from_bytes(&word[..word.len() - 1]).to_owned())
        .collect())
}

/// The argument after `-xen-domid`, where the stock qemu-wrapper also finds it.
fn domid(arguments: &[OsString]) -> Option<&OsString> {
    let at = arguments.iter().position(|argument| argument == "-xen-domid")?;
    arguments.get(at + 1)
}

/// Opens the log only when it is needed: the second process has its own connection.
fn log_error(root: &Root, arguments: &[OsString], problem: &str) {
    logging::to_syslog(IDENT, &root.syslog_socket(), log::LevelFilter::Info);
    let domain = domid(arguments).map_or_else(|| "unknown".into(), |domid| domid.to_string_lossy());
    log::error!("{}", one_line(&format!("domain {domain}: {problem}")));
}
