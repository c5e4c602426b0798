//! The second process: finds out what QEMU gets, prints it, and logs it.

use std::ffi::OsStr;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vgpu_config::device_args::{self, PLATFORM_KEY, Passed};
use vgpu_config::logging;
use vgpu_config::operations::is_patched_script;
use vgpu_config::paths::Root;
use vgpu_config::settings::Settings;

use crate::{IDENT, xenstore};

/// The option by which it is called, with the domain's number.
pub const OPTION: &str = "--what-qemu-gets";
/// What it prints last, after each word with a zero byte behind it: where it is missing, words may be too.
pub const END: &[u8] = b"\0end";
/// How long xenstore may take.
const PATIENCE: Duration = Duration::from_millis(700);

pub fn run(root: &Root, domid: &OsStr) -> ExitCode {
    logging::to_syslog(IDENT, &root.syslog_socket(), log::LevelFilter::Info);
    std::panic::set_hook(Box::new(|info| log::error!("{}", in_one_line(&info.to_string()))));
    let domain = in_one_line(&format!("domain {}", domid.to_string_lossy()));
    match what_qemu_gets(root, domid) {
        Ok(Passed { words, left_out }) => {
            let given = if words.is_empty() { "nothing of ours".to_owned() } else { in_one_line(&words.join(" ")) };
            if print(&words).is_err() {
                return ExitCode::FAILURE;
            }
            // One line for each start, after the answer: a log that hangs takes its time.
            if left_out.is_empty() {
                log::info!("{domain}: QEMU gets {given}");
            } else {
                log::warn!("{domain}: QEMU gets {given}; not passed: {}", left_out.join("; "));
            }
        }
        Err(problem) => {
            if print(&[]).is_err() {
                return ExitCode::FAILURE;
            }
            log::error!("{domain}: {}; QEMU is started without a vGPU", in_one_line(&problem));
        }
    }
    ExitCode::SUCCESS
}

fn what_qemu_gets(root: &Root, domid: &OsStr) -> Result<Passed, String> {
    let until = Instant::now() + PATIENCE;
    let settings = Settings::load(&root.settings()).unwrap_or_else(|error| {
        log::error!("{error}; QEMU gets the device vgpu-stub alone");
        Settings::default()
    });
    log::set_max_level(settings.log_level.into());
    let number: u32 =
        domid.to_str().and_then(|domid| domid.parse().ok()).ok_or("xenopsd named no domain (-xen-domid)")?;
    // Two of one device, and QEMU does not start.
    let stock = root.stock_qemu_wrapper();
    if is_patched_script(&stock) {
        return Err(format!(
            "{} was changed, and reads platform/{PLATFORM_KEY} itself: put XCP-ng's own back, or run 'vgpu-admin qemu-wrapper \
             disable'",
            stock.display()
        ));
    }
    let path = format!("/local/domain/{number}/platform/{PLATFORM_KEY}");
    let value = xenstore::read(&root.xenstore_read(), &path, until)?.unwrap_or_default();
    Ok(device_args::passed(&settings.device, &settings.qemu_wrapper, &value))
}

/// Prints the words for whoever called.
fn print(words: &[String]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for word in words {
        // No word of a command line can have one.
        if word.contains('\0') {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        bytes.extend(word.as_bytes());
        bytes.push(0);
    }
    bytes.extend(END);
    let mut out = std::io::stdout();
    out.write_all(&bytes)?;
    out.flush()
}

/// Values and error texts come from elsewhere and may hold anything.
fn in_one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
