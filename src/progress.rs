//! How far an operation has come, for a program that shows it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the steps of an operation that has many.
#[derive(Debug, Default)]
pub struct Progress {
    done: AtomicUsize,
    total: AtomicUsize,
}

impl Progress {
    /// Begins an operation with that many steps.
    pub fn begin(&self, total: usize) {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    pub fn step(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// The steps that are done, of how many; `None` before they are known.
    #[must_use]
    pub fn so_far(&self) -> Option<(usize, usize)> {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        (total > 0).then_some((done.min(total), total))
    }
}
