//! The database: the only place with SQL.
//!
//! It is one file with a rollback journal, so that `cp` backs it up completely and it can be read on a read-only disk. No
//! transaction is open while a program waits for XAPI. The schema is in `migrations/`.

mod check;
mod completing;
mod damaged;
mod entries;
mod error;
mod events;
mod file;
mod gpu_pools;
mod hand_edits;
mod history;
mod listing;
mod rebuilt;
mod records;
mod rows;
mod salvage;
mod schema;
mod whole_file;
mod writing;

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use file::connect;

pub use check::{CheckItem, Verdict, check};
pub use damaged::Damaged;
pub use error::StoreError;
pub use events::Events;
pub use gpu_pools::{GpuChange, HeldGpuSettings, StoredGpu};
pub use history::{Change, HeldSettings, Through};
pub use rebuilt::{Rebuilt, Saved};
pub use records::{Counts, Filter, LastStart, Registration, StoredVm};
pub use rows::{Reading, Snapshot};
pub use schema::LATEST_SCHEMA;
pub use writing::Writing;

/// How long the CLI and the plugin wait for another program's transaction. Those of vgpu-config take milliseconds; one in an
/// administrator's sqlite3 shell may take longer.
pub const DATABASE_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy)]
struct HistoryKeeping {
    through: Through,
    keep: u32,
}

pub const DEFAULT_HISTORY: u32 = 10_000;

#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// None for a copy in memory.
    file: Option<file::Opened>,
    history: HistoryKeeping,
}

impl Store {
    /// Opens the database for the CLI and the plugin: creates the directory and the file if they are missing, migrates the
    /// schema (after a copy of the file), and completes rows that were inserted by hand.
    ///
    /// On a read-only disk it opens an existing file for reading.
    ///
    /// # Errors
    /// The file cannot be opened, is damaged, locked for longer than [`DATABASE_TIMEOUT`], or newer than this program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_for(path, Through::default(), DEFAULT_HISTORY)
    }

    /// The same for a program that is named in the history, of which it keeps so many entries.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for(path: &Path, through: Through, keep: u32) -> Result<Self, StoreError> {
        let created = file::create(path).inspect(|()| file::close_to_others(path));
        if let Err(error) = created {
            return match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem if path.exists() => {
                    Ok(Self::open_existing(path, DATABASE_TIMEOUT)?.with_history(through, keep))
                }
                _ => Err(StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() }),
            };
        }
        let file = file::Opened::before(path);
        let mut connection = connect(path, DATABASE_TIMEOUT)?;
        schema::bring_up_to_date(&mut connection, path)?;
        let store = Self::new(connection, Some(file)).with_history(through, keep);
        match store.complete_rows() {
            // Reading still works, and a write reports the problem.
            Ok(()) | Err(StoreError::ReadOnly | StoreError::Locked) => Ok(store),
            Err(error) => Err(error),
        }
    }

    /// Opens a database that exists and is up to date, as the hook does: creates and migrates nothing.
    ///
    /// # Errors
    /// There is none, it is older or newer than this program, damaged, or locked for longer than `timeout`.
    pub fn open_existing(path: &Path, timeout: Duration) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let file = file::Opened::before(path);
        let connection = connect(path, timeout)?;
        let found = schema::version(&connection, path)?;
        let known = schema::LATEST_SCHEMA;
        match found.cmp(&known) {
            std::cmp::Ordering::Less => Err(StoreError::Older { path: path.to_owned(), found, known }),
            std::cmp::Ordering::Equal => Ok(Self::new(connection, Some(file))),
            std::cmp::Ordering::Greater => Err(StoreError::Newer { path: path.to_owned(), found, known }),
        }
    }

    /// Opens a database that exists and is up to date, and refuses every change of it.
    ///
    /// # Errors
    /// As [`Self::open_existing`].
    pub fn open_to_read(path: &Path, timeout: Duration) -> Result<Self, StoreError> {
        let store = Self::open_existing(path, timeout)?;
        // Not opened for reading alone: SQLite could then not roll back a change that a power failure has interrupted.
        store.connection.pragma_update(None, "query_only", true)?;
        Ok(store)
    }

    fn new(connection: Connection, file: Option<file::Opened>) -> Self {
        Self { connection, file, history: HistoryKeeping { through: Through::default(), keep: DEFAULT_HISTORY } }
    }

    /// Names the program in the history, and keeps so many entries.
    #[must_use]
    pub fn with_history(self, through: Through, keep: u32) -> Self {
        Self { history: HistoryKeeping { through, keep }, ..self }
    }

    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        Reading::new(&self.connection)
    }

    /// Sets how long to wait for another program's transaction.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(timeout)?)
    }

    /// A copy in memory, to try changes without changing or locking the database.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn copy_in_memory(&self) -> Result<Self, StoreError> {
        let mut copy = Connection::open_in_memory()?;
        copy.pragma_update(None, "foreign_keys", true)?;
        rusqlite::backup::Backup::new(&self.connection, &mut copy)?.step(-1)?;
        Ok(Self { connection: copy, file: None, history: self.history })
    }

    /// Whether the database's path names another file by now, or none: what is open is then no longer the database.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.file.as_ref().is_some_and(file::Opened::is_replaced)
    }

    /// Changes with every change that is committed through another connection, by whatever program.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// Until the snapshot is dropped, all reads see the same state. Other programs' commits wait for that, so drop it soon.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        self.read().snapshot()
    }

    /// Begins a change. Unless it is committed, it has no effect.
    ///
    /// # Errors
    /// Another program writes for longer than the timeout, or the database cannot be written.
    pub fn write(&self) -> Result<Writing<'_>, StoreError> {
        Writing::new(Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?, self.history)
    }
}
