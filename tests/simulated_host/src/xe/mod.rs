//! A stand-in for `xe`: the commands that an add-on's documentation uses, with the words and exit codes of the real
//! one (`ocaml/xapi-cli-server`, `ocaml/xe-cli`).

mod arguments;
mod client;
mod commands;
mod errors;
mod fields;
mod records;

use std::path::Path;

use arguments::Arguments;
use client::Client;

pub use client::Control;

/// What `xe` printed and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XeOutput {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// Why a command did not do what it was asked.
enum Failure {
    /// XAPI refused.
    Api(Vec<u8>, Vec<Vec<u8>>),
    /// xe itself did.
    Plain(String),
}

/// The outcome of a command: what it prints.
type Outcome = Result<Vec<u8>, Failure>;

/// Runs `xe` with these arguments against the host below a root.
#[must_use]
pub fn xe(root: &Path, args: &[Vec<u8>]) -> XeOutput {
    let arguments = Arguments::parse(args);
    let mut client = match Client::log_in(root) {
        Ok(client) => client,
        Err(failure) => return failed(None, &failure, &arguments),
    };
    let outcome = commands::run(&mut client, &arguments);
    let output = match outcome {
        Ok(stdout) => XeOutput { code: 0, stdout, stderr: Vec::new() },
        Err(failure) => failed(Some(&mut client), &failure, &arguments),
    };
    client.log_out();
    output
}

fn failed(client: Option<&mut Client>, failure: &Failure, arguments: &Arguments) -> XeOutput {
    let stderr = match failure {
        Failure::Plain(message) => format!("{message}\n").into_bytes(),
        Failure::Api(code, params) => {
            let names: Vec<Vec<u8>> = match client {
                Some(client) => params.iter().map(|param| client.name_of(param)).collect(),
                None => params.clone(),
            };
            let mut text = errors::describe(code, &names);
            if arguments.has_flag("--trace") {
                text.extend(errors::trace(code, params));
            }
            text
        }
    };
    XeOutput { code: 1, stdout: Vec::new(), stderr }
}
