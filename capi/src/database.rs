//! Opens, closes, checks and watches the database.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr;
use std::sync::Once;

use vgpu_config::operations::{Caller, Guest};
use vgpu_config::paths::Root;
use vgpu_config::store::CheckItem;

use crate::boundary::{Failure, with_handle, without_handle};
use crate::code::{VGPU_DB_ERROR, VGPU_INVALID_PARAM, VGPU_OK, VGPU_STOPPED, vgpu_strerror};
use crate::handle::{self, Handle, vgpu_db};
use crate::input;
use crate::message;
use crate::output::put;

/// A flag of vgpu_db_init(): changes are refused, and the database is neither created nor migrated.
pub const VGPU_OPEN_READ_ONLY: u32 = 1;
/// A flag of vgpu_db_init(): XAPI is not asked. Reads give what this host's database has, which is what its VMs start with; changes
/// are written to the database alone, and to XAPI by the VM's next start or change, or by vgpu-admin sync.
pub const VGPU_OPEN_DATABASE_ONLY: u32 = 2;

/// Opens the database, and creates or migrates it if needed. The process must be root's, unless it may write the file.
///
/// A handle is used by one thread at a time; each thread should have its own. A call while another thread uses the handle returns
/// VGPU_IN_USE. A handle must not be used in a child process after fork(); the child can close it, and open one of its own. All
/// descriptors are closed on exec().
///
/// path: NULL for /etc/vgpu/vgpu_config.db. Another path that ends with etc/vgpu/vgpu_config.db stands for the host whose root
/// folder precedes that. Any other path needs VGPU_OPEN_DATABASE_ONLY.
/// flags: 0, or VGPU_OPEN_READ_ONLY and VGPU_OPEN_DATABASE_ONLY.
/// db: gets the handle, or NULL if the function fails. The caller closes it with vgpu_db_close().
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_SETTINGS_ERROR or VGPU_DB_ERROR; vgpu_last_message(NULL) says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_db_init(path: *const c_char, flags: u32, db: *mut *mut vgpu_db) -> c_int {
    without_handle(|| {
        // SAFETY: C's callers pass a place for a pointer or NULL.
        unsafe { put("db", db, ptr::null_mut()) }?;
        // SAFETY: C's callers pass a text or NULL.
        let path = unsafe { input::path(path) }?;
        if flags & !(VGPU_OPEN_READ_ONLY | VGPU_OPEN_DATABASE_ONLY) != 0 {
            return Err(input::unknown_flags(flags));
        }
        let root = path.map_or_else(|| Root::at("/"), |path| root_of(&path));
        let caller = if flags & VGPU_OPEN_DATABASE_ONLY == 0 { Caller::Root } else { Caller::RootWithoutXapi };
        if root.has_other_database() && matches!(caller, Caller::Root) {
            let message = format!(
                "path: '{}' is not the database of a host: expected a path that ends with etc/vgpu/vgpu_config.db, or \
                 VGPU_OPEN_DATABASE_ONLY",
                root.database().display()
            );
            return Err(Failure { code: VGPU_INVALID_PARAM, message });
        }
        keep_panics_quiet();
        let mut handle = Handle::new(root, caller, Guest { reads_only: flags & VGPU_OPEN_READ_ONLY != 0 });
        handle.resident.generation()?;
        // SAFETY: as above.
        unsafe { put("db", db, handle::add(handle)) }?;
        Ok(VGPU_OK)
    })
}

/// A link to a host's database is that database, with its locks.
fn root_of(path: &Path) -> Root {
    let root = Root::of_database(path);
    match fs::canonicalize(path) {
        Ok(real) if root.has_other_database() => Root::of_database(&real),
        _ => root,
    }
}

/// A panic is reported by its code: it must not print to the caller's standard error. The hook is this library's own, as its copy
/// of Rust's standard library is.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    if !cfg!(test) {
        ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    }
}

/// Closes a handle, with its descriptor and its last message.
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM (NULL), VGPU_INVALID_HANDLE (closed already) or VGPU_IN_USE (by another thread or a
/// callback: the handle stays open).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_db_close(db: *mut vgpu_db) -> c_int {
    without_handle(|| Ok(handle::close(db).err().unwrap_or(VGPU_OK)))
}

/// Called by vgpu_db_check() for each thing that was checked.
///
/// name, message: what was checked, and what was found; valid until the callback returns.
/// ok: 1 if it is right, otherwise 0: then the message says what to do.
/// context: as passed to vgpu_db_check().
///
/// Returns 0 to go on, anything else to stop. What is said of vgpu_vm_callback is true here too.
pub type vgpu_check_callback =
    Option<unsafe extern "C" fn(name: *const c_char, ok: c_int, message: *const c_char, context: *mut c_void) -> c_int>;

/// Checks the database: file, permissions, integrity, schema and rows. Changes nothing. Takes longer the larger it is.
///
/// callback: called for each thing that was checked; NULL if only the result is of interest.
/// context: passed to the callback.
///
/// Returns VGPU_OK, VGPU_STOPPED (by the callback), VGPU_DB_ERROR (something is wrong; vgpu_last_message() says what, and
/// what to do), or an error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_db_check(db: *mut vgpu_db, callback: vgpu_check_callback, context: *mut c_void) -> c_int {
    with_handle(db, |handle| {
        let items = handle.resident.host().check_database();
        if let Some(callback) = callback {
            for CheckItem { name, ok, message, .. } in &items {
                let (name, message) = (as_c(name), as_c(message));
                // SAFETY: it is a function of the caller's, which takes two texts that live until it returns.
                let stop = unsafe { callback(name.as_ptr(), c_int::from(*ok), message.as_ptr(), context) };
                if stop != 0 {
                    return Ok(VGPU_STOPPED);
                }
            }
        }
        match items.into_iter().find(|item| !item.ok) {
            None => Ok(VGPU_OK),
            Some(CheckItem { name, message, .. }) => {
                Err(Failure { code: VGPU_DB_ERROR, message: format!("{name}: {message}") })
            }
        }
    })
}

fn as_c(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// Tells whether the database has changed. Costs about as much as a lookup.
///
/// The number becomes larger when any program has committed a change since the last call with this handle: vgpu-admin, the
/// plugin, the hook, an sqlite3 shell, another handle, this handle; also if the file was replaced, for example by a backup. A
/// change may have left the settings as they were. Compare numbers of the same handle only. Get the number first and read
/// afterwards: what is changed in between makes the next number larger.
///
/// A setting changed on another host reaches this host's database when a VM starts, when it is read without
/// VGPU_OPEN_DATABASE_ONLY, or by vgpu-admin sync.
///
/// generation: gets the number, at least 1, if VGPU_OK is returned.
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_DB_ERROR, VGPU_FILE_ERROR, or an error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_db_generation(db: *mut vgpu_db, generation: *mut u64) -> c_int {
    with_handle(db, |handle| {
        if generation.is_null() {
            return Err(Failure::null("generation"));
        }
        let number = handle.resident.generation()?;
        // SAFETY: C's callers pass a place for a number.
        unsafe { put("generation", generation, number) }?;
        Ok(VGPU_OK)
    })
}

/// Gets a descriptor for poll(), select() or epoll: it becomes readable when the database may have changed.
///
/// Do not read from it and do not close it. Call vgpu_db_generation(): it tells whether there was a change, and makes the
/// descriptor unreadable again until the next. Get the descriptor first, then the number, then read the settings.
///
/// fd: gets the descriptor, the same at each call, if VGPU_OK is returned. It belongs to the handle.
///
/// Returns VGPU_OK, VGPU_INVALID_PARAM, VGPU_FILE_ERROR, or an error of the handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_db_descriptor(db: *mut vgpu_db, fd: *mut c_int) -> c_int {
    with_handle(db, |handle| {
        if fd.is_null() {
            return Err(Failure::null("fd"));
        }
        let number = handle.resident.descriptor()?.as_raw_fd();
        // SAFETY: C's callers pass a place for a number.
        unsafe { put("fd", fd, number) }?;
        Ok(VGPU_OK)
    })
}

/// The message of the last call with a handle, in one line: why it failed, with what to do, or what to know although it succeeded,
/// or an empty text. With NULL: of this thread's last vgpu_db_init() that failed.
///
/// Returns a text that ends with a zero byte, never NULL. It belongs to the library, is valid until the handle is closed, and
/// changes with the next call with the handle. For a handle that cannot be used: why not.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn vgpu_last_message(db: *const vgpu_db) -> *const c_char {
    if db.is_null() {
        return message::without_handle();
    }
    let found = handle::find(db).and_then(|shared| handle::lock(&shared).map(|handle| handle.message.as_ptr()));
    found.unwrap_or_else(|code| vgpu_strerror(code))
}

/// The library's version, such as "0.1.0". The text is constant and never freed. Any thread may call this at any time.
#[unsafe(no_mangle)]
pub extern "C" fn vgpu_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
