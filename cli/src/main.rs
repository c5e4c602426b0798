//! `vgpu-admin`: parses, calls an operation, prints.

mod apply;
mod commands;
mod complete;
mod output;
mod render;
mod target;

use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;
use vgpu_admin::arguments::Arguments;
use vgpu_config::paths::Root;
use vgpu_config::{Error, logging};

/// Where the program is installed, below the root.
const INSTALLED_AS: &str = "usr/bin/vgpu-admin";

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;
/// What a shell shows of a program that SIGPIPE ended, as it ends most tools whose reader has gone.
const NOBODY_READS: u8 = 128 + 13;

fn main() -> ExitCode {
    if complete::answered() {
        return ExitCode::SUCCESS;
    }
    // Clap itself ends the program with 2 where the usage is wrong.
    let arguments = Arguments::parse();
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
