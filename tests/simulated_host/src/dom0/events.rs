//! What xapi passes on to xenopsd unasked: the metadata of a VM that runs here and was changed, by an event, a moment
//! later (`events_from_xapi` in `ocaml/xapi/xapi_xenops.ml`). A guest may reboot before that.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Dom0;
use crate::lock;

/// How long an event takes. Recorded (`vectors/reboot`): a guest that reboots right after a change is faster, one that
/// waits for two seconds is not. `event.from` takes up to 50 ms of that (`Thread.delay 0.05` in `from_inner` in
/// `ocaml/xapi/xapi_event.ml`, `event_from_delay` in v26's `xapi_globs.ml`); what the rest takes, which is two calls of
/// xenopsd, is a guess. Left out: an event that fails, as with a platform that cannot be, stops the thread for 15 seconds.
const DELAY: Duration = Duration::from_millis(100);
/// How often is looked for events that are due.
const PAUSE: Duration = Duration::from_millis(5);

/// The events of a host that xapi has not got to yet.
#[derive(Default)]
pub struct Events {
    /// The VMs that were changed, and when that is passed on.
    due: Mutex<HashMap<String, Instant>>,
    /// Whether nothing is passed on until a test says so.
    held: AtomicBool,
}

impl Dom0 {
    /// A VM was changed: where it runs here, xapi passes that on a moment later.
    pub fn has_changed(&self, vm: &str) {
        lock(&self.events.due).entry(vm.to_owned()).or_insert_with(|| Instant::now() + DELAY);
    }

    /// Lets events wait until [`Self::pass_on_events`], or lets them be passed on by themselves again.
    pub fn hold_events(&self, held: bool) {
        self.events.held.store(held, Ordering::SeqCst);
    }

    /// Passes on whatever waits.
    pub fn pass_on_events(&self) {
        self.pass_on(|_| true);
    }

    /// Passes events on when they are due, until this life of the host ends.
    pub(super) fn pass_on_events_in_time(self: &Arc<Self>) {
        let dom0 = Arc::clone(self);
        self.in_background(move || {
            dom0.wait_while(|| {
                if !dom0.events.held.load(Ordering::SeqCst) {
                    let now = Instant::now();
                    dom0.pass_on(|due| due <= now);
                }
                std::thread::sleep(PAUSE);
                true
            });
        });
    }

    /// The host's power is gone, and with it what waits.
    pub(super) fn forget_events(&self) {
        lock(&self.events.due).clear();
    }

    /// xapi is gone, and with it what it had not got to yet and what it knew of its own pushes.
    pub(super) fn xapi_has_ended(&self) {
        self.forget_events();
        self.xenopsd.forget_pushed();
    }

    fn pass_on(&self, is_due: impl Fn(Instant) -> bool) {
        if !self.xapi_works() {
            return;
        }
        // What is pushed to a VM that xenopsd is busy with is queued behind that.
        let busy = lock(&self.busy).clone();
        let ready: Vec<_> =
            lock(&self.events.due).extract_if(|vm, at| is_due(*at) && !busy.contains(vm)).map(|(vm, _)| vm).collect();
        for vm in ready {
            self.push_pending(&vm);
        }
    }
}
