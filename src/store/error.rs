//! Why the database cannot be used.

use std::path::PathBuf;

use rusqlite::{ErrorCode, ffi};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("there is no database at {}: any vgpu-admin command creates it", .0.display())]
    Missing(PathBuf),
    #[error(
        "{} has schema {found}, but this program only knows {known}: nothing was changed, install the newer vgpu-config again",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// The program that opened it does not migrate.
    #[error("{} has schema {found} instead of {known}: run 'vgpu-admin status' once to migrate it", path.display())]
    Older {
        path: PathBuf,
        /// 0 for an empty file.
        found: i64,
        known: i64,
    },
    #[error("{} cannot be opened: {reason}; run vgpu-admin as root", path.display())]
    Unopenable { path: PathBuf, reason: String },
    #[error(
        "{} has no schema number, and its tables ({tables}) are not a complete database of vgpu-config: nothing was changed. \
         'vgpu-admin recover' makes a new one from its content",
        path.display()
    )]
    NotOurs {
        path: PathBuf,
        /// The first few.
        tables: String,
    },
    #[error("the database is locked by another program, perhaps an open sqlite3 shell: close it and try again")]
    Locked,
    #[error(
        "the database is damaged or not a database ({0}): 'vgpu-admin recover' saves what can be read, and gets the rest from XAPI"
    )]
    Damaged(String),
    #[error("{} is healthy: there is nothing to recover (--force makes a new database from it anyway)", .0.display())]
    Healthy(PathBuf),
    #[error(
        "nothing can be read from {}, and XAPI cannot be asked ({reason}): nothing was changed. Try again when XAPI answers; \
         --force makes an empty database",
        path.display()
    )]
    NothingLeft { path: PathBuf, reason: String },
    /// The file was renamed over while it was open.
    #[error("another program has replaced the database in the meantime: nothing was changed, try again")]
    Replaced,
    #[error("the database cannot be written: its file or disk is read-only")]
    ReadOnly,
    /// There is a journal, which cannot be rolled back.
    #[error(
        "the database has a change that was interrupted by a power failure, and its file or disk is read-only: make it \
         writable, and the next program that opens the database rolls the change back"
    )]
    CutOff,
    #[error("the database cannot be written: {0}")]
    NotWritable(String),
    #[error("the database cannot be written: the disk is full")]
    DiskFull,
    /// Neither a program nor a constraint would have let this in.
    #[error("the row of {row} has {column} '{value}', expected {expected}: correct or delete it with sqlite3")]
    BadRow { row: String, column: &'static str, value: String, expected: &'static str },
    #[error("the database cannot be used: {}", in_short(.0))]
    Sqlite(rusqlite::Error),
    #[error("the database could not be migrated to the newest schema: {0}; it was not changed")]
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

/// SQLite's message without the statement, which may be a whole migration.
pub(super) fn in_short(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        error => error.to_string(),
    }
}
