//! The qemu-wrapper that xenopsd starts where `vgpu-admin qemu-wrapper enable` was run. It reads what xenopsd wrote to xenstore
//! for this very boot and becomes XCP-ng's own qemu-wrapper, with the same arguments and our device. Stock wrappers hand
//! arguments that they do not know on to QEMU (xapi-project/xen-api, `ocaml/xenopsd/scripts/qemu-wrapper`).
//!
//! It stands in the way of every start of a VM with QEMU. So whatever goes wrong, the stock wrapper gets the arguments as they
//! came, within a second; and apart from the arguments it finds everything as xenopsd left it. What QEMU gets is found out by a
//! second process of this program: whatever becomes of that, this one goes on.

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

/// The name in the log.
const IDENT: &str = "vgpu-wrapper";
/// Where the program is installed, below the root.
const INSTALLED_AS: &str = "usr/libexec/vgpu/qemu-wrapper";
/// How long the second process may take, with its lines for the log.
const PATIENCE: Duration = Duration::from_millis(950);

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let root = Root::of_program(INSTALLED_AS);
    match arguments.as_slice() {
        [option] if option == "--version" => {
            let _ = writeln!(std::io::stdout(), concat!("qemu-wrapper ", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        [option, domid] if option == find::OPTION => return find::run(&root, domid),
        _ => {}
    }
    let additions = additions(&root, &arguments).unwrap_or_else(|problem| {
        log_error(&root, &arguments, &format!("{problem}; QEMU is started without a vGPU"));
        Vec::new()
    });
    // Comes back only where it cannot be done.
    let failure = stock::become_it(&root.stock_qemu_wrapper(), &arguments, &additions, |problem| {
        log_error(&root, &arguments, problem);
    });
    log_error(&root, &arguments, &failure);
    let _ = writeln!(std::io::stderr(), "vgpu: {failure}");
    ExitCode::from(stock::NOT_STARTED)
}

/// What QEMU gets beside what xenopsd asks for.
fn additions(root: &Root, arguments: &[OsString]) -> Result<Vec<OsString>, String> {
    let until = Instant::now() + PATIENCE;
    let domid = domid(arguments).ok_or("xenopsd named no domain (-xen-domid)")?;
    // An upgrade may replace the file at this moment: the kernel still has the one that runs.
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() { own.to_owned() } else { root.qemu_wrapper() };
    let printed = in_time::output(Command::new(program).arg(find::OPTION).arg(domid), until)?;
    let words =
        printed.bytes.strip_suffix(find::END).ok_or("what QEMU gets could not be found out: the log says why")?;
    Ok(words
        .split_inclusive(|byte| *byte == 0)
        .map(|word| OsStr::from_bytes(&word[..word.len() - 1]).to_owned())
        .collect())
}

/// What follows `-xen-domid`, as the stock wrapper finds it.
fn domid(arguments: &[OsString]) -> Option<&OsString> {
    let at = arguments.iter().position(|argument| argument == "-xen-domid")?;
    arguments.get(at + 1)
}

/// The log is opened only where there is something to say: the second process has its own.
fn log_error(root: &Root, arguments: &[OsString], problem: &str) {
    logging::to_syslog(IDENT, &root.syslog_socket(), log::LevelFilter::Info);
    let domain = domid(arguments).map_or_else(|| "unknown".into(), |domid| domid.to_string_lossy());
    log::error!("{}", format!("domain {domain}: {problem}").replace(char::is_control, " "));
}
