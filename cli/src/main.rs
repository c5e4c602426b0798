//! `vgpu-admin`: parses the command line, runs a request, prints the reply.

mod apply;
mod commands;
mod complete;
mod output;
mod progress;
mod qemu_wrapper;
mod render;
mod schema;
mod screen;
mod table;
mod target;
mod vms;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use vgpu_admin::arguments::Arguments;
use vgpu_admin::candidates::INSTALLED_AS;
use vgpu_config::paths::Root;
use vgpu_config::{Error, logging};

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
/// The status of a program that was killed by SIGPIPE, as most tools are when their reader has gone.
const NOBODY_READS: u8 = 128 + 13;

fn main() -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    // For wrong usage, clap exits with 2.
    let arguments = Arguments::from_words(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let format = arguments.format;
    logging::to_standard_error("vgpu-admin", log_level(arguments.verbose));
    let root = Root::of_program(INSTALLED_AS);
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| commands::run(root, arguments)))
        .unwrap_or_else(|_| Err(Error::Internal("a panic, see above".to_owned())));
    match outcome {
        Ok(code) => code,
        Err(Error::NobodyReads) => ExitCode::from(NOBODY_READS),
        Err(error) => {
            output::complain(&error, format);
            ExitCode::from(FAILED)
        }
    }
}

fn log_level(verbose: u8) -> log::LevelFilter {
    match verbose {
        0 => log::LevelFilter::Error,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    }
}
