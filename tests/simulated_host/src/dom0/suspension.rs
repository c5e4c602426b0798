//! Suspending a VM and bringing it back, and letting it pause.

use std::sync::Arc;

use super::Dom0;
use super::operation::Operation;
use crate::error::{ApiError, ApiResult};
use crate::xenopsd::Platformdata;

impl Dom0 {
    /// `VM.suspend`. A veto before the VM has been saved leaves it running. After that xenopsd ends the domain, and xapi
    /// makes of a VM that could not be suspended wholly a halted one (`VM_suspend` and `VM_check_state` in
    /// `ocaml/xenopsd/lib/xenops_server.ml`, `suspend` in `ocaml/xapi/xapi_xenops.ml`).
    pub fn suspend_vm(self: &Arc<Self>, vm: &str) -> ApiResult<()> {
        let operation = Operation::begin(self, vm, "suspend")?;
        let uuid = &operation.uuid;
        let domid = self.xenopsd.domain(uuid).map(|domain| domain.domid);
        self.run_hooks("vm-pre-suspend", uuid, "suspend", domid)?;
        let suspended = self.run_hooks("vm-pre-shutdown", uuid, "suspend", domid);
        let image = self.xenopsd.suspend(uuid);
        let suspended = suspended.and_then(|_| self.run_hooks("vm-post-destroy", uuid, "suspend", None));
        self.xenopsd.forget(uuid);
        if let Err(error) = suspended {
            self.set_power_state(vm, "Halted", None);
            return Err(error);
        }
        if let Some(image) = image {
            self.pool.keep_suspend_image(uuid, image);
        }
        self.set_power_state(vm, "Suspended", None);
        Ok(())
    }

    /// `VM.resume`: the domain comes back as it was, and no vm-pre-start runs. If that fails, the VM stays suspended, and
    /// xapi takes it out of xenopsd, which refuses that of a domain (`resume` and `delete_nolock` in
    /// `ocaml/xapi/xapi_xenops.ml`, `VM_resume` and `VM_remove` in `ocaml/xenopsd/lib/xenops_server.ml`). xenopsd itself
    /// ends a domain that failed before it could live, but not one that vm-post-resume vetoed: that stays there, paused.
    pub fn resume_vm(self: &Arc<Self>, vm: &str, paused: bool) -> ApiResult<()> {
        let operation = Operation::begin(self, vm, "resume")?;
        let uuid = &operation.uuid;
        let Some(image) = self.pool.take_suspend_image(uuid) else {
            self.set_power_state(vm, "Halted", None);
            return Err(ApiError::new("VM_HAS_NO_SUSPEND_VDI", &["VM", vm]));
        };
        self.push(vm)?;
        let resumed = self.restore(vm, uuid, &image);
        match resumed {
            Ok(domid) => {
                self.xenopsd.set_paused(uuid, paused);
                self.now_runs_here(vm, if paused { "Paused" } else { "Running" }, domid);
                Ok(())
            }
            Err(error) => {
                if self.xenopsd.domain(uuid).is_none() {
                    self.xenopsd.forget(uuid);
                }
                self.pool.keep_suspend_image(uuid, image);
                Err(error)
            }
        }
    }

    /// xenopsd's part of a resume. What has a domain is refused (`verify_power_state` in
    /// `ocaml/xenopsd/lib/xenops_server.ml`).
    fn restore(&self, vm: &str, uuid: &str, image: &Platformdata) -> ApiResult<i64> {
        if let Some(domain) = self.xenopsd.domain(uuid) {
            return Err(ApiError::new("VM_BAD_POWER_STATE", &[vm, "Suspended", domain.power_state()]));
        }
        let domain = self.xenopsd.resume(uuid, image.clone());
        self.start_device_model(uuid, &domain, true)?;
        let domid = domain.domid;
        self.xenopsd.set_paused(uuid, true);
        let survives = self.run_hooks("vm-pre-resume", uuid, "none", Some(domid));
        survives.inspect_err(|_| self.xenopsd.destroy_domain(uuid))?;
        self.run_hooks("vm-post-resume", uuid, "none", Some(domid))?;
        Ok(domid)
    }

    /// `VM.pause` and `VM.unpause`, at which no hook runs.
    pub fn pause_vm(self: &Arc<Self>, vm: &str, paused: bool) -> ApiResult<()> {
        let operation = Operation::begin(self, vm, if paused { "pause" } else { "unpause" })?;
        self.xenopsd.set_paused(&operation.uuid, paused);
        self.look_at(vm, &operation.uuid);
        Ok(())
    }
}
