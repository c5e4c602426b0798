//! Locks that keep two programs of this host (hook, plugin, `vgpu-admin`) from changing the same VM, or the GPU pools, at the same
//! time.
//!
//! A lock is a one-byte range of a file, held by the open file (`F_OFD_SETLK` in fcntl(2)). A program can hold many of them, and
//! they are released when it ends, even if it is killed. Changes of the database alone, which take milliseconds, need none.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use crate::deadline::Deadline;
use crate::model::VmUuid;
use crate::run_file;

/// How long `vgpu-admin` and the plugin wait for another program that changes the same VM. Longer than that program waits for an
/// answer from XAPI ([`crate::xenapi::XAPI_TIMEOUT`]).
pub const VM_LOCK_TIMEOUT: Duration = Duration::from_secs(15);

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// The locks of this host's VMs.
#[derive(Debug)]
pub struct VmLocks(File);

/// What is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lockable {
    Vm(VmUuid),
    /// The GPU pools and all GPUs: they change rarely.
    GpuPools,
}

impl fmt::Display for Lockable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm(uuid) => write!(formatter, "VM {uuid} is"),
            Self::GpuPools => formatter.write_str("the GPU pools are"),
        }
    }
}

/// Locked VMs and GPU pools; unlocked when this is dropped.
#[derive(Debug)]
pub struct LockedVms<'a> {
    locks: &'a VmLocks,
    locked: Vec<Lockable>,
}

impl VmLocks {
    /// # Errors
    /// The file cannot be created or opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        run_file::open(path).map(Self)
    }

    /// Locks several: all of them, or none. [`LockError::Busy`] names one that another program held until the deadline.
    ///
    /// # Errors
    /// Another program holds one of them, or the system refuses.
    pub fn lock(
        &self,
        wanted: impl IntoIterator<Item = Lockable>,
        deadline: Deadline,
    ) -> Result<LockedVms<'_>, LockError> {
        // In a fixed order, so that two programs never wait for each other.
        let mut wanted: Vec<_> = wanted.into_iter().collect();
        wanted.sort_unstable();
        let mut locked = self.none();
        for one in wanted {
            while !locked.try_also(&one)? {
                if deadline.remaining().is_none() {
                    return Err(LockError::Busy(one));
                }
                thread::sleep(PAUSE);
            }
        }
        Ok(locked)
    }

    /// Nothing yet; [`LockedVms::try_also`] adds those that are free.
    #[must_use]
    pub fn none(&self) -> LockedVms<'_> {
        LockedVms { locks: self, locked: Vec::new() }
    }

    fn set(&self, what: &Lockable, kind: libc::c_int) -> Result<(), Errno> {
        let range = libc::flock {
            l_type: libc::c_short::try_from(kind).map_err(|_| Errno::EINVAL)?,
            l_whence: libc::c_short::try_from(libc::SEEK_SET).map_err(|_| Errno::EINVAL)?,
            l_start: place_of(what),
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&range)).map(drop)
    }
}

/// Why something is not locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("{0} being changed by another program: try again")]
    Busy(Lockable),
    /// The system refuses.
    #[error("the VM or the GPU pools cannot be locked: {0}")]
    System(Errno),
}

impl LockedVms<'_> {
    /// Locks another one too, unless another program holds it. Returns whether it is locked.
    ///
    /// # Errors
    /// The system refuses.
    pub fn try_also(&mut self, wanted: &Lockable) -> Result<bool, LockError> {
        match self.locks.set(wanted, libc::F_WRLCK) {
            Ok(()) => {
                self.locked.push(*wanted);
                Ok(true)
            }
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(LockError::System(error)),
        }
    }
}

impl Drop for LockedVms<'_> {
    fn drop(&mut self) {
        for locked in &self.locked {
            if let Err(error) = self.locks.set(locked, libc::F_UNLCK) {
                log::warn!("{locked} locked until this program ends: {error}");
            }
        }
    }
}

/// The offset of a byte in the file. Two VMs with the same byte only wait for each other; the GPU pools' byte is no VM's.
fn place_of(what: &Lockable) -> i64 {
    match what {
        Lockable::Vm(uuid) => {
            let (high, low) = uuid.as_u64_pair();
            i64::try_from((high ^ low) >> 2).unwrap_or_default()
        }
        Lockable::GpuPools => 1 << 62,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vm(number: u32) -> Lockable {
        Lockable::Vm(format!("{number:08}-0000-4000-8000-000000000000").parse().unwrap())
    }

    #[test]
    fn a_vm_is_locked_by_one_at_a_time_and_the_others_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/locks");
        let (one, other) = (VmLocks::open(&path).unwrap(), VmLocks::open(&path).unwrap());
        let now = || Deadline::after(Duration::ZERO);
        let held = one.lock([vm(1), vm(2)], now()).unwrap();
        assert!(matches!(other.lock([vm(3), vm(2)], now()), Err(LockError::Busy(busy)) if busy == vm(2)));
        drop(one.lock([vm(3), Lockable::GpuPools], now()).unwrap());
        assert!(!other.none().try_also(&vm(1)).unwrap());
        drop(held);
        let held = other.lock([Lockable::GpuPools, vm(1), vm(2), vm(3)], now()).unwrap();
        assert!(matches!(one.lock([Lockable::GpuPools], now()), Err(LockError::Busy(Lockable::GpuPools))));
        drop(held);
    }

    #[test]
    fn whoever_waits_gets_the_lock_as_soon_as_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks");
        let (one, other) = (VmLocks::open(&path).unwrap(), VmLocks::open(&path).unwrap());
        let held = one.lock([vm(1)], Deadline::after(Duration::ZERO)).unwrap();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| other.lock([vm(1)], Deadline::after(Duration::from_mins(1))).map(drop));
            thread::sleep(Duration::from_millis(50));
            assert!(!waiting.is_finished());
            drop(held);
            assert!(waiting.join().unwrap().is_ok());
        });
    }
}
