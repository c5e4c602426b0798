//! Lists and counts VMs.

use std::ffi::{c_char, c_int, c_void};
use std::ops::ControlFlow;

use vgpu_config::model::{PoolId, Priority};
use vgpu_config::request::{Reply, Request};
use vgpu_config::store::Filter;

use crate::boundary::{Failure, other_reply, with_handle};
use crate::code::{VGPU_OK, VGPU_STOPPED};
use crate::handle::{Handle, vgpu_db};
use crate::input;
use crate::output::{put, vgpu_vm_config};

/// Called by vgpu_list_vms() for each VM.
///
/// vm: valid until the callback returns. vm->size says how many bytes the library has filled: fewer than the caller's header
/// knows, if the library is older.
/// context: as passed to vgpu_list_vms().
///
/// Returns 0 to go on, anything else to stop. It must return: no longjmp() and no C++ exception may leave it. The database is
/// not locked meanwhile. Calls with the handle that lists return VGPU_IN_USE; other handles can be used.
pub type vgpu_vm_callback = Option<unsafe extern "C" fn(vm: *const vgpu_vm_config, context: *mut c_void) -> c_int>;

/// Lists the registered VMs by UUID, with a few in memory at a time, however many there are.
///
/// A VM that is registered all the while is listed exactly once; changes made meanwhile may or may not be seen. What other
/// hosts have changed is known as in vgpu_get_vm_config().
///
/// pool_id: only VMs of this GPU pool; VGPU_UNSET_POOL for all.
/// priority: only VMs of this priority; VGPU_UNSET_PRIORITY for all.
/// callback: called for each VM, in the caller's thread.
/// context: passed to the callback.
///
/// Returns VGPU_OK, VGPU_STOPPED (by the callback), VGPU_INVALID_PARAM, VGPU_DB_ERROR, or an error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_list_vms(
    db: *mut vgpu_db,
    pool_id: c_char,
    priority: c_int,
    callback: vgpu_vm_callback,
    context: *mut c_void,
) -> c_int {
    with_handle(db, |handle| {
        let filter = Filter { pool: input::pool_or_unset(pool_id)?, priority: input::priority_or_unset(priority)? };
        let callback = callback.ok_or_else(|| Failure::null("callback"))?;
        let mut code = VGPU_OK;
        handle.resident.host().visit_vms(filter, &mut |vm| {
            let config = vgpu_vm_config::new(&vm);
            // SAFETY: it is a function of the caller's, which takes a structure that lives until it returns.
            if unsafe { callback(&raw const config, context) } == 0 {
                return Ok(ControlFlow::Continue(()));
            }
            code = VGPU_STOPPED;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(code)
    })
}

/// Counts the registered VMs of a GPU pool.
///
/// pool_id: 'A' or 'B'.
/// count: gets the number if VGPU_OK is returned.
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_DB_ERROR, or an error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_count_vms_by_pool(db: *mut vgpu_db, pool_id: c_char, count: *mut u64) -> c_int {
    with_handle(db, |handle| {
        let pool = input::pool(pool_id)?;
        // SAFETY: C's callers pass a place for a number or NULL.
        unsafe { count_into(handle, count, Request::CountByPool {}, |reply| in_pool(reply, pool)) }
    })
}

/// Counts the registered VMs of a priority.
///
/// priority: VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH.
/// count: gets the number if VGPU_OK is returned.
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_DB_ERROR, or an error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_count_vms_by_priority(db: *mut vgpu_db, priority: c_int, count: *mut u64) -> c_int {
    with_handle(db, |handle| {
        let priority = input::priority(priority)?;
        // SAFETY: C's callers pass a place for a number or NULL.
        unsafe { count_into(handle, count, Request::CountByPriority {}, |reply| of_priority(reply, priority)) }
    })
}

fn in_pool(reply: &Reply, pool: PoolId) -> Option<u64> {
    let Reply::CountByPool(counts) = reply else { return None };
    Some(match pool {
        PoolId::A => counts.a,
        PoolId::B => counts.b,
    })
}

fn of_priority(reply: &Reply, priority: Priority) -> Option<u64> {
    let Reply::CountByPriority(counts) = reply else { return None };
    Some(match priority {
        Priority::Low => counts.low,
        Priority::Medium => counts.medium,
        Priority::High => counts.high,
    })
}

/// # Safety
/// count is NULL or points to a place for a number.
unsafe fn count_into(
    handle: &mut Handle,
    count: *mut u64,
    request: Request,
    pick: impl FnOnce(&Reply) -> Option<u64>,
) -> Result<c_int, Failure> {
    if count.is_null() {
        return Err(Failure::null("count"));
    }
    let reply = handle.resident.host().execute(request)?;
    let number = pick(&reply).ok_or_else(other_reply)?;
    // SAFETY: this function's caller promises it.
    unsafe { put("count", count, number) }?;
    Ok(VGPU_OK)
}
