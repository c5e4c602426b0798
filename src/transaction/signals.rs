//! Holds the signals that end a program by request, while it is between XAPI and the database.

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// While it lives, SIGINT, SIGTERM and SIGHUP wait. They take effect when it is dropped.
pub struct HeldSignals(Option<SigSet>);

impl HeldSignals {
    /// Holds them.
    pub fn hold() -> Self {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        Self(signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok())
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The mask was valid before.
            let _ = before.thread_set_mask();
        }
    }
}
