//! xenstore as a folder, so that other processes can read and write it. A key is a folder, and its value is a file in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// No key can have this name.
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
        // A process that reads at the same time reads the old value or the new one.
        let new = key.join(".new");
        fs::write(&new, value)?;
        fs::rename(new, key.join(VALUE))
    }

    /// Removes a key and all below it.
    pub fn remove(&self, path: &str) {
        let _ = fs::remove_dir_all(self.key(path));
    }
}
