//! The databases in `tests/databases/`, and what is seen of one from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use vgpu_config::store::LATEST_SCHEMA;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, programs};

/// A database in `tests/databases/`.
#[derive(Debug, Clone)]
pub struct Written {
    /// The file's name without its ending.
    pub name: String,
    /// The schema that it states.
    pub schema: i64,
}

impl Written {
    /// Every database there is.
    pub fn all() -> Vec<Self> {
        let released = (1..=LATEST_SCHEMA).map(Self::released);
        let others = [("made_by_hand", 0), ("init_db", 5)];
        let others = others.map(|(name, schema)| Self { name: name.to_owned(), schema });
        released.chain(others).collect()
    }

    /// The one that was written when a schema was the newest.
    pub fn released(schema: i64) -> Self {
        Self { name: format!("schema-{schema}"), schema }
    }

    /// Whether no program has ever seen its rows: they lack their numbers.
    pub fn is_by_hand(&self) -> bool {
        self.schema < 2 || self.name == "init_db"
    }

    pub fn file(&self) -> PathBuf {
        let file = programs::workspace().join("tests/databases").join(format!("{}.db", self.name));
        // SQLite would make an empty one.
        assert!(file.is_file(), "{} is missing: tests/databases/README.md says how it is made", file.display());
        file
    }

    /// Makes it a root's database.
    pub fn install(&self, root: &ScratchRoot) {
        root.write("etc/vgpu/vgpu_config.db", fs::read(self.file()).unwrap());
        root.chmod("etc/vgpu/vgpu_config.db", 0o600);
    }

    /// The name of the copy that is made of it before a migration; none where there is nothing to migrate.
    pub fn copy(&self) -> Option<String> {
        (self.schema < LATEST_SCHEMA).then(|| format!("vgpu_config.db.schema-{}.bak", self.schema))
    }
}

/// A root with the database that was written when a schema was the newest.
pub fn written_by(schema: i64) -> ScratchRoot {
    let root = ScratchRoot::new();
    Written::released(schema).install(&root);
    root
}

/// Does to a database what ".dump | sqlite3 new.db" does: the version is lost.
pub fn dump_and_read_back(database: &Path) {
    let dump = sql_ok(database, ".dump");
    fs::remove_file(database).unwrap();
    sql_ok(database, &dump);
    assert_eq!(sql_ok(database, "PRAGMA user_version").trim_end(), "0");
}

pub fn version(root: &ScratchRoot) -> String {
    sql_ok(&root.database(), "PRAGMA user_version").trim_end().to_owned()
}

/// How many VMs a database has registered.
pub fn count(database: &Path) -> usize {
    sql_ok(database, "SELECT count(*) FROM vms").trim_end().parse().unwrap()
}

/// The files beside a root's database, and itself.
pub fn listing(root: &ScratchRoot) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(root.path("etc/vgpu"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
