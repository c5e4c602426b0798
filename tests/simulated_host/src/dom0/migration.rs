//! Live migration: the domain goes on elsewhere as it was built, and no vm-pre-start runs.

use std::sync::Arc;

use super::Dom0;
use super::operation::Operation;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;
use crate::xenopsd::Handover;

impl Dom0 {
    /// `VM.pool_migrate`, in the order of `VM_migrate` and `VM_receive_memory` in `ocaml/xenopsd/lib/xenops_server.ml`:
    /// the hooks around the old domain's end run when the VM goes on elsewhere. Guesses: what XAPI says of a target that
    /// is live and not reached, and what becomes of a VM whose migration fails once it has moved (the real xapi counts it as
    /// halted here, whatever runs there). That the VM runs on the host that is asked is for the caller to see to; XAPI
    /// finds it by itself.
    pub fn migrate_vm(self: &Arc<Self>, vm: &str, to: &Arc<Self>, force: bool) -> ApiResult<()> {
        let operation = Operation::begin_strictly(self, vm, "pool_migrate", !force)?;
        if self.pool.host_of_vm(vm)?.is_none_or(|here| here.reference != self.reference) {
            return Err(ApiError::new("VM_NOT_RESIDENT_HERE", &[vm, &self.reference]));
        }
        to.check_live()?;
        let uuid = &operation.uuid;
        let domid = self.xenopsd.domain(uuid).map(|domain| domain.domid);
        self.run_hooks("vm-pre-migrate", uuid, "source", domid)?;
        operation.go_on()?;
        let moved = self.xenopsd.hand_over(uuid).ok_or_else(|| ApiError::internal("there is no domain to migrate"))?;
        let domain = to.receive(uuid, moved)?;
        to.now_runs_here(vm, "Running", domain);
        to.run_hooks("vm-post-migrate", uuid, "destination", Some(domain))?;
        self.run_hooks("vm-pre-shutdown", uuid, "suspend", domid)?;
        self.run_hooks("vm-post-destroy", uuid, "suspend", None)?;
        Ok(())
    }

    /// Takes a domain in and gives its number.
    fn receive(&self, uuid: &str, moved: Handover) -> ApiResult<i64> {
        let temporary = temporary_uuid(uuid);
        let renamed = |text: &str| text.replace(uuid, &temporary);
        if let Some(mut metadata) = moved.metadata {
            if let Value::Dict(members) = &mut metadata
                && let Some((_, Value::Dict(platformdata))) = members.iter_mut().find(|(key, _)| key == b"platformdata")
            {
                for (_, value) in platformdata {
                    *value = value.text().map_or(Value::Null, |text| renamed(&text).into());
                }
            }
            self.xenopsd.import(uuid, metadata);
        }
        let platformdata = moved.platformdata.into_iter().map(|(key, value)| (key, renamed(&value))).collect();
        let domain = self.xenopsd.resume(uuid, platformdata);
        self.start_device_model(uuid, &domain, true)?;
        Ok(domain.domid)
    }
}

/// What a VM is called on its way. It replaces the VM's UUID throughout what xenopsd knows of it, also inside platform
/// values, where it stays.
fn temporary_uuid(uuid: &str) -> String {
    const KEPT: usize = "cda8bcd3-f410-bd1f-3688-".len();
    format!("{}000000000001", uuid.get(..KEPT).unwrap_or_default())
}
