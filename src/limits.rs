//! How many VMs a GPU pool may have.

use crate::error::Error;
use crate::model::{PoolId, VmLimit};
use crate::store::{StoreError, Writing};

/// The GPU pools with a limit, and how many VMs they have before a change. It is to be compared in the same transaction.
pub(crate) struct Room(Vec<(PoolId, VmLimit, u64)>);

impl Room {
    /// # Errors
    /// The database cannot be read.
    pub fn before(writing: &Writing<'_>) -> Result<Self, StoreError> {
        let mut limited = Vec::new();
        for (pool, max) in writing.read().vm_limits()? {
            limited.push((pool, max, writing.read().count_vms_of(pool)?));
        }
        Ok(Self(limited))
    }

    /// Refuses a change that gave a GPU pool more VMs than it may have. A change that takes some away is allowed, even if too
    /// many are left.
    ///
    /// # Errors
    /// [`Error::PoolFull`], or the database cannot be read.
    pub fn refuse_overflow(&self, writing: &Writing<'_>) -> Result<(), Error> {
        for &(pool, max, vms) in &self.0 {
            let now = writing.read().count_vms_of(pool)?;
            if now > vms && max.is_exceeded_by(now) {
                return Err(Error::PoolFull { pool, vms, max, more: now - vms });
            }
        }
        Ok(())
    }
}
