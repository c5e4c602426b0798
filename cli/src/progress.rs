//! Shows that work is going on, if it takes longer than a second: on the terminal of standard error, and nowhere else.

use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::sys::signal::{SigSet, SigmaskHow};
use vgpu_config::request::{NewVms, Request, VmSelectors};
use vgpu_config::text::one_line;

/// Work that is done by then needs no progress.
const AFTER: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(200);

/// What a request that may take long does; `None` for the others.
pub fn of(request: &Request) -> Option<String> {
    match request {
        Request::Import { config, dry_run: false, .. } => Some(format!("Importing {} VMs", config.vm.len())),
        Request::Sync { dry_run: false } => Some("Synchronising".to_owned()),
        Request::Adopt { dry_run: false } => Some("Registering VMs".to_owned()),
        Request::Prune { dry_run: false, .. } => Some("Deleting settings".to_owned()),
        Request::Check { all_hosts: true, .. } => Some("Checking all hosts".to_owned()),
        Request::RegisterVm { vm: NewVms::Several(vms), .. }
        | Request::SetPool { vm: VmSelectors::Several(vms), .. }
        | Request::SetPriority { vm: VmSelectors::Several(vms), .. }
        | Request::UpdateVm { vm: VmSelectors::Several(vms), .. }
        | Request::RemoveVm { vm: VmSelectors::Several(vms), .. } => Some(format!("Changing {} VMs", vms.len())),
        _ => None,
    }
}

/// Does the work, and meanwhile shows `what` is done.
pub fn during<T>(what: &str, work: impl FnOnce() -> T) -> T {
    if !stderr().is_terminal() {
        return work();
    }
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        without_signals(|| scope.spawn(move || show_until(&is_done, what)));
        let result = work();
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

fn show_until(is_done: &mpsc::Receiver<()>, what: &str) {
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
        bar.set_message(format!("{} ({} s)", one_line(what), shown.as_secs()));
        bar.tick();
        if !goes_on(STEP) {
            break;
        }
        shown += STEP;
    }
    bar.finish_and_clear();
}
