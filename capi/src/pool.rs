//! Looks a GPU pool up.

use std::ffi::{c_char, c_int};
use std::mem;

use vgpu_config::model::VmLimit;
use vgpu_config::reply::ShowPoolReply;
use vgpu_config::request::{Reply, Request};

use crate::boundary::{other_reply, with_handle};
use crate::code::VGPU_OK;
use crate::handle::vgpu_db;
use crate::input;
use crate::output::{Growing, Place, copy_text};

/// Instead of a limit: the GPU pool may have any number of VMs.
pub const VGPU_NO_LIMIT: i64 = -1;

/// A GPU pool.
///
/// Set size to sizeof(struct vgpu_pool) before each call that fills one, as for struct vgpu_vm_config.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct vgpu_pool {
    /// The size of the structure, set by the caller.
    pub size: usize,
    /// How many VMs it may have, or VGPU_NO_LIMIT.
    pub max_vms: i64,
    /// How many registered VMs it has: more than max_vms if the limit was lowered.
    pub vms: u64,
    /// Those with high priority.
    pub high: u64,
    /// Those with medium priority.
    pub medium: u64,
    /// Those with low priority.
    pub low: u64,
    /// How many GPUs serve it, on all hosts.
    pub gpus: u64,
    /// 'A' or 'B'.
    pub pool_id: c_char,
    /// Empty, or if XAPI did not answer: when this host last had the settings of all hosts, or "unknown".
    pub as_of: [c_char; 20],
    /// The name, UTF-8; empty if it has none.
    pub name: [c_char; 257],
    /// The description, UTF-8; empty if it has none.
    pub description: [c_char; 1025],
    /// 0.
    pub reserved: [u8; 1],
}

// SAFETY: the test below adds up the sizes of its fields.
unsafe impl Growing for vgpu_pool {
    const FIRST: usize = mem::size_of::<Self>();
    const NAME: &str = "pool";
}

impl vgpu_pool {
    fn new(reply: &ShowPoolReply) -> Self {
        let mut pool = Self {
            size: mem::size_of::<Self>(),
            max_vms: reply.settings.max_vms.map_or(VGPU_NO_LIMIT, |max: VmLimit| max.get().into()),
            vms: reply.vms,
            high: reply.high,
            medium: reply.medium,
            low: reply.low,
            gpus: reply.gpus.len() as u64,
            pool_id: reply.pool.as_str().as_bytes()[0].cast_signed(),
            as_of: [0; 20],
            name: [0; 257],
            description: [0; 1025],
            reserved: [0; 1],
        };
        copy_text(&mut pool.as_of, reply.as_of.as_deref().unwrap_or_default());
        copy_text(&mut pool.name, reply.settings.name.as_ref().map_or("", |name| name.as_str()));
        copy_text(&mut pool.description, reply.settings.description.as_ref().map_or("", |text| text.as_str()));
        pool
    }
}

/// Gets a GPU pool: its name, description and limit, and how many VMs and GPUs it has.
///
/// How long it waits is as for vgpu_get_vm_config().
///
/// pool_id: 'A' or 'B'.
/// pool: filled in if VGPU_OK is returned, otherwise unchanged. Set pool->size before.
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_BUFFER_TOO_SMALL (pool->size is too small), VGPU_DB_ERROR, or an error of the
/// handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_get_pool(db: *mut vgpu_db, pool_id: c_char, pool: *mut vgpu_pool) -> c_int {
    with_handle(db, |handle| {
        let wanted = input::pool(pool_id)?;
        // SAFETY: C's callers pass a structure with its size or NULL.
        let place = unsafe { Place::new(pool) }?;
        let reply = handle.resident.host().execute(Request::ShowPool { pool: wanted })?;
        let Reply::ShowPool(reply) = reply else { return Err(other_reply()) };
        place.fill(&vgpu_pool::new(&reply));
        Ok(VGPU_OK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_has_no_padding() {
        assert_eq!(mem::size_of::<vgpu_pool>(), 7 * 8 + 1 + 20 + 257 + 1025 + 1);
    }
}
