//! Running a plugin and making sense of what it prints (`ocaml/xapi/xapi_plugins.ml`).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use super::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::process::{Exit, signal_name};
use crate::wire::plugin::{self, Answer, Nonsense};

/// A plugin's arguments: names and values, in the order given, with the duplicates given.
pub type PluginArgs = [(Vec<u8>, Vec<u8>)];

impl Dom0 {
    /// Calls a function of a plugin in a session, if XAPI reaches this host.
    pub fn call_plugin(&self, session: &str, name: &[u8], function: &[u8], args: &PluginArgs) -> ApiResult<Vec<u8>> {
        self.pool.check_contact(self)?;
        let directory = self.root.join("etc/xapi.d/plugins");
        let wanted = OsStr::from_bytes(name);
        let is_there = fs::read_dir(&directory)
            .is_ok_and(|entries| entries.flatten().any(|entry| entry.file_name().as_os_str() == wanted));
        if !is_there {
            return Err(ApiError::with_bytes("XENAPI_MISSING_PLUGIN", vec![name.to_vec()]));
        }
        let request = plugin::request(function, session, args);
        let finished = self
            .run_program(&directory.join(wanted), &[OsStr::from_bytes(&request)])
            .map_err(|error| ApiError::internal(&error.to_string()))?;
        match finished.exit {
            Exit::Code(0) => interpret(finished.stdout),
            Exit::Code(_) => Err(failure("non-zero exit", finished.stdout, finished.stderr)),
            Exit::Signal(signal) => {
                Err(failure(&format!("signal: {}", signal_name(signal)), finished.stdout, finished.stderr))
            }
        }
    }
}

fn interpret(output: Vec<u8>) -> ApiResult<Vec<u8>> {
    match plugin::answer(&output) {
        Ok(Answer::Success(value)) => Ok(value),
        Ok(Answer::Failure(code, params)) => Err(ApiError::with_bytes(&String::from_utf8_lossy(&code), params)),
        Ok(Answer::Fault(code, reason)) => Err(failure("fault", code.to_string().into_bytes(), reason)),
        Err(Nonsense::NotXml(why)) => Err(failure("failed to parse plugin output", output, why.into_bytes())),
        Err(Nonsense::WrongShape(exception)) => Err(ApiError::internal(&exception)),
    }
}

fn failure(status: &str, stdout: Vec<u8>, stderr: Vec<u8>) -> ApiError {
    ApiError::with_bytes("XENAPI_PLUGIN_FAILURE", vec![status.into(), stdout, stderr])
}
