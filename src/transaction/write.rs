//! Writes to XAPI, and puts back.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::xenapi::{self, MapChange, MapField, Session, XapiError};

/// How long the parts of a change may take. Between the two halves of a change a key is not there, so none is begun where there
/// is no time to put it back.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// When all has to be over.
    pub end: Deadline,
    /// How long one change may take.
    pub change: Duration,
    /// How long there has to be when a change is begun.
    pub needed: Duration,
}

impl Pace {
    /// What a program takes for one VM where no start waits for it. All changes are begun within XAPI's timeout, however many
    /// there are, and the time for the last one and for putting all of them back comes on top.
    #[must_use]
    pub fn of_one_vm() -> Self {
        Self { end: Deadline::after(3 * xenapi::TIMEOUT), change: xenapi::TIMEOUT, needed: 2 * xenapi::TIMEOUT }
    }

    fn next(&self) -> Result<Deadline, XapiError> {
        match self.end.remaining().and_then(|left| left.checked_sub(self.needed)) {
            Some(left) if !left.is_zero() => Ok(self.end.at_most(self.change)),
            _ => Err(XapiError::TimedOut),
        }
    }
}

/// Writes changes that belong together: all of them, or none.
///
/// # Errors
/// XAPI is away or refuses; what was written was put back, as far as XAPI lets it.
pub fn write(session: &mut Session, changes: &[MapChange], pace: &Pace) -> Result<(), XapiError> {
    for (made, change) in changes.iter().enumerate() {
        let outcome = pace.next().map(|deadline| session.set_deadline(deadline)).and_then(|()| change.make(session));
        if let Err(error) = outcome {
            // Also the one that failed: nobody knows how far it got. Where XAPI did not answer it may even be carried out later,
            // so what was put aside for it stays there; the next start or change takes it away.
            let may_come_late = error.is_away() && change.map == MapField::VmPlatform;
            let begun =
                changes[..=made].iter().filter(|begun| !(may_come_late && begun.map == MapField::VmOtherConfig));
            put_back(session, &begun.cloned().collect::<Vec<_>>(), pace);
            return Err(error);
        }
    }
    Ok(())
}

/// Puts changes back, the last first. What cannot be put back is in the log.
pub fn put_back(session: &mut Session, changes: &[MapChange], pace: &Pace) {
    let mut is_too_late = false;
    for change in changes.iter().rev() {
        // Whoever did not answer for one of a thousand changes is not waited for at each of the others.
        if !is_too_late {
            session.set_deadline(pace.end.at_most(pace.change));
            let Err(error) = change.put_back(session) else { continue };
            is_too_late = matches!(error, XapiError::TimedOut);
            log::error!("{error}");
        }
        log::error!("{} of {} could not be put back to {:?}", change.key, change.object.as_str(), change.old);
    }
}
