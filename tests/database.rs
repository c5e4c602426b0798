//! The database: dom0's own sqlite3 shell on it, and everything that can be wrong with the file. How its schema grows is in `schema`.

#[path = "database/at_once.rs"]
mod at_once;
#[path = "database/check.rs"]
mod check;
#[path = "database/disk.rs"]
mod disk;
#[path = "database/file.rs"]
mod file;
#[path = "database/numbers.rs"]
mod numbers;
#[path = "database/rows.rs"]
mod rows;
#[path = "database/support.rs"]
mod support;
