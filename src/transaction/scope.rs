//! What a change is about.

use crate::model::VmUuid;
use crate::vm_lock::Lockable;

/// What a change may change, and what is locked for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope<'v> {
    pub vms: &'v [VmUuid],
    /// The GPU pools and the GPUs that serve them.
    pub gpu_pools: bool,
}

impl<'v> Scope<'v> {
    /// These VMs alone.
    #[must_use]
    pub fn vms(vms: &'v [VmUuid]) -> Self {
        Self { vms, gpu_pools: false }
    }

    /// The GPU pools alone.
    #[must_use]
    pub fn gpu_pools() -> Self {
        Self { vms: &[], gpu_pools: true }
    }

    pub(super) fn locks(self) -> impl Iterator<Item = Lockable> {
        self.vms.iter().copied().map(Lockable::Vm).chain(self.gpu_pools.then_some(Lockable::GpuPools))
    }
}
