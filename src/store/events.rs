//! Wakes up a program that waits for changes of the database.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// A descriptor that becomes readable when the database's file is changed or replaced. It may also become readable without a
/// commit: [`super::Store::data_version`] tells.
///
/// Nothing is reported while a program only prepares a change: whoever reads at that moment would lock it out, and an sqlite3 shell
/// does not wait. The file itself is changed while its writer keeps everybody out, and a journal is deleted at the end.
#[derive(Debug)]
pub struct Events {
    inotify: Inotify,
    database: PathBuf,
    folder: PathBuf,
}

impl Events {
    /// # Errors
    /// There is no such folder, or the system has no more watches or descriptors.
    pub fn of(database: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let folder = database.parent().unwrap_or(database).to_owned();
        let events = Self { inotify, database: database.to_owned(), folder };
        events.watch()?;
        Ok(events)
    }

    /// Again, in case that the file or the folder has been replaced. It has no effect on one that is watched.
    fn watch(&self) -> io::Result<()> {
        let of_folder = AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        self.inotify.add_watch(&self.folder, of_folder)?;
        match self.inotify.add_watch(&self.database, AddWatchFlags::IN_MODIFY) {
            // Whoever makes it moves it there, or deletes its journal.
            Ok(_) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what has come, so that the descriptor becomes readable only with the next change. To be called before the database
    /// is read.
    ///
    /// # Errors
    /// The folder is gone.
    pub fn take(&self) -> io::Result<()> {
        loop {
            match self.inotify.read_events() {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.watch()
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
