//! Handles. What C holds is a number in the shape of a pointer, which is looked up and never followed: a handle that is closed,
//! or was never one, is an error and no crash.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use vgpu_config::operations::{Caller, Guest, Resident, ThisHost};
use vgpu_config::paths::Root;

use crate::code::{VGPU_FORKED, VGPU_IN_USE, VGPU_INVALID_HANDLE, VGPU_INVALID_PARAM};
use crate::message::Message;

/// An open database. Its content is the library's.
#[derive(Debug)]
pub struct vgpu_db(());

/// What a handle stands for.
#[derive(Debug)]
pub struct Handle {
    root: Root,
    caller: Caller,
    guest: Guest,
    /// The program's name, for the history.
    program: Option<String>,
    /// For everything that only reads.
    pub resident: Resident,
    pub message: Message,
}

impl Handle {
    pub fn new(root: Root, caller: Caller, guest: Guest) -> Self {
        let program = std::env::current_exe().ok();
        let program = program.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        let resident = Resident::new(ThisHost::new(root.clone(), caller.clone()).inside(guest));
        Self { root, caller, guest, program, resident, message: Message::EMPTY }
    }

    /// This host for one change: as in the plugin and `vgpu-admin`, settings and database are opened for it.
    pub fn for_change(&self) -> ThisHost {
        let host = ThisHost::new(self.root.clone(), self.caller.clone()).inside(self.guest);
        match &self.program {
            Some(program) => host.on_behalf_of(program.clone()),
            None => host,
        }
    }

    /// Forgets what is open, in case that an error has left it half-way.
    pub fn start_again(&mut self) {
        self.resident.close();
    }

    pub fn reads_only(&self) -> bool {
        self.guest.reads_only
    }
}

/// An open handle, as several threads may know it.
#[derive(Debug)]
pub struct Shared {
    /// The process that opened it.
    process: u32,
    handle: Mutex<Handle>,
}

static OPEN: Mutex<BTreeMap<usize, Arc<Shared>>> = Mutex::new(BTreeMap::new());
/// No number is used twice.
static NEXT: AtomicUsize = AtomicUsize::new(1);

fn open() -> MutexGuard<'static, BTreeMap<usize, Arc<Shared>>> {
    // Nothing that runs while it is locked can panic half-way.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn add(handle: Handle) -> *mut vgpu_db {
    // In steps of 16, so that it looks like an aligned pointer to whoever checks.
    let number = NEXT.fetch_add(1, Ordering::Relaxed) << 4;
    open().insert(number, Arc::new(Shared { process: process::id(), handle: Mutex::new(handle) }));
    ptr::without_provenance_mut(number)
}

/// # Errors
/// The code, if there is no such handle.
pub fn find(db: *const vgpu_db) -> Result<Arc<Shared>, c_int> {
    if db.is_null() {
        return Err(VGPU_INVALID_PARAM);
    }
    open().get(&db.addr()).cloned().ok_or(VGPU_INVALID_HANDLE)
}

/// # Errors
/// The code, if the handle is in use, or of another process.
pub fn lock(shared: &Shared) -> Result<MutexGuard<'_, Handle>, c_int> {
    if shared.process != process::id() {
        return Err(VGPU_FORKED);
    }
    match shared.handle.try_lock() {
        Ok(handle) => Ok(handle),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(VGPU_IN_USE),
    }
}

/// # Errors
/// The code, if there is no such handle, or it is in use.
pub fn close(db: *mut vgpu_db) -> Result<(), c_int> {
    let shared = find(db)?;
    match lock(&shared).map(drop) {
        Ok(()) => {}
        // To close an SQLite connection of the parent process would take the parent's journal away.
        Err(VGPU_FORKED) => std::mem::forget(Arc::clone(&shared)),
        Err(code) => return Err(code),
    }
    // What it stands for is dropped after the list is free again.
    let mut all = open();
    all.remove(&db.addr());
    if all.is_empty() {
        // Gives its last memory back.
        *all = BTreeMap::new();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle() -> *mut vgpu_db {
        let root = Root::at("/nonexistent");
        add(Handle::new(root, Caller::RootWithoutXapi, Guest { reads_only: true }))
    }

    #[test]
    fn a_closed_handle_and_one_that_never_was_are_found_out() {
        let db = handle();
        assert!(find(db).is_ok());
        assert_eq!(close(db), Ok(()));
        assert_eq!(find(db).err(), Some(VGPU_INVALID_HANDLE));
        assert_eq!(close(db), Err(VGPU_INVALID_HANDLE));
        assert_ne!(handle(), db, "no number is used twice");
        assert_eq!(find(ptr::without_provenance(7)).err(), Some(VGPU_INVALID_HANDLE));
        assert_eq!(find(ptr::null()).err(), Some(VGPU_INVALID_PARAM));
    }

    #[test]
    fn a_handle_is_used_by_one_at_a_time() {
        let db = handle();
        let shared = find(db).unwrap();
        let used = lock(&shared).unwrap();
        assert_eq!(lock(&shared).err(), Some(VGPU_IN_USE));
        assert_eq!(close(db), Err(VGPU_IN_USE));
        drop(used);
        assert_eq!(close(db), Ok(()));
    }

    #[test]
    fn a_handle_of_another_process_is_only_forgotten() {
        let parents = Handle::new(Root::at("/nonexistent"), Caller::RootWithoutXapi, Guest { reads_only: true });
        let shared = Arc::new(Shared { process: process::id() + 1, handle: Mutex::new(parents) });
        let db: *mut vgpu_db = ptr::without_provenance_mut(1);
        open().insert(1, Arc::clone(&shared));
        assert_eq!(lock(&shared).err(), Some(VGPU_FORKED));
        assert_eq!(close(db), Ok(()));
        assert_eq!(find(db).err(), Some(VGPU_INVALID_HANDLE));
        assert_eq!(Arc::strong_count(&shared), 2, "what it stands for is not dropped");
    }
}
