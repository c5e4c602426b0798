//! Delays the signals that ask a program to end while it is between XAPI and the database.

use std::cell::Cell;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::host::Host;

/// While this exists, SIGINT, SIGTERM and SIGHUP wait. They take effect when it is dropped. Another program's signals are left
/// alone.
pub struct HeldSignals {
    before: Option<SigSet>,
    waiting: Option<SignalFd>,
    come: Cell<Option<Signal>>,
}

impl HeldSignals {
    pub fn hold(host: &Host) -> Self {
        if host.is_guest() {
            return Self { before: None, waiting: None, come: Cell::new(None) };
        }
        let ignored = ignored();
        let is_heeded = |signal: &Signal| ignored & (1 << (*signal as i32 - 1)) == 0;
        // A signal that is ignored, for example because of nohup, must stay ignored: if it were blocked, it would be
        // reported all the same.
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().filter(is_heeded).collect();
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
        let waiting = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).ok();
        Self { before, waiting, come: Cell::new(None) }
    }

    /// Whether a signal has come: long work should then stop as soon as it can.
    pub fn has_come(&self) -> bool {
        if self.come.get().is_none()
            && let Some(Ok(Some(signal))) = self.waiting.as_ref().map(SignalFd::read_signal)
        {
            // Reading it has removed it from the pending signals.
            self.come.set(i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()));
        }
        self.come.get().is_some()
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // The mask was valid before.
            let _ = before.thread_set_mask();
        }
        if let Some(signal) = self.come.get() {
            let _ = raise(signal);
        }
    }
}

/// The signals that this program ignores, as the bits that proc(5) describes.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
