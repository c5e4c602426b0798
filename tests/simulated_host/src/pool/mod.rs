//! A resource pool: what its hosts share. xapi's database, the sessions in it, and the list of hosts.

mod contact;
mod replicas;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use indexmap::IndexMap;

use crate::database::{self, Class, Database, NULL, Record, Role, Session, SessionInfo};
use crate::dom0::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;
use crate::xenopsd::Platformdata;
use crate::{lock, random};
use contact::Contact;

pub use contact::Outage;

/// A pool. Its coordinator is the first host that joined, until another takes over.
pub struct PoolState {
    database: Mutex<Database>,
    changed: Condvar,
    hosts: Mutex<IndexMap<String, Arc<Dom0>>>,
    contact: Mutex<Contact>,
    /// Each host's copy of the database, by the host's reference.
    replicas: Mutex<HashMap<String, Database>>,
    /// What suspended VMs were, by their UUIDs: it lies on storage that all hosts share.
    suspend_images: Mutex<HashMap<String, Platformdata>>,
    calls: Mutex<Vec<String>>,
    /// The tasks that are to end at their next step.
    cancelled: Mutex<HashSet<String>>,
    filters_platform: AtomicBool,
    pub reference: String,
}

impl PoolState {
    pub fn new(reference: &str) -> Self {
        let mut database = Database::new();
        let mut record = database::pool();
        record.insert("uuid".to_owned(), random::uuid().into());
        database.insert(Class::Pool, reference, record);
        Self {
            database: Mutex::new(database),
            changed: Condvar::new(),
            hosts: Mutex::default(),
            contact: Mutex::default(),
            replicas: Mutex::default(),
            suspend_images: Mutex::default(),
            calls: Mutex::default(),
            cancelled: Mutex::default(),
            filters_platform: AtomicBool::new(false),
            reference: reference.to_owned(),
        }
    }

    /// The database, to read.
    pub fn read(&self) -> MutexGuard<'_, Database> {
        lock(&self.database)
    }

    /// Changes the database and wakes whoever waits for events.
    pub fn write<T>(&self, change: impl FnOnce(&mut Database) -> T) -> T {
        let outcome = change(&mut lock(&self.database));
        self.changed.notify_all();
        outcome
    }

    /// Waits until something has changed after that event number, the time is up, or nobody waits any more.
    pub fn wait_for_change(&self, after: u64, until: Instant, waits: &dyn Fn() -> bool) -> MutexGuard<'_, Database> {
        let mut database = self.read();
        while database.events.last() <= after && Instant::now() < until && waits() {
            // Short, so that a host that ends is not held up by its clients.
            let pause = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(50));
            database = match self.changed.wait_timeout(database, pause) {
                Ok((database, _)) => database,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        database
    }

    /// Takes a host in.
    pub fn join(&self, host: &Arc<Dom0>, record: Record, control_domain: Record) {
        let is_first = lock(&self.hosts).is_empty();
        let domain = random::reference();
        self.write(|database| {
            database.insert(Class::Vm, &domain, control_domain);
            database.insert(Class::Host, &host.reference, record);
            let _ = database.set(Class::Host, &host.reference, "control_domain", domain.as_str());
            let _ = database.set(Class::Host, &host.reference, "resident_VMs", vec![domain]);
            if is_first {
                let _ = database.set(Class::Pool, &self.reference, "master", host.reference.as_str());
            }
        });
        lock(&self.hosts).insert(host.reference.clone(), Arc::clone(host));
        if is_first {
            self.set_coordinator(&host.reference);
        }
    }

    /// Lets a host go, which breaks the circle of references between the two.
    pub fn leave(&self, reference: &str) {
        lock(&self.hosts).shift_remove(reference);
    }

    /// The hosts, in the order in which they joined.
    pub fn hosts(&self) -> Vec<Arc<Dom0>> {
        lock(&self.hosts).values().cloned().collect()
    }

    /// The host of that reference.
    pub fn host(&self, reference: &str) -> ApiResult<Arc<Dom0>> {
        let found = lock(&self.hosts).get(reference).cloned();
        found.ok_or_else(|| ApiError::handle_invalid("host", reference))
    }

    /// Whether unknown platform keys are dropped on their way to xenopsd. XCP-ng's licence allows them.
    pub fn filters_platform(&self) -> bool {
        self.filters_platform.load(Ordering::Relaxed)
    }

    pub fn set_filters_platform(&self, filters: bool) {
        self.filters_platform.store(filters, Ordering::Relaxed);
        // The licence daemon's word, which xapi also shows (`ocaml/xapi-types/features.ml`).
        let value = if filters { "true" } else { "false" };
        self.write(|database| {
            let _ = database.remove_from_map(Class::Pool, &self.reference, "restrictions", b"platform_filter");
            let _ =
                database.add_to_map(Class::Pool, &self.reference, "restrictions", b"platform_filter", value.as_bytes());
        });
    }

    pub fn open_session(&self, host: &str, originator: &str, role: Role) -> String {
        let reference = random::reference();
        self.adopt_session(&reference, host, originator, role);
        reference
    }

    /// Opens a session under a reference that is already known.
    pub fn adopt_session(&self, reference: &str, host: &str, originator: &str, role: Role) {
        let session = Session {
            role,
            originator: originator.to_owned(),
            // A directory service may have pool-admins too; here they are all root.
            local_superuser: role == Role::PoolAdmin,
            host: host.to_owned(),
        };
        self.write(|database| database.sessions.insert(reference.to_owned(), session));
    }

    pub fn close_session(&self, reference: &str) {
        self.write(|database| database.sessions.shift_remove(reference));
    }

    pub fn session(&self, reference: &str) -> ApiResult<Session> {
        let found = self.read().sessions.get(reference).cloned();
        found.ok_or_else(|| ApiError::new("SESSION_INVALID", &[reference]))
    }

    pub fn open_sessions(&self) -> Vec<SessionInfo> {
        let database = self.read();
        let info = |(reference, session): (&String, &Session)| SessionInfo {
            reference: reference.clone(),
            originator: session.originator.clone(),
            role: session.role,
        };
        database.sessions.iter().map(info).collect()
    }

    pub fn note_call(&self, method: &str) {
        lock(&self.calls).push(method.to_owned());
    }

    pub fn calls(&self) -> Vec<String> {
        lock(&self.calls).clone()
    }

    pub fn clear_calls(&self) {
        lock(&self.calls).clear();
    }

    /// Starts a task and gives its reference.
    pub fn begin_task(&self, label: &str, host: &str) -> String {
        let reference = random::reference();
        let mut record = database::task();
        record.insert("uuid".to_owned(), random::uuid().into());
        record.insert("name_label".to_owned(), label.into());
        record.insert("created".to_owned(), Value::DateTime(random::date()));
        record.insert("resident_on".to_owned(), host.into());
        self.write(|database| database.insert(Class::Task, &reference, record));
        reference
    }

    /// Ends a task with what became of it. One that was destroyed meanwhile is none of our business.
    pub fn end_task(&self, task: &str, outcome: ApiResult<Vec<u8>>) {
        self.write(|database| {
            let Ok(record) = database.change(Class::Task, task) else { return };
            let mut set = |field: &str, value: Value| record.insert(field.to_owned(), value);
            set("finished", Value::DateTime(random::date()));
            set("progress", Value::Float(1.0));
            match outcome {
                Ok(result) => {
                    set("status", "success".into());
                    set("result", Value::Text(result));
                }
                Err(error) => {
                    let info = std::iter::once(Value::from(error.code.as_str()))
                        .chain(error.bytes().iter().map(|param| Value::Text(param.clone())));
                    set("status", "failure".into());
                    set("error_info", Value::List(info.collect()));
                }
            }
        });
    }

    /// `task.cancel`, of the tasks of operations.
    pub fn cancel(&self, tasks: &[String]) {
        lock(&self.cancelled).extend(tasks.iter().cloned());
    }

    pub fn is_cancelled(&self, task: &str) -> bool {
        lock(&self.cancelled).contains(task)
    }

    /// Keeps what a VM was when it was suspended.
    pub fn keep_suspend_image(&self, uuid: &str, platformdata: Platformdata) {
        lock(&self.suspend_images).insert(uuid.to_owned(), platformdata);
    }

    /// What a VM was when it was suspended, which is used up by that.
    pub fn take_suspend_image(&self, uuid: &str) -> Option<Platformdata> {
        lock(&self.suspend_images).remove(uuid)
    }

    /// Lets the host that a VM runs on know that its record has changed.
    pub fn vm_has_changed(&self, vm: &str) -> ApiResult<()> {
        if let Some(host) = self.host_of_vm(vm)? {
            host.has_changed(vm);
        }
        Ok(())
    }

    /// The host that a VM runs on.
    pub fn host_of_vm(&self, vm: &str) -> ApiResult<Option<Arc<Dom0>>> {
        let host = match self.read().record(Class::Vm, vm)?.get("resident_on").and_then(Value::text) {
            Some(host) if host != NULL => host.into_owned(),
            _ => return Ok(None),
        };
        Ok(self.host(&host).ok())
    }
}
