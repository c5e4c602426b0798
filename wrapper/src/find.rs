//! The second process: determines what QEMU gets, prints it, and logs it.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use vgpu_config::device_args::{self, PLATFORM_KEY, Passed};
use vgpu_config::logging;
use vgpu_config::operations::is_patched_script;
use vgpu_config::paths::Root;
use vgpu_config::qemu_device::{self, Known};
use vgpu_config::settings::Settings;
use vgpu_config::text::one_line;

use crate::{IDENT, device, xenstore};

/// The option that starts the second process, followed by the domain's number and xenopsd's arguments.
pub const OPTION: &str = "--what-qemu-gets";
/// Printed after all words, each of which ends with a zero byte. If it is missing, words may be missing as well.
pub const END: &[u8] = b"\0end";
/// How long xenstore and QEMU may take.
const PATIENCE: Duration = Duration::from_millis(700);

pub fn run(root: &Root, domid: &OsStr, others: &[OsString]) -> ExitCode {
    logging::to_syslog(IDENT, &root.syslog_socket(), log::LevelFilter::Info);
    std::panic::set_hook(Box::new(|info| log::error!("{}", one_line(&info.to_string()))));
    let domain = one_line(&format!("domain {}", domid.to_string_lossy()));
    match what_qemu_gets(root, domid, others) {
        Ok(Passed { words, left_out }) => {
            let given = if words.is_empty() { "no vGPU".to_owned() } else { one_line(&words.join(" ")) };
            if print(&words).is_err() {
                return ExitCode::FAILURE;
            }
            // Logged after the words are printed, because the log may hang.
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
            log::error!("{domain}: {}; QEMU starts without a vGPU", one_line(&problem));
        }
    }
    ExitCode::SUCCESS
}

fn what_qemu_gets(root: &Root, domid: &OsStr, others: &[OsString]) -> Result<Passed, String> {
    let until = Instant::now() + PATIENCE;
    let settings = Settings::load(&root.settings()).unwrap_or_else(|error| {
        let error = one_line(&error.to_string());
        log::error!("{error}; the default settings are used: only the device vgpu-stub is passed");
        Settings::default()
    });
    log::set_max_level(settings.log_level.into());
    let number: u32 = domid
        .to_str()
        .and_then(|domid| domid.parse().ok())
        .ok_or("the arguments have no valid domain number (-xen-domid)")?;
    // QEMU does not start if it gets the device twice.
    let stock = root.stock_qemu_wrapper();
    if is_patched_script(&stock) {
        return Err(format!(
            "{} was changed and reads platform/{PLATFORM_KEY} itself: restore the stock qemu-wrapper, or run 'vgpu-admin \
             qemu-wrapper disable'",
            stock.display()
        ));
    }
    let path = format!("/local/domain/{number}/platform/{PLATFORM_KEY}");
    let value = xenstore::read(&root.xenstore_read(), &path, until)?.unwrap_or_default();
    let mut passed = device_args::passed(&settings.device, &settings.qemu_wrapper, &value);
    let is_ours = |word: &String| word.split(',').next() == Some(settings.device.as_str());
    if !passed.words.iter().any(is_ours) {
        return Ok(passed);
    }
    match device::known(root, &settings.device, until)? {
        Known::Missing => Err(format!("QEMU has no device {}: see 'vgpu-admin check'", settings.device.as_str())),
        Known::Pci => {
            let others: Vec<_> = others.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            qemu_device::give_address(&mut passed.words, &settings.device, &others);
            Ok(passed)
        }
        Known::NotPci | Known::Unclear => Ok(passed),
    }
}

/// Prints the words for the first process.
fn print(words: &[String]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for word in words {
        // A command line cannot contain a zero byte.
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
