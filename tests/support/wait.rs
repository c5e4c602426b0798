//! Waiting for what another thread or program is about to do.

use std::thread;
use std::time::{Duration, Instant};

/// Far more than anything takes here.
const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

/// Waits until it is so; a test that waits in vain fails.
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < WAIT_TIMEOUT, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
