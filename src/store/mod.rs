//! The database: the only place with SQL.
//!
//! One file with a rollback journal, so that `cp` backs it up whole and a read-only disk can still serve it. No transaction is
//! open while somebody waits for XAPI. The schema is `migrations/`.

mod check;
mod completing;
mod damaged;
mod entries;
mod hand_edits;
mod history;
mod rebuilt;
mod records;
mod rows;
mod salvage;
mod schema;
mod whole_file;
mod writing;

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, ffi};

pub use check::{CheckItem, check};
pub use damaged::Damaged;
pub use history::{Change, HeldSettings, Through};
pub use rebuilt::{Rebuilt, Saved};
pub use records::{Counts, Filter, LastStart, Registration, StoredVm};
pub use rows::Reading;
pub use schema::LATEST_SCHEMA;
pub use writing::Writing;

/// The folder's permissions: everybody may look.
const DIRECTORY_MODE: u32 = 0o755;
/// The database's permissions: root alone.
const DATABASE_MODE: u32 = 0o600;
/// How long the CLI and the plugin wait for another program's transaction. Ours take milliseconds; an administrator's, in an
/// sqlite3 shell, may take longer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none, and whoever asked does not create one.
    #[error("there is no database at {}: any vgpu-admin command creates it", .0.display())]
    Missing(PathBuf),
    /// The file's schema is from a newer program.
    #[error(
        "{} has schema {found}, this program knows {known}: nothing was touched, install the newer vgpu-config again",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// The file's schema is older, and whoever asked does not migrate.
    #[error("{} has schema {found} instead of {known}: run 'vgpu-admin status' once to bring it up to date", path.display())]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema; 0 is an empty file.
        found: i64,
        /// The schema that this program needs.
        known: i64,
    },
    /// The folder or the file cannot be made or opened.
    #[error("{} cannot be opened: {reason}; vgpu-admin is run as root", path.display())]
    Unopenable {
        /// The database or its folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// It states no schema, and what is in it is none of ours, or only a part.
    #[error(
        "{} states no schema, and its tables ({tables}) are not a whole database of vgpu-config: nothing was touched. \
         'vgpu-admin recover' makes a new one of what it holds",
        path.display()
    )]
    NotOurs {
        /// The database.
        path: PathBuf,
        /// The first of its tables.
        tables: String,
    },
    /// Another program holds it.
    #[error("the database is locked by another program, an open sqlite3 shell perhaps: end it and try again")]
    Locked,
    /// The file is damaged, or no database.
    #[error(
        "the database is damaged or no database ({0}): 'vgpu-admin recover' saves what is left, and fills in the rest from XAPI"
    )]
    Damaged(String),
    /// There is nothing to recover.
    #[error("{} is healthy: there is nothing to recover (--force makes a new database of it all the same)", .0.display())]
    Healthy(PathBuf),
    /// Nothing can be recovered.
    #[error(
        "nothing can be read of {}, and what XAPI has cannot be asked ({reason}): nothing was changed. Try again when XAPI \
         answers; --force makes an empty database",
        path.display()
    )]
    NothingLeft {
        /// The database.
        path: PathBuf,
        /// Why XAPI cannot be asked.
        reason: String,
    },
    /// Another file has taken its place while it was open.
    #[error("the database was replaced by another program meanwhile: nothing was changed, do it again")]
    Replaced,
    /// The file or its disk cannot be written.
    #[error("the database cannot be written: its file or disk is read-only")]
    ReadOnly,
    /// A program was cut off in the middle of a change, and its journal cannot be rolled back.
    #[error(
        "the database has a change that was cut off by a power loss, and its file or disk is read-only: make it writable, the \
         next program that opens the database takes the change back"
    )]
    CutOff,
    /// It could not be opened for writing, for the reason given.
    #[error("the database cannot be written: {0}")]
    NotWritable(String),
    /// The disk is full.
    #[error("the database cannot be written: the disk is full")]
    DiskFull,
    /// A row holds something that no program of ours and no constraint would have let in.
    #[error("the row of VM '{vm_uuid}' has {column} '{value}', expected {expected}: correct or delete it with sqlite3")]
    BadRow {
        /// The row's `vm_uuid`, as it is.
        vm_uuid: String,
        /// The column.
        column: &'static str,
        /// What it holds.
        value: String,
        /// What it could hold.
        expected: &'static str,
    },
    /// SQLite said something else.
    #[error("the database cannot be used: {}", in_short(.0))]
    Sqlite(rusqlite::Error),
    /// A migration could not be carried out.
    #[error("the database could not be brought to the newest schema: {0}; it is as it was")]
    Migration(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_DBMOVED) {
            return Self::Replaced;
        }
        if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_ROLLBACK) {
            return Self::CutOff;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Sqlite(error),
        }
    }
}

/// What SQLite says, without the statement that it says it of, which may be a whole migration.
fn in_short(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}

/// Who writes, and how much of the history is kept.
#[derive(Debug, Clone, Copy)]
struct HistoryKeeping {
    through: Through,
    keep: u32,
}

/// How many entries of the history are kept unless the settings say otherwise.
pub const DEFAULT_HISTORY: u32 = 10_000;

/// One state of the database, for several reads ([`Store::snapshot`]).
#[derive(Debug)]
pub struct Snapshot<'c>(#[expect(dead_code, reason = "held until it is dropped")] Transaction<'c>);

/// An open database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    history: HistoryKeeping,
}

impl Store {
    /// Opens the database for the CLI and the plugin: makes the folder and the file where they are missing, brings the
    /// schema up to date (with a copy of the file before it), and fills in what a row inserted by hand leaves out.
    ///
    /// On a read-only disk it opens what is there for reading.
    ///
    /// # Errors
    /// The file cannot be opened, is damaged, locked for longer than [`PATIENCE`], or newer than this program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_for(path, Through::default(), DEFAULT_HISTORY)
    }

    /// The same for a program that signs what it changes in the history, of which it keeps so many entries.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for(path: &Path, through: Through, keep: u32) -> Result<Self, StoreError> {
        let made = make_file(path).inspect(|()| close_to_others(path));
        if let Err(error) = made {
            return match error.kind() {
                io::ErrorKind::ReadOnlyFilesystem if path.exists() => {
                    Ok(Self::open_existing(path, PATIENCE)?.with_history(through, keep))
                }
                _ => Err(StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() }),
            };
        }
        let mut connection = connect(path, PATIENCE)?;
        schema::bring_up_to_date(&mut connection, path)?;
        let store = Self::new(connection).with_history(through, keep);
        match store.complete_rows() {
            // Whoever only reads is served all the same; whoever writes is told so then.
            Ok(()) | Err(StoreError::ReadOnly | StoreError::Locked) => Ok(store),
            Err(error) => Err(error),
        }
    }

    /// Opens a database that is there and up to date, as the hook does: creates and migrates nothing.
    ///
    /// # Errors
    /// There is none, it is older or newer than this program, damaged, or locked for longer than `patience`.
    pub fn open_existing(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        if !path.exists() {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let connection = connect(path, patience)?;
        let found = schema::version(&connection, path)?;
        let known = schema::LATEST_SCHEMA;
        match found.cmp(&known) {
            std::cmp::Ordering::Less => Err(StoreError::Older { path: path.to_owned(), found, known }),
            std::cmp::Ordering::Equal => Ok(Self::new(connection)),
            std::cmp::Ordering::Greater => Err(StoreError::Newer { path: path.to_owned(), found, known }),
        }
    }

    fn new(connection: Connection) -> Self {
        Self { connection, history: HistoryKeeping { through: Through::default(), keep: DEFAULT_HISTORY } }
    }

    /// The same database with a history that names the program, and keeps so many entries.
    #[must_use]
    pub fn with_history(self, through: Through, keep: u32) -> Self {
        Self { history: HistoryKeeping { through, keep }, ..self }
    }

    /// What the database says.
    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        Reading::new(&self.connection)
    }

    /// Says how long to wait for another program's transaction from now on.
    ///
    /// # Errors
    /// SQLite refuses.
    pub fn set_patience(&self, patience: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(patience)?)
    }

    /// A copy of the database in memory: what is tried out there changes nothing, and keeps nobody waiting.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn copy_in_memory(&self) -> Result<Self, StoreError> {
        let mut copy = Connection::open_in_memory()?;
        copy.pragma_update(None, "foreign_keys", true)?;
        rusqlite::backup::Backup::new(&self.connection, &mut copy)?.step(-1)?;
        Ok(Self { connection: copy, history: self.history })
    }

    /// Holds the database as it is: until the answer is dropped, all reads see one state. Other programs may write, but their
    /// commits wait, so it is to be dropped soon.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Ok(Snapshot(Transaction::new_unchecked(&self.connection, TransactionBehavior::Deferred)?))
    }

    /// Begins a change. It is done when it is committed; dropped, nothing has happened.
    ///
    /// # Errors
    /// Another program writes for longer than this one is willing to wait, or the database cannot be written.
    pub fn write(&self) -> Result<Writing<'_>, StoreError> {
        Writing::new(Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?, self.history)
    }
}

/// Opens the file for writing; SQLite itself falls back to reading where that cannot be.
fn connect(path: &Path, patience: Duration) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|error| StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() })?;
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // In KiB, and only as much as is used: a list looks into the tables in no order.
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    // A change that outgrows the cache would lock readers out from then on, not only while it is committed.
    connection.pragma_update(None, "cache_spill", false)?;
    Ok(connection)
}

/// Makes the folder and an empty file with the right permissions, whatever the umask says; leaves what is there alone.
fn make_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(DIRECTORY_MODE))?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(DATABASE_MODE).open(path) {
        Ok(file) => file.set_permissions(fs::Permissions::from_mode(DATABASE_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// A file that was made by hand may be open to others. Where that cannot be mended, `check` says so.
fn close_to_others(path: &Path) {
    let Ok(file) = fs::metadata(path) else { return };
    let mode = file.permissions().mode() & 0o7777;
    if mode | DATABASE_MODE == DATABASE_MODE {
        return;
    }
    let closed = fs::set_permissions(path, fs::Permissions::from_mode(DATABASE_MODE));
    let outcome = closed.map_or_else(|error| error.to_string(), |()| format!("it has {DATABASE_MODE:04o} now"));
    log::warn!("{} had mode {mode:04o}, and is for root alone: {outcome}", path.display());
}
