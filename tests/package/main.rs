//! The package itself: what is in it, and what happens to a host on which it is installed, upgraded and removed.
//!
//! Run by `make test-package`, as root: dnf and rpm work in a root of their own.

mod built;
mod c_library;
mod contents;
mod database_script;
mod dom0;
mod hook_in_place;
mod lifecycle;
mod logging;
mod qemu_wrapper;
mod repository;
mod scriptlets;
mod signature;
