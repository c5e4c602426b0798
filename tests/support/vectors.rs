//! Bytes recorded from the real xapi, in `tests/vectors/`.

use std::fs;
use std::path::PathBuf;

/// Every recorded argument of a plugin: its name, and its bytes.
#[must_use]
pub fn plugin_arguments() -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder("plugin"))
        .expect("the recordings are there")
        .map(|entry| entry.expect("they can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "argv1"))
        .map(|path| (path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), read(&path)))
        .collect();
    found.sort();
    assert!(found.len() > 80, "only {} recordings", found.len());
    found
}

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}

fn read(path: &std::path::Path) -> Vec<u8> {
    fs::read(path).expect("a recording can be read")
}
