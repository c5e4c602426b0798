//! Clones, snapshots and going back to one (`ocaml/xapi/xapi_vm_clone.ml`, `xapi_vm_snapshot.ml`).

use std::sync::Arc;

use super::Dom0;
use super::operation::{Operation, text};
use super::rules;
use crate::database::{Class, NULL, Record};
use crate::error::{ApiError, ApiResult};
use crate::random;
use crate::wire::Value;

/// A kind of copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// `VM.clone` and `VM.copy`, which differ only in the disks.
    Clone,
    /// `VM.snapshot`.
    Snapshot,
}

/// The fields that a VM keeps when it goes back to a snapshot (`do_not_copy` in `xapi_vm_snapshot.ml`).
const KEPT_BY_REVERT: [&str; 25] = [
    "uuid",
    "suspend_VDI",
    "power_state",
    "parent",
    "current_operations",
    "allowed_operations",
    "metrics",
    "guest_metrics",
    "resident_on",
    "domid",
    "protection_policy",
    "snapshot_schedule",
    "scheduled_to_be_resident_on",
    "snapshots",
    "children",
    "tags",
    "affinity",
    "consoles",
    "VBDs",
    "VIFs",
    "VGPUs",
    "VUSBs",
    "VTPMs",
    "attached_PCIs",
    "is_snapshot_from_vmpp",
];

impl Dom0 {
    /// Makes a copy and gives its reference.
    pub fn copy_vm(self: &Arc<Self>, vm: &str, name: &str, kind: CopyKind) -> ApiResult<String> {
        let operation = match kind {
            CopyKind::Clone => "clone",
            CopyKind::Snapshot => "snapshot",
        };
        let original = self.pool.read().record(Class::Vm, vm)?.clone();
        let _operation = Operation::begin(self, vm, operation)?;
        let copy = random::reference();
        self.pool.write(|database| {
            let record = match kind {
                CopyKind::Clone => clone_of(&original, name),
                CopyKind::Snapshot => snapshot_of(&original, vm, name),
            };
            database.insert(Class::Vm, &copy, record);
            rules::update_allowed_operations(database, &copy);
            if database.without_agent.contains(vm) {
                database.without_agent.insert(copy.clone());
            }
            if kind == CopyKind::Snapshot {
                database.snapshot_metadata.insert(copy.clone(), original);
                let record = database.change(Class::Vm, vm)?;
                if let Some(Value::List(snapshots)) = record.get_mut("snapshots") {
                    snapshots.push(copy.as_str().into());
                }
                record.insert("parent".to_owned(), copy.as_str().into());
            }
            Ok(())
        })?;
        Ok(copy)
    }

    /// `VM.revert`: a VM that is not halted is shut down by force, and nearly all of its fields become what they were
    /// (`revert` in `ocaml/xapi/message_forwarding.ml`). Left out: XAPI creates a VM that is gone anew.
    pub fn revert_vm(self: &Arc<Self>, snapshot: &str) -> ApiResult<()> {
        let vm = text(self.pool.read().record(Class::Vm, snapshot)?, "snapshot_of");
        let _revert = Operation::begin(self, snapshot, "revert")?;
        let _reverting = Operation::begin(self, &vm, "reverting")?;
        let metadata = self.pool.read().snapshot_metadata.get(snapshot).cloned();
        let Some(metadata) = metadata else {
            return Err(ApiError::new("VM_REVERT_FAILED", &[snapshot, &vm]));
        };
        if text(self.pool.read().record(Class::Vm, &vm)?, "power_state") != "Halted" {
            let host = self.pool.host_of_vm(&vm)?.unwrap_or_else(|| Arc::clone(self));
            host.shut_down(&vm, false)?;
        }
        self.pool.write(|database| {
            let record = database.change(Class::Vm, &vm)?;
            record.extend(metadata.into_iter().filter(|(field, _)| !KEPT_BY_REVERT.contains(&field.as_str())));
            record.insert("parent".to_owned(), snapshot.into());
            let generation_id = fresh_generation_id(record);
            record.insert("generation_id".to_owned(), generation_id);
            Ok(())
        })
    }

    /// `VM.destroy`. Its snapshots go on naming it (`create_vm_from_snapshot` in `xapi_vm_snapshot.ml` finds them so).
    pub fn destroy_vm(self: &Arc<Self>, vm: &str) -> ApiResult<()> {
        let operation = Operation::begin(self, vm, "destroy")?;
        self.xenopsd.forget(&operation.uuid);
        self.pool.write(|database| {
            database.remove(Class::Vm, vm)?;
            database.snapshot_metadata.shift_remove(vm);
            Ok(())
        })
    }

    /// `VM.provision`: a copy of a template becomes a VM.
    pub fn provision_vm(self: &Arc<Self>, vm: &str) -> ApiResult<()> {
        let _operation = Operation::begin(self, vm, "provision")?;
        self.pool.write(|database| {
            database.set(Class::Vm, vm, "is_a_template", false)?;
            database.remove_from_map(Class::Vm, vm, "other_config", b"disks")
        })
    }
}

/// A VM without a generation ID gets none (`fresh_genid` in `ocaml/xapi/xapi_vm_helpers.ml`).
fn fresh_generation_id(record: &Record) -> Value {
    if text(record, "generation_id").is_empty() { "".into() } else { random::generation_id().into() }
}

/// What every copy has of its own.
fn copy_of(original: &Record, name: &str) -> Record {
    let mut copy = original.clone();
    let mut set = |field: &str, value: Value| copy.insert(field.to_owned(), value);
    let none = || Value::List(Vec::new());
    set("uuid", random::uuid().into());
    set("name_label", name.into());
    set("power_state", "Halted".into());
    set("domid", Value::Int(-1));
    set("resident_on", NULL.into());
    set("current_operations", Value::Dict(Vec::new()));
    set("blocked_operations", Value::Dict(Vec::new()));
    set("is_default_template", false.into());
    set("metrics", random::reference().into());
    set("generation_id", fresh_generation_id(original));
    set("snapshots", none());
    set("children", none());
    copy
}

fn clone_of(original: &Record, name: &str) -> Record {
    let mut copy = copy_of(original, name);
    let epoch = Value::DateTime("19700101T00:00:00Z".to_owned());
    copy.insert("is_a_snapshot".to_owned(), false.into());
    copy.insert("snapshot_of".to_owned(), NULL.into());
    copy.insert("snapshot_time".to_owned(), epoch);
    copy.insert("snapshot_info".to_owned(), Value::Dict(Vec::new()));
    copy.insert("snapshot_metadata".to_owned(), "".into());
    copy.insert("parent".to_owned(), NULL.into());
    let is_template = copy.get("is_a_template") == Some(&Value::Bool(true));
    if let Some(Value::Dict(other_config)) = copy.get_mut("other_config") {
        reseed(other_config, is_template.then(|| text(original, "name_label")));
    }
    copy
}

/// A clone gets network addresses of its own, and remembers the template it comes from.
fn reseed(other_config: &mut Vec<(Vec<u8>, Value)>, template: Option<String>) {
    match other_config.iter_mut().find(|(key, _)| key == b"mac_seed") {
        Some((_, seed)) => *seed = random::uuid().into(),
        None => other_config.insert(0, (b"mac_seed".to_vec(), random::uuid().into())),
    }
    other_config.retain(|(key, _)| key != b"default_template" && key != b"xensource_internal");
    if let Some(name) = template
        && !other_config.iter().any(|(key, _)| key == b"base_template_name")
    {
        other_config.insert(0, (b"base_template_name".to_vec(), name.into()));
    }
}

fn snapshot_of(original: &Record, vm: &str, name: &str) -> Record {
    let mut copy = copy_of(original, name);
    let info = [
        ("disk-snapshot-type", Value::from("crash_consistent")),
        ("power-state-at-snapshot", text(original, "power_state").into()),
    ];
    copy.insert("is_a_snapshot".to_owned(), true.into());
    copy.insert("is_a_template".to_owned(), true.into());
    copy.insert("snapshot_of".to_owned(), vm.into());
    copy.insert("snapshot_time".to_owned(), Value::DateTime(random::date()));
    copy.insert("snapshot_info".to_owned(), Value::dict(info));
    copy.insert("children".to_owned(), vec![vm].into());
    copy
}
