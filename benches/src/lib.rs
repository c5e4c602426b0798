//! What the benches share: databases with many VMs.

use std::path::Path;

use vgpu_config::entry::Entry;
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmUuid};
use vgpu_config::store::{Store, StoreError};

/// A host's UUID.
pub const HOST: &str = "11111111-2222-4333-8444-555555555555";

/// The `number`th VM's UUID.
///
/// # Panics
/// Never: it is a UUID.
#[must_use]
pub fn vm(number: u32) -> VmUuid {
    let spread = number.wrapping_mul(0x9e37_79b1);
    format!("{spread:08x}-0000-4000-8000-{number:012x}").parse().expect("it is a UUID")
}

/// The GPU pool and the priority of the `number`th VM.
#[must_use]
pub fn settings(number: u32) -> (PoolId, Priority) {
    let number = number as usize;
    (PoolId::ALL[number % 2], Priority::ALL[number % 3])
}

/// Fills a database with VMs that XAPI was told of and that were started here.
///
/// # Errors
/// The database cannot be written.
pub fn fill(database: &Path, vms: u32) -> Result<(), StoreError> {
    let store = Store::open(database)?;
    let writing = store.write()?;
    for number in 0..vms {
        let (uuid, (pool, priority)) = (vm(number), settings(number));
        writing.insert(&uuid, Some(&format!("web{number}")), pool, priority, None)?;
        writing.mark_pushed(&uuid, 1, true)?;
        let vm_id = DeviceVmId::derived_from(&uuid);
        writing.note_start(
            &uuid,
            HOST,
            &format!("-device vgpu-stub,pool_id={pool},priority={priority},vm_id={vm_id}"),
            0,
        )?;
    }
    writing.commit()
}

/// What the shared copy has of the first VMs of a database: what the database has.
///
/// # Errors
/// The database cannot be read.
pub fn shared(database: &Path, vms: u32) -> Result<Vec<(String, String)>, StoreError> {
    let store = Store::open(database)?;
    let entry = |number| {
        let uuid = vm(number);
        Ok(store.read().entry(&uuid)?.map(|entry| (Entry::key(&uuid), entry.to_text())))
    };
    (0..vms).filter_map(|number| entry(number).transpose()).collect()
}
