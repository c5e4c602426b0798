//! Generates those files of the package that follow from the code.

pub mod database;
pub mod plugin;
pub mod settings;

mod roff;
