//! Changes a VM's settings, as the plugin and `vgpu-admin` do.

use std::ffi::{c_char, c_int};
use std::mem;

use vgpu_config::model::VmUuid;
use vgpu_config::reply::{ChangeReply, TakesEffect, XapiOutcome};
use vgpu_config::request::{NewVm, Reply, Request, VmSelector};
use vgpu_config::text;

use crate::boundary::{Done, Failure, other_reply, with_handle_for_change};
use crate::code::VGPU_OK;
use crate::handle::{Handle, vgpu_db};
use crate::input;
use crate::output::{Growing, Place};

/// A flag of vgpu_register_vm(): also if XAPI does not know the VM.
pub const VGPU_FORCE: u32 = 1;

/// XAPI's record of the VM was changed.
pub const VGPU_XAPI_WRITTEN: c_int = 1;
/// XAPI's record of the VM was right already.
pub const VGPU_XAPI_ALREADY_RIGHT: c_int = 2;
/// XAPI does not know the VM.
pub const VGPU_XAPI_UNKNOWN_VM: c_int = 3;
/// XAPI is away or was not asked: only the database was changed. XAPI is told at the VM's next start or change, or by
/// vgpu-admin sync.
pub const VGPU_XAPI_AWAY: c_int = 4;

/// Nothing changes for the VM, or it is a template, which is never started.
pub const VGPU_TAKES_EFFECT_NEVER: c_int = 0;
/// At the VM's next start.
pub const VGPU_TAKES_EFFECT_AT_NEXT_START: c_int = 1;
/// The VM runs: at its next start or reboot.
pub const VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT: c_int = 2;

/// What a change came to.
///
/// Set size to sizeof(struct vgpu_change) before each call. What was said of struct vgpu_vm_config and older libraries is true
/// here too.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct vgpu_change {
    /// The size of the structure, set by the caller.
    pub size: usize,
    /// 1 if the settings have changed, 0 if they were the same already.
    pub changed: i32,
    /// VGPU_XAPI_WRITTEN, VGPU_XAPI_ALREADY_RIGHT, VGPU_XAPI_UNKNOWN_VM or VGPU_XAPI_AWAY.
    pub xapi: i32,
    /// VGPU_TAKES_EFFECT_NEVER, VGPU_TAKES_EFFECT_AT_NEXT_START or VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT.
    pub takes_effect: i32,
    /// 0.
    pub reserved: i32,
}

// SAFETY: a test in output.rs adds up the sizes of its fields.
unsafe impl Growing for vgpu_change {
    const FIRST: usize = mem::size_of::<Self>();
    const NAME: &str = "change";
}

impl vgpu_change {
    fn new(reply: &ChangeReply) -> Self {
        Self {
            size: mem::size_of::<Self>(),
            changed: reply.changed.into(),
            xapi: match reply.xapi {
                XapiOutcome::Written => VGPU_XAPI_WRITTEN,
                XapiOutcome::AlreadyRight => VGPU_XAPI_ALREADY_RIGHT,
                XapiOutcome::UnknownVm => VGPU_XAPI_UNKNOWN_VM,
                XapiOutcome::Away => VGPU_XAPI_AWAY,
            },
            takes_effect: match reply.takes_effect {
                None => VGPU_TAKES_EFFECT_NEVER,
                Some(TakesEffect::AtNextStart) => VGPU_TAKES_EFFECT_AT_NEXT_START,
                Some(TakesEffect::AtNextStartOrReboot) => VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT,
            },
            reserved: 0,
        }
    }
}

/// Registers a VM: from its next start on, its QEMU gets the device.
///
/// vm_uuid: the UUID, 36 characters, ended by a zero byte.
/// vm_name: the name, UTF-8, for a VM that XAPI does not know; NULL for none. XAPI's own name is preferred.
/// pool_id: 'A' or 'B'; VGPU_UNSET_POOL for the default of the settings file.
/// priority: VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH; VGPU_UNSET_PRIORITY for the default.
/// device_vm_id: the device's number; VGPU_UNSET_VM_ID to have it derived from the UUID.
/// flags: 0, or VGPU_FORCE to register a VM that XAPI does not know, or one too many for the GPU pool.
/// change: filled in if VGPU_OK is returned; NULL if it is of no interest. Set change->size before.
///
/// Returns VGPU_OK or an error; then nothing has changed:
/// VGPU_INVALID_PARAM, VGPU_BUFFER_TOO_SMALL (change->size), VGPU_READ_ONLY, VGPU_ALREADY_EXISTS, VGPU_UNKNOWN_VM,
/// VGPU_POOL_FULL, VGPU_XAPI_ERROR, VGPU_BUSY, VGPU_ARGS_TOO_LONG, VGPU_ARGS_UNCLEAR, VGPU_NEWER_FORMAT, VGPU_SETTINGS_ERROR, VGPU_FILE_ERROR,
/// VGPU_DB_ERROR, VGPU_ERROR, or an error of the handle.
///
/// If XAPI is away, only the database is changed: the function returns VGPU_OK, change->xapi is VGPU_XAPI_AWAY and
/// vgpu_last_message() says so. A change waits 10 seconds for XAPI, and 15 for a program that changes the same VM or writes the
/// database.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_register_vm(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    vm_name: *const c_char,
    pool_id: c_char,
    priority: c_int,
    device_vm_id: u32,
    flags: u32,
    change: *mut vgpu_change,
) -> c_int {
    // SAFETY: C's callers pass a text or NULL.
    let name = || unsafe { input::vm_name(vm_name) };
    // SAFETY: C's callers pass a text or NULL, and a structure with its size or NULL.
    unsafe {
        carry_out(db, vm_uuid, change, |uuid| {
            if flags & !VGPU_FORCE != 0 {
                return Err(input::unknown_flags(flags));
            }
            let vm = NewVm::Uuid { uuid, name: name()? };
            let (pool, priority) = (input::pool_or_unset(pool_id)?, input::priority_or_unset(priority)?);
            let vm_id = input::vm_id_or_unset(device_vm_id)?;
            Ok(Request::RegisterVm {
                vm: vm.into(),
                pool,
                priority,
                vm_id,
                force: flags & VGPU_FORCE != 0,
                dry_run: false,
            })
        })
    }
}

/// Moves a VM to another GPU pool.
///
/// vm_uuid, change, what is returned and how long it waits: as vgpu_register_vm(), but VGPU_NOT_FOUND if the VM is not
/// registered, and VGPU_POOL_FULL if the GPU pool has as many VMs as it may have.
/// pool_id: 'A' or 'B'.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_set_pool(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    pool_id: c_char,
    change: *mut vgpu_change,
) -> c_int {
    // SAFETY: C's callers pass a text or NULL, and a structure with its size or NULL.
    unsafe {
        carry_out(db, vm_uuid, change, |uuid| {
            Ok(Request::SetPool {
                vm: VmSelector::Uuid(uuid).into(),
                pool: input::pool(pool_id)?,
                force: false,
                dry_run: false,
            })
        })
    }
}

/// Gives a VM another priority.
///
/// vm_uuid, change, what is returned and how long it waits: as vgpu_set_pool().
/// priority: VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM or VGPU_PRIORITY_HIGH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_set_priority(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    priority: c_int,
    change: *mut vgpu_change,
) -> c_int {
    // SAFETY: C's callers pass a text or NULL, and a structure with its size or NULL.
    unsafe {
        carry_out(db, vm_uuid, change, |uuid| {
            Ok(Request::SetPriority {
                vm: VmSelector::Uuid(uuid).into(),
                priority: input::priority(priority)?,
                dry_run: false,
            })
        })
    }
}

/// Changes several settings of a VM at once.
///
/// vm_uuid, change, what is returned and how long it waits: as vgpu_set_pool(); VGPU_ALREADY_EXISTS if another VM has the
/// number, VGPU_INVALID_PARAM if nothing is to be changed.
/// pool_id: 'A' or 'B'; VGPU_UNSET_POOL leaves it as it is.
/// priority: the priority; VGPU_UNSET_PRIORITY leaves it as it is.
/// device_vm_id: the device's number; VGPU_UNSET_VM_ID leaves it as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_update_vm(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    pool_id: c_char,
    priority: c_int,
    device_vm_id: u32,
    change: *mut vgpu_change,
) -> c_int {
    // SAFETY: C's callers pass a text or NULL, and a structure with its size or NULL.
    unsafe {
        carry_out(db, vm_uuid, change, |uuid| {
            let (pool, priority) = (input::pool_or_unset(pool_id)?, input::priority_or_unset(priority)?);
            let vm_id = input::vm_id_or_unset(device_vm_id)?;
            Ok(Request::UpdateVm {
                vm: VmSelector::Uuid(uuid).into(),
                pool,
                priority,
                vm_id,
                force: false,
                dry_run: false,
            })
        })
    }
}

/// Removes a VM's settings, and the device's argument from XAPI's record of the VM. A VM that runs has its device until it is
/// started again.
///
/// vm_uuid, change, what is returned and how long it waits: as vgpu_set_pool().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_remove_vm(db: *mut vgpu_db, vm_uuid: *const c_char, change: *mut vgpu_change) -> c_int {
    // SAFETY: C's callers pass a text or NULL, and a structure with its size or NULL.
    unsafe {
        carry_out(db, vm_uuid, change, |uuid| {
            Ok(Request::RemoveVm { vm: VmSelector::Uuid(uuid).into(), dry_run: false })
        })
    }
}

/// Makes a request for a VM, carries it out, and tells what it came to.
///
/// # Safety
/// vm_uuid is a text or NULL, change a structure with its size or NULL.
unsafe fn carry_out(
    db: *mut vgpu_db,
    vm_uuid: *const c_char,
    change: *mut vgpu_change,
    request: impl FnOnce(VmUuid) -> Result<Request, Failure>,
) -> c_int {
    with_handle_for_change(db, |handle| {
        // SAFETY: this function's caller promises it.
        let uuid = unsafe { input::vm_uuid(vm_uuid) }?;
        // SAFETY: this function's caller promises it.
        let place = unsafe { Place::optional(change) }?;
        let reply = changed(handle, request(uuid)?)?;
        if let Some(place) = place {
            place.fill(&vgpu_change::new(&reply));
        }
        Ok(Done { code: VGPU_OK, note: text::one_line(&reply.notes.join(" ")) })
    })
}

fn changed(handle: &Handle, request: Request) -> Result<ChangeReply, Failure> {
    match handle.for_change().execute(request)? {
        Reply::RegisterVm(reply)
        | Reply::SetPool(reply)
        | Reply::SetPriority(reply)
        | Reply::UpdateVm(reply)
        | Reply::RemoveVm(reply) => reply.into_vec().into_iter().next().ok_or_else(other_reply),
        _ => Err(other_reply()),
    }
}
