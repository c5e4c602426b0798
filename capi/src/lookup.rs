//! Looks one VM up.

use std::ffi::{c_char, c_int};

use vgpu_config::Error;
use vgpu_config::model::VmUuid;
use vgpu_config::reply::VmReply;

use crate::boundary::{Failure, with_handle};
use crate::code::{VGPU_BUFFER_TOO_SMALL, VGPU_OK};
use crate::handle::{Handle, vgpu_db};
use crate::input;
use crate::output::{Place, put, put_text, vgpu_vm_config};

fn show(handle: &mut Handle, uuid: VmUuid) -> Result<VmReply, Failure> {
    Ok(handle.resident.host().show_settings(uuid)?)
}

/// Gets a VM's settings by its UUID.
///
/// With VGPU_OPEN_DATABASE_ONLY this host's database alone is read, in microseconds. Otherwise XAPI is asked first for what
/// other hosts have changed, for a second at most, and as_of says if it did not answer.
///
/// vm_uuid: the UUID, 36 characters in any case, ended by a zero byte.
/// vm: filled in if VGPU_OK is returned, otherwise unchanged. Set vm->size before.
///
/// Returns VGPU_OK, VGPU_NOT_FOUND, VGPU_INVALID_PARAM, VGPU_BUFFER_TOO_SMALL (vm->size is too small), VGPU_DB_ERROR, or an
/// error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_get_vm_config(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    vm: *mut vgpu_vm_config,
) -> c_int {
    with_handle(db, |handle| {
        // SAFETY: C's callers pass a text or NULL.
        let uuid = unsafe { input::vm_uuid(vm_uuid) }?;
        // SAFETY: C's callers pass a structure with its size or NULL.
        let place = unsafe { Place::new(vm) }?;
        place.fill(&vgpu_vm_config::new(&show(handle, uuid)?));
        Ok(VGPU_OK)
    })
}

/// Gets the settings of the VM whose device has a number: vm_id on QEMU's command line. Otherwise as vgpu_get_vm_config().
///
/// device_vm_id: 1 to 4294967295.
///
/// Returns as vgpu_get_vm_config(); VGPU_NOT_FOUND if no registered VM has the number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_get_vm_by_device_id(
    db: *mut vgpu_db,
    device_vm_id: u32,
    vm: *mut vgpu_vm_config,
) -> c_int {
    with_handle(db, |handle| {
        let vm_id = input::vm_id(device_vm_id)?;
        // SAFETY: C's callers pass a structure with its size or NULL.
        let place = unsafe { Place::new(vm) }?;
        let found: Result<_, Error> = handle.resident.host().show_device(vm_id);
        place.fill(&vgpu_vm_config::new(&found?));
        Ok(VGPU_OK)
    })
}

/// Gets a VM's whole name, which may be longer than vm_name in struct vgpu_vm_config.
///
/// buffer: gets the name, UTF-8, with a zero byte; an empty text if the VM has none. NULL with buffer_size 0 asks for the
/// length alone.
/// buffer_size: the buffer's size in bytes.
/// needed: if not NULL, gets the size that a buffer needs, with the zero byte.
///
/// Returns VGPU_OK, VGPU_BUFFER_TOO_SMALL (the buffer is unchanged, needed is set), or as vgpu_get_vm_config().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_get_vm_name(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    buffer: *mut c_char,
    buffer_size: usize,
    needed: *mut usize,
) -> c_int {
    with_handle(db, |handle| {
        // SAFETY: C's callers pass a text or NULL.
        let uuid = unsafe { input::vm_uuid(vm_uuid) }?;
        if buffer.is_null() && buffer_size > 0 {
            return Err(Failure::null("buffer"));
        }
        let name = show(handle, uuid)?.vm_name.unwrap_or_default();
        if !needed.is_null() {
            // SAFETY: C's callers pass a place for a number.
            unsafe { put("needed", needed, name.len() + 1) }?;
        }
        // SAFETY: C's callers pass a buffer of that size.
        match unsafe { put_text(buffer, buffer_size, &name) } {
            Ok(()) => Ok(VGPU_OK),
            Err(_) => Err(Failure {
                code: VGPU_BUFFER_TOO_SMALL,
                message: format!("the name needs {} bytes, the buffer has {buffer_size}", name.len() + 1),
            }),
        }
    })
}
