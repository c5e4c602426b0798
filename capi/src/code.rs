//! The codes that functions return.

use std::ffi::{CStr, c_char, c_int};

use vgpu_config::Error;

/// Done.
pub const VGPU_OK: c_int = 0;
/// The callback has stopped the function. Not an error.
pub const VGPU_STOPPED: c_int = 1;
/// Another error, or one of the library itself: see the message.
pub const VGPU_ERROR: c_int = -1;
/// The VM is not registered, or no registered VM has this number.
pub const VGPU_NOT_FOUND: c_int = -2;
/// An argument is not valid: the message says which, and what was expected.
pub const VGPU_INVALID_PARAM: c_int = -3;
/// The database cannot be opened, read or written, or is damaged, locked or too new.
pub const VGPU_DB_ERROR: c_int = -4;
/// The VM is registered already, or another VM has this number.
pub const VGPU_ALREADY_EXISTS: c_int = -5;
/// XAPI does not know the VM.
pub const VGPU_UNKNOWN_VM: c_int = -6;
/// XAPI refused, or is away and was needed.
pub const VGPU_XAPI_ERROR: c_int = -7;
/// Another program is changing the same VM: try again.
pub const VGPU_BUSY: c_int = -8;
/// The settings file /etc/vgpu/vgpu.toml is not valid.
pub const VGPU_SETTINGS_ERROR: c_int = -9;
/// A file other than the database cannot be used.
pub const VGPU_FILE_ERROR: c_int = -10;
/// The VM's device-model-args would be too long for the VM to start.
pub const VGPU_ARGS_TOO_LONG: c_int = -11;
/// The VM's device-model-args cannot be understood, so nothing can be added to them.
pub const VGPU_ARGS_UNCLEAR: c_int = -12;
/// A newer version of vgpu-config has written the VM's settings on another host.
pub const VGPU_NEWER_FORMAT: c_int = -13;
/// The handle is for reading only.
pub const VGPU_READ_ONLY: c_int = -14;
/// The handle is closed, or was never one.
pub const VGPU_INVALID_HANDLE: c_int = -15;
/// Another thread is using the handle, or the callback of a function that was called with it.
pub const VGPU_IN_USE: c_int = -16;
/// The handle was opened before fork(): open one in this process.
pub const VGPU_FORKED: c_int = -17;
/// The caller's buffer or structure is too small for the answer.
pub const VGPU_BUFFER_TOO_SMALL: c_int = -18;
/// The GPU pool has as many VMs as it may have.
pub const VGPU_POOL_FULL: c_int = -19;

/// The code of an error of the library. An error that C programs have no code for is a [`VGPU_ERROR`], with its message.
pub fn of(error: &Error) -> c_int {
    match error.code() {
        "VGPU_NOT_FOUND" => VGPU_NOT_FOUND,
        "VGPU_INVALID_PARAM" => VGPU_INVALID_PARAM,
        "VGPU_DB_ERROR" => VGPU_DB_ERROR,
        "VGPU_ALREADY_EXISTS" => VGPU_ALREADY_EXISTS,
        "VGPU_UNKNOWN_VM" => VGPU_UNKNOWN_VM,
        "VGPU_XAPI_ERROR" | "RBAC_PERMISSION_DENIED" => VGPU_XAPI_ERROR,
        "VGPU_BUSY" => VGPU_BUSY,
        "VGPU_SETTINGS_ERROR" => VGPU_SETTINGS_ERROR,
        "VGPU_FILE_ERROR" => VGPU_FILE_ERROR,
        "VGPU_ARGS_TOO_LONG" => VGPU_ARGS_TOO_LONG,
        "VGPU_ARGS_UNCLEAR" => VGPU_ARGS_UNCLEAR,
        "VGPU_NEWER_FORMAT" => VGPU_NEWER_FORMAT,
        "VGPU_POOL_FULL" => VGPU_POOL_FULL,
        _ => VGPU_ERROR,
    }
}

fn text(code: c_int) -> &'static CStr {
    match code {
        VGPU_OK => c"done",
        VGPU_STOPPED => c"stopped by the callback",
        VGPU_ERROR => c"error",
        VGPU_NOT_FOUND => c"not registered",
        VGPU_INVALID_PARAM => c"invalid argument",
        VGPU_DB_ERROR => c"the database cannot be used",
        VGPU_ALREADY_EXISTS => c"exists already",
        VGPU_UNKNOWN_VM => c"XAPI does not know the VM",
        VGPU_XAPI_ERROR => c"XAPI refused or is away",
        VGPU_BUSY => c"another program is changing the VM",
        VGPU_SETTINGS_ERROR => c"the settings file is not valid",
        VGPU_FILE_ERROR => c"a file cannot be used",
        VGPU_ARGS_TOO_LONG => c"device-model-args would be too long",
        VGPU_ARGS_UNCLEAR => c"device-model-args cannot be understood",
        VGPU_NEWER_FORMAT => c"written by a newer version",
        VGPU_READ_ONLY => c"the handle is for reading only",
        VGPU_INVALID_HANDLE => c"the handle is closed or is not one",
        VGPU_IN_USE => c"the handle is in use by another thread or by a callback",
        VGPU_FORKED => c"the handle was opened before fork: open one in this process",
        VGPU_BUFFER_TOO_SMALL => c"the buffer is too small",
        VGPU_POOL_FULL => c"the GPU pool is full",
        _ => c"unknown code",
    }
}

/// A code in words, for any code. Says less than vgpu_last_message().
///
/// The text is constant and never freed. Any thread may call this at any time.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_strerror(code: c_int) -> *const c_char {
    text(code).as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_text_of_its_own() {
        let mut texts: Vec<_> = (VGPU_POOL_FULL..=VGPU_STOPPED).map(text).collect();
        assert!(!texts.contains(&text(2)));
        let all = texts.len();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), all);
    }

    #[test]
    fn an_error_without_a_code_in_c_is_an_error_all_the_same() {
        assert_eq!(of(&Error::NothingToChange), VGPU_INVALID_PARAM);
        assert_eq!(of(&Error::Interrupted), VGPU_ERROR);
    }
}
