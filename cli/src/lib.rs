//! The parts of `vgpu-admin` from which its man page and its completions are made.

pub mod arguments;
pub mod words;
