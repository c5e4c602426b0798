//! The C library: programs in C and C++ that use it, on scratch roots and simulated hosts.

mod built;
mod calls;
mod everything;
mod header;
mod manners;
mod threads;
mod watcher;
