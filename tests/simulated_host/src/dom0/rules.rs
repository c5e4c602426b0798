//! What XAPI allows to be done with a VM, and what it says of the rest (`ocaml/xapi/xapi_vm_lifecycle.ml`).

use super::Dom0;
use super::operation::text;
use crate::database::{Class, Database, Record, map_of};
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// What XAPI says of an operation that another keeps out, and waits for.
pub const IN_PROGRESS: &str = "OTHER_OPERATION_IN_PROGRESS";

/// What `VM.allowed_operations` may show, in the order in which it shows it (`update_allowed_operations`, which puts
/// each in front of the others; v26 has another order).
const SHOWN: [&str; 29] = [
    "create_vtpm",
    "changing_NVRAM",
    "changing_dynamic_range",
    "changing_shadow_memory",
    "changing_static_range",
    "make_into_template",
    "migrate_send",
    "pool_migrate",
    "changing_VCPUs_live",
    "provision",
    "destroy",
    "export",
    "resume_on",
    "resume",
    "suspend",
    "hard_reboot",
    "hard_shutdown",
    "clean_reboot",
    "clean_shutdown",
    "unpause",
    "pause",
    "start_on",
    "start",
    "snapshot_with_quiesce",
    "checkpoint",
    "revert",
    "clone",
    "copy",
    "snapshot",
];

/// The power states in which an operation is allowed, in XAPI's order, which an error repeats (`allowed_power_states`).
/// That a pool may allow suspended VMs to be cloned is left out.
fn states(name: &str, record: &Record) -> &'static [&'static str] {
    const HALTED: [&str; 8] = [
        "start",
        "start_on",
        "provision",
        "make_into_template",
        "create_vtpm",
        "changing_NVRAM",
        "changing_shadow_memory",
        "changing_static_range",
    ];
    const RUNNING: [&str; 8] = [
        "clean_reboot",
        "clean_shutdown",
        "pause",
        "suspend",
        "pool_migrate",
        "call_plugin",
        "changing_VCPUs_live",
        "snapshot_with_quiesce",
    ];
    match name {
        name if HALTED.contains(&name) => &["Halted"],
        name if RUNNING.contains(&name) => &["Running"],
        "unpause" => &["Paused"],
        "resume" | "resume_on" => &["Suspended"],
        "changing_dynamic_range" => &["Halted", "Running"],
        "clone" | "copy" if !is(record, "is_a_snapshot") => &["Halted"],
        "clone" | "copy" | "destroy" | "export" => &["Halted", "Suspended"],
        "hard_reboot" => &["Paused", "Running"],
        "shutdown" | "hard_shutdown" | "checkpoint" => &["Paused", "Suspended", "Running"],
        "migrate_send" => &["Halted", "Suspended", "Running"],
        _ => &["Halted", "Paused", "Suspended", "Running"],
    }
}

fn is(record: &Record, field: &str) -> bool {
    record.get(field) == Some(&Value::Bool(true))
}

/// Refuses what XAPI refuses, the first thing first (`check_operation_error`). Where it is not strict, the guest need
/// not be able to take part.
pub fn check(database: &Database, vm: &str, name: &str, strict: bool) -> ApiResult<()> {
    let record = database.record(Class::Vm, vm)?;
    if let Some(reason) = map_of(record, "blocked_operations").get(name) {
        return Err(ApiError::new("OPERATION_BLOCKED", &[vm, reason]));
    }
    let state = text(record, "power_state");
    let allowed = states(name, record);
    if !allowed.contains(&state.as_str()) {
        let expected = allowed.join(", ").to_lowercase();
        return Err(ApiError::new("VM_BAD_POWER_STATE", &[vm, &expected, &state.to_lowercase()]));
    }
    let current = map_of(record, "current_operations");
    if !current.values().all(|other| go_together(name, other)) {
        return Err(in_progress(vm, &current));
    }
    let (is_template, is_snapshot) = (is(record, "is_a_template"), is(record, "is_a_snapshot"));
    if is_template && !is_snapshot && !OF_TEMPLATE.contains(&name) {
        return Err(ApiError::new("VM_IS_TEMPLATE", &[vm, name]));
    }
    if is_snapshot && !OF_SNAPSHOT.contains(&name) {
        return Err(ApiError::new("VM_IS_SNAPSHOT", &[vm, name]));
    }
    if name == "provision" && !is_template {
        return Err(ApiError::new("ONLY_PROVISION_TEMPLATE", &[]));
    }
    if name == "revert" && !is_snapshot {
        return Err(ApiError::new("ONLY_REVERT_SNAPSHOT", &[]));
    }
    if is(record, "is_control_domain") && !OF_CONTROL_DOMAIN.contains(&name) {
        return Err(ApiError::new("OPERATION_NOT_ALLOWED", &["This operation is not allowed on a control domain"]));
    }
    if strict && state == "Running" && database.without_agent.contains(vm) && NEED_AGENT.contains(&name) {
        return Err(ApiError::new("VM_LACKS_FEATURE", &[vm]));
    }
    if name == "snapshot_with_quiesce" {
        return Err(ApiError::new("VM_SNAPSHOT_WITH_QUIESCE_NOT_SUPPORTED", &[vm]));
    }
    Ok(())
}

/// `check_template`. That a default template is neither destroyed nor migrated is left out.
const OF_TEMPLATE: [&str; 10] = [
    "changing_dynamic_range",
    "changing_static_range",
    "changing_shadow_memory",
    "changing_NVRAM",
    "clone",
    "copy",
    "export",
    "provision",
    "destroy",
    "migrate_send",
];

/// `check_snapshot`.
const OF_SNAPSHOT: [&str; 6] = ["revert", "clone", "copy", "export", "destroy", "hard_shutdown"];

/// What is left of the control domain's exceptions where it runs.
const OF_CONTROL_DOMAIN: [&str; 4] = ["changing_dynamic_range", "changing_static_range", "start", "start_on"];

/// What a running HVM guest must be able to take part in: without PV drivers or the features that its agent or kernel
/// announces, XAPI does not try (`check_op_for_feature`).
const NEED_AGENT: [&str; 7] =
    ["clean_reboot", "clean_shutdown", "suspend", "checkpoint", "pool_migrate", "migrate_send", "changing_VCPUs_live"];

/// Whether an operation may begin while another is in progress (`is_allowed_concurrently`).
fn go_together(name: &str, other: &str) -> bool {
    let both_in = |names: &[&str]| names.contains(&name) && names.contains(&other);
    match name {
        "hard_shutdown" => other != "hard_shutdown",
        "hard_reboot" => !["hard_shutdown", "hard_reboot"].contains(&other),
        _ => both_in(&["clone", "copy", "export"]) || both_in(&["snapshot", "checkpoint"]),
    }
}

/// `report_concurrent_operations_error` of v25.27 and later. Before, the parameters were `VM.OPERATION` and the VM.
fn in_progress(vm: &str, current: &indexmap::IndexMap<String, String>) -> ApiError {
    let list = |words: Vec<&str>| match words.as_slice() {
        [word] => (*word).to_owned(),
        words => format!("{{{}}}", words.join(",")),
    };
    let operations = list(current.values().map(String::as_str).collect());
    let tasks = list(current.keys().map(String::as_str).collect());
    ApiError::new(IN_PROGRESS, &["VM", vm, &operations, &tasks])
}

/// The operations in progress that XAPI cancels, and waits for, before a hard shutdown or a hard reboot (`cancel` in
/// `ocaml/xapi/message_forwarding.ml`).
pub fn cancels(name: &str, other: &str) -> bool {
    match name {
        "hard_shutdown" => other == "hard_reboot" || cancels("hard_reboot", other),
        "hard_reboot" => ["clean_shutdown", "clean_reboot", "pool_migrate", "call_plugin", "suspend"].contains(&other),
        _ => false,
    }
}

/// Notes what may now be done with a VM, as XAPI does when its state has changed, and when an operation begins and ends.
pub fn update_allowed_operations(database: &mut Database, vm: &str) {
    let allowed: Vec<&str> = SHOWN.into_iter().filter(|name| check(database, vm, name, true).is_ok()).collect();
    let _ = database.set(Class::Vm, vm, "allowed_operations", allowed);
}

impl Dom0 {
    /// Refuses an operation that is over as soon as it begins, if XAPI refuses it.
    pub fn check_operation(&self, vm: &str, name: &str) -> ApiResult<()> {
        check(&self.pool.read(), vm, name, true)
    }

    /// Refuses to take a VM in where XAPI does not reach this host.
    pub fn check_live(&self) -> ApiResult<()> {
        let contact = self.pool.check_contact(self);
        contact.map_err(|error| if self.is_up() { error } else { ApiError::new("HOST_NOT_LIVE", &[]) })
    }

    pub fn update_allowed_operations(&self, vm: &str) {
        self.pool.write(|database| update_allowed_operations(database, vm));
    }
}
