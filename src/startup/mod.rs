//! What happens before a VM starts.
//!
//! xapi hands a VM's platform map to xenopsd before vm-pre-start runs, so what is written to XAPI here reaches the next
//! boot only. This boot is made right by `VM.add` to xenopsd, the next by writing XAPI too.
//!
//! ```text
//!   database ──┐                      equal: nothing to do
//!              ├── goal ── compare ──┤
//!   VM.stat ───┘                      differ: VM.add (this boot), then XAPI (the next)
//! ```

mod decide;
mod found;
mod reconcile;
mod repair;
mod report;

use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::error::Error;
use crate::model::VmUuid;
use crate::paths::Root;
use crate::settings::Settings;
use crate::store::{Store, Through};

use reconcile::Reconciliation;
pub use report::{Deciding, Report, ThisBoot, XapiState};

/// What whoever watches the clock has to know before the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// The VM has settings: a failure from here on may block the start, where the administrator asked for it.
    Registered,
    /// This boot has what the settings say: whatever fails from here on is no reason to block it.
    BootIsRight,
}

/// A VM's start, before the domain exists.
#[derive(Debug)]
pub struct Start<'a> {
    /// Where everything is.
    pub root: &'a Root,
    /// The settings file.
    pub settings: &'a Settings,
    /// The VM.
    pub vm_uuid: VmUuid,
    /// How long all of it may take.
    pub time: Duration,
}

impl Start<'_> {
    /// Makes the VM's settings true for this boot and for the next, and says what was found and done. `reached` is
    /// called as soon as a milestone is.
    ///
    /// # Errors
    /// The database cannot be read, or the arguments cannot be what they should be; nothing was changed then. Whatever
    /// goes wrong elsewhere is in the report.
    pub fn prepare(&self, reached: &dyn Fn(Milestone)) -> Result<Report, Error> {
        let began = Instant::now();
        let store = Store::open_existing(&self.root.database(), self.share(1))?;
        let store = store.with_history(Through::Hook, self.settings.history.get());
        let mut report = Reconciliation::new(self, &store, Deadline::after(self.time), reached).run()?;
        report.took = began.elapsed();
        Ok(report)
    }

    /// So many tenths of the time: what one part may use up without the others suffering.
    fn share(&self, tenths: u32) -> Duration {
        self.time * tenths / 10
    }
}
