//! `vgpu-admin qemu-wrapper`, which only works on its own host.

use std::process::ExitCode;

use vgpu_admin::arguments::{Format, QemuWrapper};
use vgpu_config::Error;
use vgpu_config::operations::{disable_qemu_wrapper, enable_qemu_wrapper, qemu_wrapper_status};

use crate::commands::Outcome;
use crate::output::say;
use crate::render;
use crate::target::Target;

pub fn run(target: &Target, what: &QemuWrapper) -> Outcome {
    let Some(root) = target.root_of_this_host() else {
        return Err(Error::InvalidParam {
            name: "--host".to_owned(),
            value: "qemu-wrapper".to_owned(),
            expected: "a command other than qemu-wrapper, which has to run on the host itself".to_owned(),
        });
    };
    let reply = match what {
        QemuWrapper::Enable { force, restart_toolstack, dry_run } => {
            enable_qemu_wrapper(root, *force, *restart_toolstack, *dry_run)?
        }
        QemuWrapper::Disable { restart_toolstack, dry_run } => {
            disable_qemu_wrapper(root, *restart_toolstack, *dry_run)?
        }
        QemuWrapper::Status => qemu_wrapper_status(root),
    };
    say(&match target.format {
        Format::Table | Format::Csv => render::qemu_wrapper(&reply),
        Format::Json => serde_json::to_string(&reply).map_err(|error| Error::Reply(error.to_string()))?,
    })?;
    Ok(ExitCode::SUCCESS)
}
