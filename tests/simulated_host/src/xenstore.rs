//! xenstore, as a folder: programs of other processes read and write it too. A key is a folder, its value a file in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// No key can be called so.
const VALUE: &str = ".value";

/// The store of a host.
#[derive(Debug, Clone)]
pub struct Xenstore(PathBuf);

impl Xenstore {
    pub fn below(root: &Path) -> Self {
        Self(root.join("var/run/simulated-host/xenstore"))
    }

    fn key(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.key(path).join(VALUE)).ok()
    }

    pub fn write(&self, path: &str, value: &[u8]) -> io::Result<()> {
        let key = self.key(path);
        fs::create_dir_all(&key)?;
        // Whoever reads at that moment reads the old value or the new one.
        let new = key.join(".new");
        fs::write(&new, value)?;
        fs::rename(new, key.join(VALUE))
    }

    /// Removes a key and all below it.
    pub fn remove(&self, path: &str) {
        let _ = fs::remove_dir_all(self.key(path));
    }
}
