//! A damaged database, locked until a new one has replaced it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::file::{DATABASE_MODE, DIRECTORY_MODE};
use super::salvage::Salvage;
use super::{DATABASE_TIMEOUT, Rebuilt, StoreError, check, schema, whole_file};

/// Checks that may fail although the file is not damaged. The next command or the administrator corrects these.
const NO_DAMAGE: [&str; 3] = ["file", "schema version", "rows"];

/// A database to be replaced. No program can write to it meanwhile; one that has it open and writes afterwards gets an error
/// from SQLite, because the file was moved.
#[derive(Debug)]
pub struct Damaged {
    path: PathBuf,
    bytes: Vec<u8>,
    problems: Vec<String>,
    // Released in this order.
    _writers_wait: Option<Connection>,
    _folder: File,
}

impl Damaged {
    /// Locks a database and reads its file. Refuses a healthy one unless `though_healthy`.
    ///
    /// # Errors
    /// The database is healthy, of another schema, locked, or cannot be opened.
    pub fn hold(path: &Path, though_healthy: bool) -> Result<Self, StoreError> {
        let unopenable = |error: io::Error| StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() };
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(folder).map_err(unopenable)?;
        }
        let folder = schema::lock_folder(path)?;
        let held = |bytes, problems, writers_wait| Self {
            path: path.to_owned(),
            bytes,
            problems,
            _writers_wait: writers_wait,
            _folder: folder,
        };
        let length = match fs::metadata(path) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(held(Vec::new(), vec!["there is no file".to_owned()], None));
            }
            Err(error) => return Err(unopenable(error)),
        };
        if length == 0 {
            return Ok(held(Vec::new(), vec!["the file is empty".to_owned()], None));
        }
        match hold_writers(path) {
            Ok((connection, bytes)) => {
                let problems = problems(path, &connection, though_healthy)?;
                Ok(held(bytes, problems, Some(connection)))
            }
            // No program can write to a file that SQLite does not accept.
            Err(StoreError::Damaged(why)) => Ok(held(fs::read(path).map_err(unopenable)?, vec![why], None)),
            Err(error) => Err(error),
        }
    }

    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether the file exists and is not empty.
    #[must_use]
    pub fn holds_anything(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Makes a new database in memory from what can be read.
    ///
    /// # Errors
    /// SQLite cannot be used at all.
    pub fn rebuild(&self, history: u32) -> Result<Rebuilt, StoreError> {
        Rebuilt::of(Salvage::of(&self.bytes)?, history)
    }

    /// Replaces this database by a single rename, and returns the name under which it is kept.
    ///
    /// # Errors
    /// The new one cannot be written; this one is unchanged.
    pub fn replace(self, rebuilt: &Rebuilt) -> Result<Option<PathBuf>, StoreError> {
        let part = whole_file::write_beside(rebuilt.store().read().connection(), &self.path)?;
        let replaced = self.keep_aside(rebuilt).and_then(|kept| {
            fs::rename(&part, &self.path)?;
            whole_file::sync_folder(&self.path)?;
            Ok(kept)
        });
        replaced.map_err(|error| {
            let _ = fs::remove_file(&part);
            whole_file::not_written(&self.path, &error)
        })
    }

    /// Gives the file a second name, so that there is a database at every moment, and renames its journal, which SQLite would
    /// otherwise apply to the new one.
    fn keep_aside(&self, rebuilt: &Rebuilt) -> io::Result<Option<PathBuf>> {
        if !self.holds_anything() {
            return Ok(None);
        }
        let beside = |suffix: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let mut kept = format!(".damaged-{}", rebuilt.now().map_err(io::Error::other)?);
        while beside(&kept).exists() {
            kept.push_str("-again");
        }
        fs::hard_link(&self.path, beside(&kept))?;
        fs::set_permissions(beside(&kept), fs::Permissions::from_mode(DATABASE_MODE))?;
        for suffix in ["-journal", "-wal", "-shm"] {
            match fs::rename(beside(suffix), beside(&format!("{kept}{suffix}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(Some(beside(&kept)))
    }
}

/// Locks out other writers, and reads the file as SQLite sees it, after any rollback.
fn hold_writers(path: &Path) -> Result<(Connection, Vec<u8>), StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|error| StoreError::Unopenable { path: path.to_owned(), reason: error.to_string() })?;
    connection.busy_timeout(DATABASE_TIMEOUT)?;
    // Nothing is written; this makes SQLite tolerate a damaged schema.
    connection.pragma_update(None, "writable_schema", true)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let bytes = connection.serialize("main")?.to_vec();
    Ok((connection, bytes))
}

/// The problems of the database, or an error if it has none.
fn problems(path: &Path, connection: &Connection, though_healthy: bool) -> Result<Vec<String>, StoreError> {
    let found = schema::stated(connection)?;
    if found > schema::LATEST_SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: schema::LATEST_SCHEMA });
    }
    let items = check::check(path);
    let is_damage = |item: &&check::CheckItem| !item.ok && !NO_DAMAGE.contains(&item.name.as_str());
    let problems: Vec<_> = items.iter().filter(is_damage).map(|item| item.message.clone()).collect();
    if !problems.is_empty() || though_healthy {
        return Ok(problems);
    }
    match schema::version(connection, path)? {
        found if found < schema::LATEST_SCHEMA => {
            Err(StoreError::Older { path: path.to_owned(), found, known: schema::LATEST_SCHEMA })
        }
        _ => Err(StoreError::Healthy(path.to_owned())),
    }
}
