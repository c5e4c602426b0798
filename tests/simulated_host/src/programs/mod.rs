//! Stand-ins for dom0's programs between xenopsd and QEMU. One program implements all of them, and its name decides which one it
//! is.

mod qemu;
mod stock_wrapper;
mod xenstore_read;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::xe::Control;

/// Where they are installed below a root.
pub const PLACES: [&str; 5] = [
    "usr/libexec/simulated-host/qemu-wrapper",
    "usr/lib64/xen/bin/qemu-system-i386",
    "usr/bin/xenstore-read",
    "usr/sbin/xenopsd-xc",
    "opt/xensource/bin/xe-toolstack-restart",
];

/// Acts as the program under whose name it is installed.
#[must_use]
pub fn dom0_program() -> ExitCode {
    let Some((root, place)) = std::env::current_exe().ok().and_then(|program| installed(&program)) else {
        eprintln!("this program is not installed under the name of one of dom0's programs");
        return ExitCode::FAILURE;
    };
    let arguments: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    match place {
        "usr/libexec/simulated-host/qemu-wrapper" => stock_wrapper::run(&root, &arguments),
        "usr/lib64/xen/bin/qemu-system-i386" => qemu::run(&root, &arguments),
        "usr/bin/xenstore-read" => xenstore_read::run(&root, &arguments),
        "opt/xensource/bin/xe-toolstack-restart" => restart_toolstack(&root),
        _ => until_standard_input_ends(),
    }
}

fn installed(program: &Path) -> Option<(PathBuf, &'static str)> {
    let place = PLACES.into_iter().find(|place| program.ends_with(place))?;
    let root = program.ancestors().nth(Path::new(place).components().count())?;
    Some((root.to_owned(), place))
}

/// xenopsd's process. The simulated host itself does xenopsd's work.
fn until_standard_input_ends() -> ExitCode {
    let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

/// `scripts/xe-toolstack-restart`, with its output.
fn restart_toolstack(root: &Path) -> ExitCode {
    println!("Executing xe-toolstack-restart");
    match Control::connect(root).and_then(|mut control| control.call("simulated.restart_toolstack")) {
        Ok(()) => {
            println!("done.");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("xenopsd-xc.service failed to restart, {error}");
            ExitCode::FAILURE
        }
    }
}
