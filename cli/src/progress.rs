//! Shows that work is going on, if it takes longer than a second: on the terminal of standard error, and nowhere else.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::sys::signal::{SigSet, SigmaskHow};
use vgpu_config::progress::Progress;
use vgpu_config::request::{NewVms, Request, VmSelectors};
use vgpu_config::text::one_line;

use crate::output::tell;

/// Work that is done by then needs no progress.
const AFTER: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(200);

/// What a request that may take long does; `None` for the others.
pub fn of(request: &Request) -> Option<String> {
    let what = match request {
        Request::Import { .. } => "Importing",
        Request::Sync { .. } => "Synchronising VMs",
        Request::Adopt { .. } => "Looking for VMs to register",
        Request::Prune { .. } => "Deleting settings",
        Request::Check { all_hosts: true, .. } => "Checking hosts",
        Request::ScanVms {} | Request::Status {} | Request::ShowVm { .. } => "Asking the hosts",
        Request::RegisterVm { vm: NewVms::Several(_), .. }
        | Request::SetPool { vm: VmSelectors::Several(_), .. }
        | Request::SetPriority { vm: VmSelectors::Several(_), .. }
        | Request::UpdateVm { vm: VmSelectors::Several(_), .. }
        | Request::RemoveVm { vm: VmSelectors::Several(_), .. } => "Changing VMs",
        _ => return None,
    };
    Some(what.to_owned())
}

/// Says on a terminal what was done.
pub fn done(what: &str) {
    if stderr().is_terminal() {
        tell(what);
    }
}

/// Does the work, and meanwhile shows `what` is done, and how much of it.
pub fn during<T>(what: &str, progress: Option<&Progress>, work: impl FnOnce() -> T) -> T {
    if !stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        // Without a thread to spare, the work is done without it.
        let shown = without_signals(|| {
            thread::Builder::new().spawn_scoped(scope, move || show_until(&is_done, what, progress))
        });
        let result = work();
        drop(shown);
        drop(done);
        result
    })
}

/// A thread that is spawned here gets no signals: they belong to the thread that works, which delays them while XAPI and the
/// database differ.
fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let thread = spawn();
    if let Ok(before) = before {
        // The mask was valid before.
        let _ = before.thread_set_mask();
    }
    thread
}

fn show_until(is_done: &mpsc::Receiver<()>, what: &str, progress: Option<&Progress>) {
    let goes_on = |time| matches!(is_done.recv_timeout(time), Err(RecvTimeoutError::Timeout));
    if !goes_on(AFTER) {
        return;
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        bar.set_style(style);
    }
    let mut shown = AFTER;
    loop {
        let so_far = progress.and_then(Progress::so_far).map(|(done, total)| format!(": {done} of {total}"));
        bar.set_message(format!("{}{} ({} s)", one_line(what), so_far.unwrap_or_default(), shown.as_secs()));
        bar.tick();
        if !goes_on(STEP) {
            break;
        }
        shown += STEP;
    }
    bar.finish_and_clear();
}
