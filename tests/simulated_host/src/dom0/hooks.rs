//! xenopsd's hooks: every entry of a directory, in byte order (`ocaml/xenopsd/lib/xenops_hooks.ml`).

use std::ffi::{OsStr, OsString};
use std::fs;
use std::time::Duration;

use super::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::lock;
use crate::process::{Exit, Finished};
use crate::wire::ocaml_quoted;

/// One run of one hook script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRun {
    /// The VM it ran for.
    pub vm_uuid: String,
    /// The directory it is in: `vm-pre-start`.
    pub hook_point: String,
    /// Its name there.
    pub script: String,
    /// What followed its path on the command line.
    pub args: Vec<String>,
    /// How it ended.
    pub exit: Exit,
    /// What it printed. Only a veto ever lets anybody see it.
    pub stdout: String,
    /// What it printed to standard error, which xenopsd loses.
    pub stderr: String,
    /// How long it took.
    pub duration: Duration,
}

/// The exit code that is logged and otherwise ignored (`exitcode_log_and_continue`).
const LOG_AND_CONTINUE: i32 = 1;

impl Dom0 {
    /// Runs the scripts of a hook point until one of them refuses. A folder that is not there, or is none, has no scripts
    /// (`list_individual_hooks`). `domid` is that of the VM's domain at the time (`get_hook_args` in
    /// `ocaml/xenopsd/xc/xenops_server_xen.ml`).
    pub(super) fn run_hooks(
        &self,
        point: &str,
        uuid: &str,
        reason: &str,
        domid: Option<i64>,
    ) -> ApiResult<Vec<HookRun>> {
        let directory = self.root.join("etc/xapi.d").join(point);
        let mut scripts: Vec<OsString> = match fs::read_dir(&directory) {
            Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect(),
            Err(_) => return Ok(Vec::new()),
        };
        scripts.sort();
        let mut args = vec!["-vmuuid".to_owned(), uuid.to_owned(), "-reason".to_owned(), reason.to_owned()];
        if let Some(domid) = domid {
            args.extend(["-vmdomid".to_owned(), domid.to_string()]);
        }
        let mut runs = Vec::new();
        for script in scripts {
            let arguments: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
            let finished = self
                .run_program(&directory.join(&script), &arguments)
                .map_err(|error| ApiError::internal(&format!("xenopsd internal error: {error}")))?;
            let run = HookRun {
                vm_uuid: uuid.to_owned(),
                hook_point: point.to_owned(),
                script: script.to_string_lossy().into_owned(),
                args: args.clone(),
                exit: finished.exit,
                stdout: String::from_utf8_lossy(&finished.stdout).into_owned(),
                stderr: String::from_utf8_lossy(&finished.stderr).into_owned(),
                duration: finished.duration,
            };
            lock(&self.hook_runs).push(run.clone());
            verdict(&run, reason, &finished)?;
            runs.push(run);
        }
        Ok(runs)
    }
}

/// The exit codes are `execute_vm_hook`'s; the words about a signal are recorded.
fn verdict(run: &HookRun, reason: &str, finished: &Finished) -> ApiResult<()> {
    match finished.exit {
        Exit::Code(0 | LOG_AND_CONTINUE) => Ok(()),
        Exit::Code(code) => {
            let name = format!("{}/{}", run.hook_point, run.script);
            let params = [name.into_bytes(), reason.into(), finished.stdout.clone(), code.to_string().into_bytes()];
            Err(ApiError::with_bytes("XAPI_HOOK_FAILED", params.to_vec()))
        }
        Exit::Signal(_) => Err(ApiError::internal(&format!(
            "xenopsd internal error: Forkhelpers.Spawn_internal_error({}, {}, _)",
            ocaml_quoted(&finished.stderr),
            ocaml_quoted(&finished.stdout)
        ))),
    }
}
