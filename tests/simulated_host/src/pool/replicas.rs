//! The copies of the database that hosts keep, and what becomes of the pool when one of them takes over
//! (`ocaml/xapi/pool_db_backup.ml`, `xapi_pool.ml`).

use super::PoolState;
use crate::database::{Class, Database, NULL};
use crate::dom0::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::lock;
use crate::wire::Value;

impl PoolState {
    /// Lets a host copy the whole database, as every one does about every five minutes.
    pub fn sync_replica(&self, host: &Dom0) -> ApiResult<()> {
        self.check_contact(host)?;
        let copy = self.read().clone();
        lock(&self.replicas).insert(host.reference.clone(), copy);
        Ok(())
    }

    /// Makes a host the coordinator (`pool.emergency_transition_to_master`, `pool.recover_slaves`). What it knows is
    /// its copy; what was written since is lost. The former coordinator keeps its own database as its copy.
    pub fn fail_over(&self, to: &Dom0) -> ApiResult<()> {
        if !to.is_up() {
            return Err(ApiError::new("HOST_OFFLINE", &[&to.reference]));
        }
        let former = self.coordinator_ref();
        if former != to.reference {
            let mut replicas = lock(&self.replicas);
            let copy = replicas.get(&to.reference).cloned();
            let copy = copy.ok_or_else(|| ApiError::internal("this host has no copy of the database"))?;
            let replaced = self.write(|database| {
                let mut revived = revived(copy, database);
                let _ = revived.set(Class::Pool, &self.reference, "master", to.reference.as_str());
                std::mem::replace(database, revived)
            });
            replicas.insert(former, replaced);
        }
        self.set_coordinator(&to.reference);
        self.report_all();
        Ok(())
    }
}

/// A copy as it is when xapi has started on it. That whoever waits for events goes on waiting is a guess: the real xapi
/// starts anew, which ends its connections. Sessions and tasks are in no copy, nothing is in progress, and to
/// whoever waits for events everything has changed.
fn revived(mut copy: Database, replaced: &Database) -> Database {
    copy.sessions.clear();
    for task in references(&copy, Class::Task) {
        let _ = copy.remove(Class::Task, &task);
    }
    for vm in references(&copy, Class::Vm) {
        let _ = copy.set(Class::Vm, &vm, "current_operations", Value::Dict(Vec::new()));
        let _ = copy.set(Class::Vm, &vm, "scheduled_to_be_resident_on", NULL);
    }
    copy.events.continue_after(&replaced.events);
    copy
}

fn references(database: &Database, class: Class) -> Vec<String> {
    database.table(class).iter().map(|(reference, _)| reference.clone()).collect()
}
