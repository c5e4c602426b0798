//! What C passes in.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{self, PathBuf};

use vgpu_config::model::{DeviceVmId, InvalidValue, PoolId, Priority, VmUuid};
use vgpu_config::text;

use crate::boundary::Failure;
use crate::code::VGPU_INVALID_PARAM;

/// Low priority.
pub const VGPU_PRIORITY_LOW: c_int = 0;
/// Medium priority.
pub const VGPU_PRIORITY_MEDIUM: c_int = 1;
/// High priority.
pub const VGPU_PRIORITY_HIGH: c_int = 2;

/// Instead of a GPU pool. For a new VM: the default of the settings file. For a change: as it is. For a list: any.
pub const VGPU_UNSET_POOL: c_char = 0;
/// Instead of a priority: as VGPU_UNSET_POOL.
pub const VGPU_UNSET_PRIORITY: c_int = -1;
/// Instead of a device's vm_id. For a new VM: derived from its UUID. For a change: as it is.
pub const VGPU_UNSET_VM_ID: u32 = 0;

/// A text; None for NULL.
///
/// # Safety
/// text is NULL or points to bytes that end with zero, and nobody changes them during 'a.
unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: it is not NULL, and this function's caller promises the rest.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A VM's UUID.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn vm_uuid(text: *const c_char) -> Result<VmUuid, Failure> {
    // SAFETY: this function's caller promises it.
    let bytes = unsafe { bytes(text) }.ok_or_else(|| Failure::null("vm_uuid"))?;
    String::from_utf8_lossy(bytes).parse().map_err(|invalid| Failure::invalid("vm_uuid", invalid))
}

/// A VM's name, if there is one.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn vm_name(text: *const c_char) -> Result<Option<String>, Failure> {
    // SAFETY: this function's caller promises it.
    let Some(bytes) = (unsafe { bytes(text) }) else { return Ok(None) };
    match std::str::from_utf8(bytes) {
        Ok(name) => Ok(Some(name.to_owned())),
        Err(_) => Err(Failure::invalid(
            "vm_name",
            InvalidValue { value: String::from_utf8_lossy(bytes).into_owned(), expected: "UTF-8" },
        )),
    }
}

/// An absolute path, also if the process changes its directory later; None for NULL.
///
/// # Safety
/// As [`bytes`].
pub unsafe fn path(text: *const c_char) -> Result<Option<PathBuf>, Failure> {
    // SAFETY: this function's caller promises it.
    let Some(bytes) = (unsafe { bytes(text) }) else { return Ok(None) };
    path::absolute(OsStr::from_bytes(bytes)).map(Some).map_err(|error| Failure {
        code: VGPU_INVALID_PARAM,
        message: format!("path: '{}': {error}", text::one_line(&String::from_utf8_lossy(bytes))),
    })
}

pub fn unknown_flags(flags: u32) -> Failure {
    Failure { code: VGPU_INVALID_PARAM, message: format!("flags: {flags:#x} has unknown flags") }
}

pub fn pool(pool: c_char) -> Result<PoolId, Failure> {
    char::from(pool.cast_unsigned()).to_string().parse().map_err(|invalid| Failure::invalid("pool_id", invalid))
}

pub fn pool_or_unset(given: c_char) -> Result<Option<PoolId>, Failure> {
    (given != VGPU_UNSET_POOL).then(|| pool(given)).transpose()
}

pub fn priority(priority: c_int) -> Result<Priority, Failure> {
    i64::from(priority).try_into().map_err(|invalid| Failure::invalid("priority", invalid))
}

pub fn priority_or_unset(given: c_int) -> Result<Option<Priority>, Failure> {
    (given != VGPU_UNSET_PRIORITY).then(|| priority(given)).transpose()
}

pub fn vm_id(number: u32) -> Result<DeviceVmId, Failure> {
    i64::from(number).try_into().map_err(|invalid| Failure::invalid("device_vm_id", invalid))
}

pub fn vm_id_or_unset(given: u32) -> Result<Option<DeviceVmId>, Failure> {
    (given != VGPU_UNSET_VM_ID).then(|| vm_id(given)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VM: &CStr = c"cda8bcd3-f410-bd1f-3688-8c308ff28e90";

    #[test]
    fn a_uuid_is_read_and_anything_else_is_an_error_that_names_it() {
        // SAFETY: they are texts, or NULL.
        let read = |text| unsafe { vm_uuid(text) };
        assert_eq!(read(VM.as_ptr()).unwrap().to_string(), VM.to_str().unwrap());
        for text in [c"", c"web01", c"\xff\xfe", c"cda8bcd3-f410-bd1f-3688-8c308ff28e90 "] {
            let failure = read(text.as_ptr()).unwrap_err();
            assert_eq!(failure.code, VGPU_INVALID_PARAM);
            assert!(failure.message.starts_with("vm_uuid: '"), "{}", failure.message);
        }
        assert_eq!(read(std::ptr::null()).unwrap_err().message, "vm_uuid is NULL");
    }

    #[test]
    fn a_name_is_utf_8_or_left_out() {
        // SAFETY: they are texts, or NULL.
        let read = |text| unsafe { vm_name(text) };
        assert_eq!(read(c"web01".as_ptr()).unwrap().as_deref(), Some("web01"));
        assert_eq!(read(std::ptr::null()).unwrap(), None);
        assert_eq!(read(c"\xff".as_ptr()).unwrap_err().code, VGPU_INVALID_PARAM);
    }

    #[test]
    fn a_path_becomes_absolute() {
        // SAFETY: they are texts, or NULL.
        let read = |text| unsafe { path(text) };
        assert!(read(c"here.db".as_ptr()).unwrap().unwrap().is_absolute());
        assert_eq!(read(std::ptr::null()).unwrap(), None);
        assert_eq!(read(c"".as_ptr()).unwrap_err().code, VGPU_INVALID_PARAM);
    }

    #[test]
    fn pools_priorities_and_numbers_are_what_the_model_knows() {
        let letter = |letter: u8| letter.cast_signed();
        assert_eq!(pool(letter(b'A')).unwrap(), PoolId::A);
        assert_eq!(pool_or_unset(VGPU_UNSET_POOL).unwrap(), None);
        for other in [b'C', b'\n', 0xe9, 0] {
            assert_eq!(pool(letter(other)).unwrap_err().code, VGPU_INVALID_PARAM);
        }
        assert_eq!(priority(VGPU_PRIORITY_HIGH).unwrap(), Priority::High);
        assert_eq!(priority_or_unset(VGPU_UNSET_PRIORITY).unwrap(), None);
        for other in [-1, 3, c_int::MIN] {
            assert_eq!(priority(other).unwrap_err().code, VGPU_INVALID_PARAM);
        }
        assert_eq!(vm_id(u32::MAX).unwrap().get(), u32::MAX);
        assert_eq!(vm_id_or_unset(VGPU_UNSET_VM_ID).unwrap(), None);
        assert_eq!(vm_id(0).unwrap_err().code, VGPU_INVALID_PARAM);
    }
}
