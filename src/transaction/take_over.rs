//! Takes over what other hosts have written.

use std::collections::HashSet;
use std::mem;

use super::Scope;
use crate::entry::News;
use crate::error::Error;
use crate::shared_copy::SharedCopy;
use crate::store::{Store, StoreError};
use crate::vm_lock::{Lockable, VmLocks};

/// Takes over what other hosts have written, and returns it. A VM that another program of this host is changing is left to
/// that program, and so are the GPU pools: it may yet put back what it has written. The caller has locked `own`.
///
/// # Errors
/// The database cannot be written.
pub fn take_over(store: &Store, shared: &SharedCopy, locks: &VmLocks, own: Scope<'_>) -> Result<News, Error> {
    let mut news = shared.news(store.read())?;
    if news.is_empty() {
        return Ok(news);
    }
    let mut others = locks.none();
    let mut busy = HashSet::new();
    for (uuid, _) in news.entries.iter().filter(|(uuid, _)| !own.vms.contains(uuid)) {
        if !others.try_also(&Lockable::Vm(*uuid))? {
            busy.insert(*uuid);
        }
    }
    let has_gpu_pools = !news.gpu_pools.is_empty();
    let may_change_gpu_pools = own.gpu_pools || (has_gpu_pools && others.try_also(&Lockable::GpuPools)?);
    // They may have changed before they were locked.
    news = shared.news(store.read())?;
    news.entries.retain(|(uuid, _)| !busy.contains(uuid));
    if !may_change_gpu_pools {
        news.gpu_pools.clear();
    }
    Ok(write_down(store, news)?)
}

/// Takes over everything, in a copy of the database that no other program uses.
///
/// # Errors
/// The database cannot be written.
pub fn take_over_all(store: &Store, shared: &SharedCopy) -> Result<News, Error> {
    Ok(write_down(store, shared.news(store.read())?)?)
}

/// Returns what was taken over.
fn write_down(store: &Store, mut news: News) -> Result<News, StoreError> {
    let gpu_pools = News { gpu_pools: mem::take(&mut news.gpu_pools), ..News::default() };
    write(store, &news)?;
    match write(store, &gpu_pools) {
        // No VM's start may fail because of an entry about GPU pools.
        Err(error) if !matches!(error, StoreError::Locked | StoreError::ReadOnly) => {
            log::error!("GPU pools are not taken over: {error}");
            Ok(news)
        }
        written => written.map(|()| News { gpu_pools: gpu_pools.gpu_pools, ..news }),
    }
}

fn write(store: &Store, news: &News) -> Result<(), StoreError> {
    if news.is_empty() {
        return Ok(());
    }
    let writing = store.write()?;
    writing.take_over(news)?;
    writing.commit()
}
