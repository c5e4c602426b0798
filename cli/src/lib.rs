//! The command line of `vgpu-admin`, from which its manual pages and completions are generated.

pub mod arguments;
pub mod candidates;
pub mod words;
