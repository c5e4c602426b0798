//! What happens before a VM starts.
//!
//! xapi hands a VM's platform map to xenopsd before vm-pre-start runs, so a change of XAPI's record only reaches the next
//! boot. `VM.add` to xenopsd corrects this boot; the next is corrected by also writing to XAPI.
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

/// Progress that the hook's timer must know of before the work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// The VM has settings: from here on, a failure may block the start if the administrator wants that.
    Registered,
    /// This boot has the right arguments: from here on, no failure is a reason to block it.
    BootIsRight,
}

/// A VM's start, before the domain exists.
#[derive(Debug)]
pub struct Start<'a> {
    pub root: &'a Root,
    pub settings: &'a Settings,
    pub vm_uuid: VmUuid,
    /// The time limit for everything.
    pub time: Duration,
}

impl Start<'_> {
    /// Applies the VM's settings to this boot and to the next, and reports what was found and done. Calls `reached` at each
    /// milestone.
    ///
    /// # Errors
    /// The database cannot be read, or the arguments cannot be made right; nothing was changed then. All other problems are
    /// in the report.
    pub fn prepare(&self, reached: &dyn Fn(Milestone)) -> Result<Report, Error> {
        let began = Instant::now();
        let store = Store::open_existing(&self.root.database(), self.share(1))?;
        let store = store.with_history(Through::Hook, self.settings.history.get());
        let mut report = Reconciliation::new(self, &store, Deadline::after(self.time), reached).run()?;
        report.took = began.elapsed();
        Ok(report)
    }

    /// The given number of tenths of the time: what one part may take without the others suffering.
    fn share(&self, tenths: u32) -> Duration {
        self.time * tenths / 10
    }
}
