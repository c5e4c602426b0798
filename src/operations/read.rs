//! Operations that only look.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use serde::Serializer;
use serde::ser::SerializeSeq;

use super::{Host, VmSelector};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::model::{PoolId, Priority};
use crate::paths::Root;
use crate::reply::{CheckReply, CountByPool, CountByPriority, PoolsReply, StatusReply, VersionReply, VmReply};
use crate::settings::Settings;
use crate::store::{self, CheckItem, Filter};
use crate::xenapi::{self, Session, XapiError};

/// A registered VM: what is configured, and what its last start was given.
///
/// # Errors
/// It is not registered, or the database cannot be read.
pub fn show_vm(host: &Host, vm: &VmSelector) -> Result<VmReply, Error> {
    let uuid = host.resolve(vm)?;
    let vm = host.store.read().vm(&uuid)?.ok_or(Error::NotRegistered(uuid))?;
    Ok(VmReply::new(vm, &host.settings.device))
}

/// Hands the registered VMs that the filter lets through to `visit`, one by one: by GPU pool, most urgent first, then
/// by name.
///
/// # Errors
/// The database cannot be read, or `visit` fails.
pub fn list_vms(host: &Host, filter: Filter, visit: &mut dyn FnMut(VmReply) -> Result<(), Error>) -> Result<(), Error> {
    host.store.read().for_each_vm(filter, &mut |vm| visit(VmReply::new(vm, &host.settings.device)))
}

/// Writes [`list_vms`] as a JSON array, one VM after the other.
///
/// # Errors
/// The database cannot be read, or `out` cannot be written.
pub fn list_vms_as_json(host: &Host, filter: Filter, out: impl Write) -> Result<(), Error> {
    let unwritable = |error: serde_json::Error| Error::Reply(error.to_string());
    let mut serializer = serde_json::Serializer::new(out);
    let mut array = serializer.serialize_seq(None).map_err(unwritable)?;
    list_vms(host, filter, &mut |vm| array.serialize_element(&vm).map_err(unwritable))?;
    array.end().map_err(unwritable)
}

/// Both GPU pools, with the number of their VMs by priority.
///
/// # Errors
/// The database cannot be read.
pub fn list_pools(host: &Host) -> Result<PoolsReply, Error> {
    Ok(host.store.read().counts()?.into())
}

/// How many VMs each GPU pool has.
///
/// # Errors
/// The database cannot be read.
pub fn count_by_pool(host: &Host) -> Result<CountByPool, Error> {
    let counts = host.store.read().counts()?;
    Ok(CountByPool { a: counts.of_pool(PoolId::A), b: counts.of_pool(PoolId::B) })
}

/// How many VMs there are of each priority.
///
/// # Errors
/// The database cannot be read.
pub fn count_by_priority(host: &Host) -> Result<CountByPriority, Error> {
    let counts = host.store.read().counts()?;
    let of = |priority| counts.of_priority(priority);
    Ok(CountByPriority { high: of(Priority::High), medium: of(Priority::Medium), low: of(Priority::Low) })
}

/// The state of vgpu-config on this host.
///
/// # Errors
/// The database cannot be read.
pub fn status(host: &Host) -> Result<StatusReply, Error> {
    let xapi = host.connect().and_then(|mut session| session.ping());
    let by_pool = count_by_pool(host)?;
    Ok(StatusReply {
        version: crate::VERSION.to_owned(),
        database: host.root.database().display().to_string(),
        schema: store::LATEST_SCHEMA,
        vms: by_pool.a + by_pool.b,
        by_pool,
        by_priority: count_by_priority(host)?,
        not_in_xapi: host.store.read().count_unpushed()?,
        xapi_answers: xapi.is_ok(),
        xapi_problem: xapi.err().map(|error| error.to_string()),
        device: host.settings.device.as_str().to_owned(),
        on_error: host.settings.on_error,
        unregistered: host.settings.unregistered,
        deadline_seconds: host.settings.deadline.as_duration().as_secs_f64(),
    })
}

/// The version of vgpu-config.
#[must_use]
pub fn version() -> VersionReply {
    VersionReply { version: crate::VERSION, schema: store::LATEST_SCHEMA }
}

/// Looks at everything that has to be right, and changes nothing. Works where nothing else does.
#[must_use]
pub fn check(root: &Root) -> CheckReply {
    let settings = Settings::load(&root.settings()).map(|_| "the settings are valid".to_owned());
    let mut checks = vec![CheckItem::new("settings", settings.map_err(|error| error.to_string()))];
    checks.extend(store::check(&root.database()));
    checks.push(CheckItem::new("hook", hook(root)));
    checks.push(CheckItem::new("plugin", executable(&root.plugin())));
    checks.push(CheckItem::new(
        "XAPI",
        xapi(root).map(|()| "XAPI answers".to_owned()).map_err(|error| error.to_string()),
    ));
    CheckReply { ok: checks.iter().all(|item| item.ok), checks }
}

fn xapi(root: &Root) -> Result<(), XapiError> {
    Session::log_in(&root.xapi_socket(), Deadline::after(xenapi::TIMEOUT))?.ping()
}

fn executable(path: &std::path::Path) -> Result<String, String> {
    let shown = path.display();
    match fs::metadata(path) {
        Ok(file) if file.is_file() && file.permissions().mode() & 0o111 != 0 => Ok(format!("{shown} is in place")),
        Ok(_) => Err(format!("{shown} is not an executable file: chmod 755 {shown}, or install vgpu-config again")),
        Err(error) => Err(format!("{shown}: {error}; install vgpu-config again")),
    }
}

/// Our hook has to be there, and nothing may lie beside it that xenopsd cannot run: it would block every VM start.
fn hook(root: &Root) -> Result<String, String> {
    let hook = root.hook();
    let folder = hook.parent().unwrap_or(&hook);
    let entries =
        fs::read_dir(folder).map_err(|error| format!("{}: {error}; install vgpu-config again", folder.display()))?;
    for entry in entries.filter_map(Result::ok) {
        executable(&entry.path()).map_err(|wrong| {
            format!(
                "{wrong}. No VM starts on this host as long as it lies there: xenopsd runs everything in that folder"
            )
        })?;
    }
    executable(&root.hook_program())?;
    executable(&hook)
}
