//! Writes changes to XAPI, and puts them back.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::xenapi::{self, MapChange, MapField, Session, XapiError};

/// How long the parts of a change may take. The key is missing between the two halves of a change, so no change is begun
/// unless there is time to put it back.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// When everything must be done, if a start waits for it.
    pub end: Option<Deadline>,
    /// How long one change may take.
    pub change: Duration,
    /// How much time must be left to begin a change.
    pub needed: Duration,
}

impl Pace {
    /// XAPI's full timeout for each change, and for putting each back.
    #[must_use]
    pub fn full() -> Self {
        Self { end: None, change: xenapi::XAPI_TIMEOUT, needed: Duration::ZERO }
    }

    /// Whether there is time to begin a change.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.end.is_none_or(|end| end.remaining().is_some_and(|left| left >= self.needed))
    }

    fn next(&self) -> Result<Deadline, XapiError> {
        if !self.has_time() {
            return Err(XapiError::TimedOut);
        }
        Ok(self.end.map_or_else(|| Deadline::after(self.change), |end| end.at_most(self.change)))
    }

    fn for_putting_back(&self) -> Deadline {
        self.end.unwrap_or_else(|| Deadline::after(self.change))
    }
}

/// Writes changes that belong together: all of them, or none.
///
/// # Errors
/// XAPI is away or refuses; what was written is put back, as far as XAPI allows it.
pub fn write(session: &mut Session, changes: &[MapChange], pace: &Pace) -> Result<(), XapiError> {
    for (made, change) in changes.iter().enumerate() {
        let outcome = pace.next().map(|deadline| session.set_deadline(deadline)).and_then(|()| change.make(session));
        if let Err(error) = outcome {
            // Also the one that failed: it is unknown how far it got. If XAPI did not answer, it may even be carried out
            // later, so what was put aside for it stays there until the next start or change removes it.
            let may_come_late = error.is_away() && change.map == MapField::VmPlatform;
            let begun =
                changes[..=made].iter().filter(|begun| !(may_come_late && begun.map == MapField::VmOtherConfig));
            put_back(session, &begun.cloned().collect::<Vec<_>>(), pace);
            return Err(error);
        }
    }
    Ok(())
}

/// Puts changes back, the last first. What cannot be put back is logged.
pub fn put_back(session: &mut Session, changes: &[MapChange], pace: &Pace) {
    let mut is_too_late = false;
    for change in changes.iter().rev() {
        // If XAPI did not answer for one of a thousand changes, do not wait for it at each of the others.
        if !is_too_late {
            session.set_deadline(pace.for_putting_back());
            let Err(error) = change.put_back(session) else { continue };
            is_too_late = matches!(error, XapiError::TimedOut);
            log::error!("{error}");
        }
        log::error!("{} of {} could not be put back to {:?}", change.key, change.object.as_str(), change.old);
    }
}
