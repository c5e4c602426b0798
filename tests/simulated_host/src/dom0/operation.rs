//! An operation on a VM while it lasts: what `VM.current_operations` shows, and what keeps others out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::Dom0;
use crate::database::{Class, Record, map_of};
use crate::error::{ApiError, ApiResult};
use crate::lock;
use crate::wire::Value;

/// An operation that xapi has begun; it ends with this value.
pub struct Operation<'a> {
    dom0: &'a Arc<Dom0>,
    pub vm: String,
    pub uuid: String,
    task: String,
}

impl<'a> Operation<'a> {
    /// Begins an operation if the VM's state allows it and XAPI reaches the host. The states are in XAPI's order, which an error repeats.
    pub fn begin(dom0: &'a Arc<Dom0>, vm: &str, name: &str, allowed: &[&str]) -> ApiResult<Self> {
        Self::begin_strictly(dom0, vm, name, allowed, true)
    }

    /// The same; where it is not strict, the guest need not be able to take part.
    pub fn begin_strictly(
        dom0: &'a Arc<Dom0>,
        vm: &str,
        name: &str,
        allowed: &[&str],
        strict: bool,
    ) -> ApiResult<Self> {
        let task = crate::random::reference();
        let life = dom0.life();
        let uuid = loop {
            dom0.pool.check_contact(dom0)?;
            match Self::enter(dom0, &task, vm, name, allowed, strict) {
                // `retry_with_global_lock` in `ocaml/xapi/helpers.ml`, which goes on for two hours.
                Err(error) if error.code == IN_PROGRESS && life.load(Ordering::Relaxed) => thread::sleep(PAUSE),
                entered => break entered?,
            }
        };
        lock(&dom0.busy).insert(vm.to_owned());
        Ok(Self { dom0, vm: vm.to_owned(), uuid, task })
    }

    fn enter(dom0: &Dom0, task: &str, vm: &str, name: &str, allowed: &[&str], strict: bool) -> ApiResult<String> {
        dom0.pool.write(|database| {
            let record = database.record(Class::Vm, vm)?;
            check(record, vm, name, allowed)?;
            if strict && database.without_agent.contains(vm) && NEED_AGENT.contains(&name) {
                return Err(ApiError::new("VM_LACKS_FEATURE", &[vm]));
            }
            let record = database.change(Class::Vm, vm)?;
            if let Some(Value::Dict(operations)) = record.get_mut("current_operations") {
                operations.push((task.as_bytes().to_vec(), name.into()));
            }
            Ok(text(record, "uuid"))
        })
    }
}

/// XAPI waits for what keeps an operation out. It cancels a clean shutdown, a reboot, a migration or a suspension for
/// a hard shutdown or a hard reboot; that those wait too is a guess.
const IN_PROGRESS: &str = "OTHER_OPERATION_IN_PROGRESS";
/// How often is looked whether it is over.
const PAUSE: Duration = Duration::from_millis(5);

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        lock(&self.dom0.busy).remove(&self.vm);
        self.dom0.pool.write(|database| {
            if let Ok(record) = database.change(Class::Vm, &self.vm)
                && let Some(Value::Dict(operations)) = record.get_mut("current_operations")
            {
                operations.retain(|(task, _)| task != self.task.as_bytes());
            }
        });
    }
}

/// Refuses what XAPI refuses, the first thing first (`check_operation_error` in `ocaml/xapi/xapi_vm_lifecycle.ml`).
fn check(record: &Record, vm: &str, name: &str, allowed: &[&str]) -> ApiResult<()> {
    let is = |field: &str| record.get(field) == Some(&Value::Bool(true));
    if let Some(reason) = map_of(record, "blocked_operations").get(name) {
        return Err(ApiError::new("OPERATION_BLOCKED", &[vm, reason]));
    }
    let state = text(record, "power_state");
    if !allowed.contains(&state.as_str()) {
        let expected = allowed.join(", ").to_lowercase();
        return Err(ApiError::new("VM_BAD_POWER_STATE", &[vm, &expected, &state.to_lowercase()]));
    }
    let current = map_of(record, "current_operations");
    if let Some((task, other)) = current.first().filter(|_| !current.values().all(|other| go_together(name, other))) {
        return Err(ApiError::new(IN_PROGRESS, &["VM", vm, other, task]));
    }
    let of_template = ["clone", "copy", "destroy", "provision"];
    if is("is_a_template") && !is("is_a_snapshot") && !of_template.contains(&name) {
        return Err(ApiError::new("VM_IS_TEMPLATE", &[vm, name]));
    }
    let of_snapshot = ["revert", "clone", "copy", "destroy", "hard_shutdown"];
    if is("is_a_snapshot") && !of_snapshot.contains(&name) {
        return Err(ApiError::new("VM_IS_SNAPSHOT", &[vm, name]));
    }
    if is("is_control_domain") {
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", &["This operation is not allowed on a control domain"]));
    }
    Ok(())
}

/// Whether two operations may be in progress at once (`is_allowed_concurrently` in the same file).
fn go_together(name: &str, other: &str) -> bool {
    let both_in = |names: &[&str]| names.contains(&name) && names.contains(&other);
    both_in(&["clone", "copy", "export"]) || both_in(&["snapshot", "checkpoint"])
}

/// What a running HVM guest must be able to take part in: without PV drivers or the features that its agent or kernel
/// announces, XAPI does not try (`check_op_for_feature` in `ocaml/xapi/xapi_vm_lifecycle.ml`).
const NEED_AGENT: [&str; 7] =
    ["clean_reboot", "clean_shutdown", "suspend", "checkpoint", "pool_migrate", "migrate_send", "changing_VCPUs_live"];

/// A string field, or nothing.
pub fn text(record: &Record, field: &str) -> String {
    record.get(field).and_then(Value::text).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// What may be done with a VM in that state, as `VM.allowed_operations` shows it.
pub fn allowed_operations(power_state: &str, has_agent: bool) -> Value {
    let operations: &[&str] = match power_state {
        "Running" => &[
            "changing_dynamic_range",
            "migrate_send",
            "pool_migrate",
            "changing_VCPUs_live",
            "suspend",
            "hard_reboot",
            "hard_shutdown",
            "clean_reboot",
            "clean_shutdown",
            "pause",
            "checkpoint",
            "snapshot",
        ],
        "Paused" => &["unpause", "hard_reboot", "hard_shutdown", "checkpoint", "snapshot"],
        "Suspended" => &["resume_on", "resume", "hard_shutdown", "export", "checkpoint", "snapshot"],
        _ => &[
            "create_vtpm",
            "changing_NVRAM",
            "changing_dynamic_range",
            "changing_shadow_memory",
            "changing_static_range",
            "make_into_template",
            "migrate_send",
            "destroy",
            "export",
            "start_on",
            "start",
            "clone",
            "copy",
            "snapshot",
        ],
    };
    let lacks = |name: &str| power_state == "Running" && !has_agent && NEED_AGENT.contains(&name);
    operations.iter().copied().filter(|name| !lacks(name)).collect::<Vec<_>>().into()
}
