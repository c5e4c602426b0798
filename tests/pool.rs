//! The operations that work on a whole resource pool. How its hosts keep one state is in `rules`.

#[path = "pool/adopt.rs"]
mod adopt;
#[path = "pool/prune.rs"]
mod prune;
#[path = "pool/scan.rs"]
mod scan;
#[path = "pool/sync.rs"]
mod sync;
