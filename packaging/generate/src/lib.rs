//! The files of the package that follow from the code, so that they cannot say anything else than the code does.

pub mod database;
pub mod plugin;
pub mod settings;

mod roff;
