//! An operation on a VM while it lasts: what `VM.current_operations` shows, and what keeps others out
//! (`with_vm_operation` in `ocaml/xapi/xapi_vm_helpers.ml`).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use super::Dom0;
use super::rules::{self, IN_PROGRESS};
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
    /// Given back when the operation ends.
    turn: Option<Turn<'a>>,
}

/// The operations that are xenopsd's work.
const OF_XENOPSD: [&str; 11] = [
    "start",
    "pause",
    "unpause",
    "clean_reboot",
    "hard_reboot",
    "clean_shutdown",
    "hard_shutdown",
    "shutdown",
    "suspend",
    "resume",
    "pool_migrate",
];

/// How often is looked whether something is over. XAPI is woken when the other operation ends; where it misses that, it
/// looks again after 1 to 20 seconds (`Repeat_with_uniform_backoff` in `ocaml/xapi/helpers.ml`).
const PAUSE: Duration = Duration::from_millis(5);

impl<'a> Operation<'a> {
    /// Begins an operation if the VM's state allows it and XAPI reaches the host.
    pub fn begin(dom0: &'a Arc<Dom0>, vm: &str, name: &str) -> ApiResult<Self> {
        Self::begin_strictly(dom0, vm, name, true)
    }

    /// The same; where it is not strict, the guest need not be able to take part.
    pub fn begin_strictly(dom0: &'a Arc<Dom0>, vm: &str, name: &str, strict: bool) -> ApiResult<Self> {
        let task = crate::random::reference();
        let life = dom0.life();
        // `retry_with_global_lock` in `ocaml/xapi/helpers.ml`, which goes on for two hours, but for a guest's plugin
        // (`fail_immediately`) tries twice.
        let mut tries = if name == "call_plugin" { 2 } else { usize::MAX };
        let uuid = loop {
            tries -= 1;
            match Self::enter(dom0, &task, vm, name, strict) {
                Err(error) if error.code == IN_PROGRESS && tries > 0 && life.load(Ordering::Relaxed) => {
                    thread::sleep(PAUSE);
                }
                entered => break entered?,
            }
        };
        let mut operation = Self { dom0, vm: vm.to_owned(), uuid, task, turn: None };
        // The call is forwarded to the host once the VM is marked. A host that is to take the VM in has to be live before
        // that (`assert_can_boot_here` in `ocaml/xapi/xapi_vm_helpers.ml`).
        if ["start", "resume"].contains(&name) { dom0.check_live() } else { dom0.pool.check_contact(dom0) }?;
        operation.cancel_others(name);
        if OF_XENOPSD.contains(&name) {
            operation.turn = Some(Turn::wait(dom0, vm));
        }
        Ok(operation)
    }

    fn enter(dom0: &Dom0, task: &str, vm: &str, name: &str, strict: bool) -> ApiResult<String> {
        dom0.pool.write(|database| {
            rules::check(database, vm, name, strict)?;
            let record = database.change(Class::Vm, vm)?;
            if let Some(Value::Dict(operations)) = record.get_mut("current_operations") {
                operations.push((task.as_bytes().to_vec(), name.into()));
            }
            let uuid = text(record, "uuid");
            rules::update_allowed_operations(database, vm);
            Ok(uuid)
        })
    }

    /// Cancels what a hard shutdown or a hard reboot does not wait out, and waits until it has ended.
    fn cancel_others(&self, name: &str) {
        let others = self.current().into_iter().filter(|(_, other)| rules::cancels(name, other));
        let tasks: Vec<String> = others.map(|(task, _)| task).collect();
        self.dom0.pool.cancel(&tasks);
        self.dom0.wait_while(|| {
            let current = self.current();
            tasks.iter().any(|task| current.contains_key(task))
        });
    }

    fn current(&self) -> indexmap::IndexMap<String, String> {
        let database = self.dom0.pool.read();
        database.record(Class::Vm, &self.vm).map(|record| map_of(record, "current_operations")).unwrap_or_default()
    }

    /// What xenopsd does between two steps of an operation (`check_cancelling` in `ocaml/xenopsd/lib/xenops_server.ml`):
    /// a step that has begun goes on, and so does a hook.
    pub fn go_on(&self) -> ApiResult<()> {
        if self.dom0.pool.is_cancelled(&self.task) {
            return Err(ApiError::new("TASK_CANCELLED", &[&self.task]));
        }
        Ok(())
    }
}

impl Drop for Operation<'_> {
    fn drop(&mut self) {
        self.dom0.pool.write(|database| {
            let Ok(record) = database.change(Class::Vm, &self.vm) else { return };
            if let Some(Value::Dict(operations)) = record.get_mut("current_operations") {
                operations.retain(|(task, _)| task != self.task.as_bytes());
            }
            rules::update_allowed_operations(database, &self.vm);
        });
    }
}

/// xenopsd's attention to a VM: it does one thing after the other with each (`Redirector` in
/// `ocaml/xenopsd/lib/xenops_server.ml`), and what xapi pushes for the VM meanwhile waits too.
pub struct Turn<'a> {
    dom0: &'a Dom0,
    vm: String,
}

impl<'a> Turn<'a> {
    pub fn wait(dom0: &'a Dom0, vm: &str) -> Self {
        dom0.wait_while(|| !lock(&dom0.busy).insert(vm.to_owned()));
        Self { dom0, vm: vm.to_owned() }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.dom0.busy).remove(&self.vm);
    }
}

/// A string field, or nothing.
pub fn text(record: &Record, field: &str) -> String {
    record.get(field).and_then(Value::text).map(std::borrow::Cow::into_owned).unwrap_or_default()
}
