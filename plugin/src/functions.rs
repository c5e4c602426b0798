//! The plugin's functions: each takes its arguments apart and calls the operation of the same name.

use std::str::FromStr;

use serde::Serialize;
use vgpu_config::Error;
use vgpu_config::config_file::{ConfigFile, FileFormat};
use vgpu_config::model::{DeviceVmId, InvalidValue, PoolId, Priority, VmUuid};
use vgpu_config::operations::{self, ApplyTo, Caller, Host, RegisterVm, UpdateVm, VmSelector};
use vgpu_config::paths::Root;
use vgpu_config::store::Filter;

use crate::answer::Answer;
use crate::call::{Arguments, Call};

type Outcome = Result<String, Error>;

/// Carries out a call.
pub fn dispatch(root: &Root, call: Call) -> Answer {
    let Call { function, session, arguments } = call;
    let host = || Host::open(root.clone(), Caller::Session(session.clone()));
    let outcome = match function.as_str() {
        "register_vm" => register_vm(host, arguments),
        "show_vm" => show_vm(host, arguments),
        "set_pool" => set_pool(host, arguments),
        "set_priority" => set_priority(host, arguments),
        "update_vm" => update_vm(host, arguments),
        "list_vms" => list_vms(host, arguments),
        "list_pools" => without_arguments(arguments).and_then(|()| json(&operations::list_pools(&host()?)?)),
        "count_by_pool" => without_arguments(arguments).and_then(|()| json(&operations::count_by_pool(&host()?)?)),
        "count_by_priority" => {
            without_arguments(arguments).and_then(|()| json(&operations::count_by_priority(&host()?)?))
        }
        "remove_vm" => remove_vm(host, arguments),
        "scan_vms" => without_arguments(arguments).and_then(|()| json(&operations::scan_vms(&host()?)?)),
        "adopt" => adopt(host, arguments),
        "sync" => sync(host, arguments),
        "prune" => prune(host, arguments),
        "export" => export(host, arguments),
        "import" => import(host, arguments),
        "status" => without_arguments(arguments).and_then(|()| json(&operations::status(&host()?)?)),
        "history" => history(host, arguments),
        "apply" => apply(host, arguments),
        "last_starts" => without_arguments(arguments).and_then(|()| json(&operations::last_starts(&host()?)?)),
        "check" => check(root, &Caller::Session(session.clone()), arguments),
        "version" => without_arguments(arguments).and_then(|()| json(&operations::version())),
        _ => return Answer::Failure("UNKNOWN_XENAPI_PLUGIN_FUNCTION".to_owned(), vec![function]),
    };
    outcome.map_or_else(Answer::from, Answer::Success)
}

fn json(reply: &impl Serialize) -> Outcome {
    serde_json::to_string(reply).map_err(|error| Error::Reply(error.to_string()))
}

fn without_arguments(arguments: Arguments) -> Result<(), Error> {
    arguments.end(&[])
}

/// The VM that is meant, by `vm_uuid` or by `vm_name`.
fn selector(arguments: &mut Arguments) -> Result<VmSelector, Error> {
    any_selector(arguments)?.ok_or(Error::MissingParam { name: "vm_uuid", expected: VmUuid::EXPECTED })
}

/// The VM that is meant, if one is.
fn any_selector(arguments: &mut Arguments) -> Result<Option<VmSelector>, Error> {
    match (arguments.optional("vm_uuid")?, arguments.optional_text("vm_name")) {
        (Some(uuid), None) => Ok(Some(VmSelector::Uuid(uuid))),
        (None, Some(name)) => Ok(Some(VmSelector::Name(name))),
        (Some(_), Some(name)) => Err(Error::InvalidParam {
            name: "vm_name".to_owned(),
            value: name,
            expected: "either vm_uuid or vm_name".to_owned(),
        }),
        (None, None) => Ok(None),
    }
}

fn register_vm(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let request = RegisterVm {
        vm_uuid: arguments.required("vm_uuid", VmUuid::EXPECTED)?,
        vm_name: arguments.optional_text("vm_name"),
        pool: arguments.required("pool", PoolId::EXPECTED)?,
        priority: arguments.required("priority", Priority::EXPECTED)?,
        vm_id: arguments.optional("vm_id")?,
        force: arguments.flag("force")?,
    };
    arguments.end(&["vm_uuid", "vm_name", "pool", "priority", "vm_id", "force"])?;
    json(&operations::register_vm(&host()?, &request)?)
}

fn show_vm(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let vm = selector(&mut arguments)?;
    arguments.end(&["vm_uuid", "vm_name"])?;
    json(&operations::show_vm(&host()?, &vm)?)
}

fn set_pool(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let vm = selector(&mut arguments)?;
    let pool = arguments.required("pool", PoolId::EXPECTED)?;
    arguments.end(&["vm_uuid", "vm_name", "pool"])?;
    json(&operations::set_pool(&host()?, &vm, pool)?)
}

fn set_priority(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let vm = selector(&mut arguments)?;
    let priority = arguments.required("priority", Priority::EXPECTED)?;
    arguments.end(&["vm_uuid", "vm_name", "priority"])?;
    json(&operations::set_priority(&host()?, &vm, priority)?)
}

fn update_vm(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let vm = selector(&mut arguments)?;
    let change = UpdateVm {
        pool: arguments.optional("pool")?,
        priority: arguments.optional("priority")?,
        vm_id: arguments.optional::<DeviceVmId>("vm_id")?,
    };
    arguments.end(&["vm_uuid", "vm_name", "pool", "priority", "vm_id"])?;
    json(&operations::update_vm(&host()?, &vm, &change)?)
}

fn list_vms(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let filter = Filter { pool: arguments.optional("pool")?, priority: arguments.optional("priority")? };
    arguments.end(&["pool", "priority"])?;
    let mut list = Vec::new();
    operations::list_vms_as_json(&host()?, filter, &mut list)?;
    String::from_utf8(list).map_err(|error| Error::Reply(error.to_string()))
}

fn remove_vm(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let vm = selector(&mut arguments)?;
    arguments.end(&["vm_uuid", "vm_name"])?;
    json(&operations::remove_vm(&host()?, &vm)?)
}

fn sync(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let dry_run = arguments.flag("dry_run")?;
    arguments.end(&["dry_run"])?;
    json(&operations::sync(&host()?, dry_run)?)
}

fn adopt(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let dry_run = arguments.flag("dry_run")?;
    arguments.end(&["dry_run"])?;
    json(&operations::adopt(&host()?, dry_run)?)
}

fn export(host: impl Fn() -> Result<Host, Error>, arguments: Arguments) -> Outcome {
    without_arguments(arguments)?;
    Ok(operations::export(&host()?)?.to_text(FileFormat::Json)?)
}

fn import(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let expected = "the text of a file that export wrote, TOML or JSON";
    let text = arguments.optional_text("config").ok_or(Error::MissingParam { name: "config", expected })?;
    let (prune, dry_run) = (arguments.flag("prune")?, arguments.flag("dry_run")?);
    arguments.end(&["config", "prune", "dry_run"])?;
    json(&operations::import(&host()?, &ConfigFile::parse(&text)?, prune, dry_run)?)
}

fn prune(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let dry_run = arguments.flag("dry_run")?;
    arguments.end(&["dry_run"])?;
    json(&operations::prune(&host()?, dry_run)?)
}

fn history(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let vm = any_selector(&mut arguments)?;
    let limit = arguments.optional::<Limit>("limit")?;
    arguments.end(&["vm_uuid", "vm_name", "limit"])?;
    json(&operations::history(&host()?, vm.as_ref(), limit.map(|Limit(limit)| limit))?)
}

fn apply(host: impl Fn() -> Result<Host, Error>, mut arguments: Arguments) -> Outcome {
    let (vm, pending) = (any_selector(&mut arguments)?, arguments.flag("pending")?);
    let (hard, dry_run) = (arguments.flag("hard")?, arguments.flag("dry_run")?);
    arguments.end(&["vm_uuid", "vm_name", "pending", "hard", "dry_run"])?;
    let to = match (vm, pending) {
        (Some(vm), false) => ApplyTo::Vm(vm),
        (None, true) => ApplyTo::Pending,
        _ => return Err(Error::MissingParam { name: "vm_uuid", expected: "either a VM, or pending=true for all" }),
    };
    json(&operations::apply(&host()?, &to, hard, dry_run)?)
}

fn check(root: &Root, caller: &Caller, mut arguments: Arguments) -> Outcome {
    let all_hosts = arguments.flag("all_hosts")?;
    arguments.end(&["all_hosts"])?;
    if all_hosts { json(&operations::check_all_hosts(root, caller)?) } else { json(&operations::check(root)) }
}

/// How many entries.
struct Limit(u32);

impl FromStr for Limit {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self).map_err(|_| InvalidValue { value: text.to_owned(), expected: "a whole number" })
    }
}
