//! What has changed since when: the ground under `event.from`.

use indexmap::IndexMap;

use super::Class;

/// When an object came and when it last changed, as numbers that only grow.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    pub created: u64,
    pub modified: u64,
}

/// The objects' stamps, and those that are gone.
#[derive(Debug, Clone, Default)]
pub struct EventLog {
    last: u64,
    stamps: IndexMap<(Class, String), Stamp>,
    gone: Vec<(u64, Class, String)>,
}

impl EventLog {
    pub fn added(&mut self, class: Class, reference: &str) {
        self.last += 1;
        self.stamps.insert((class, reference.to_owned()), Stamp { created: self.last, modified: self.last });
    }

    pub fn modified(&mut self, class: Class, reference: &str) {
        self.last += 1;
        if let Some(stamp) = self.stamps.get_mut(&(class, reference.to_owned())) {
            stamp.modified = self.last;
        }
    }

    pub fn deleted(&mut self, class: Class, reference: &str) {
        self.last += 1;
        self.stamps.shift_remove(&(class, reference.to_owned()));
        self.gone.push((self.last, class, reference.to_owned()));
    }

    /// Goes on where another log has got to; everything counts as changed there.
    pub fn continue_after(&mut self, other: &Self) {
        self.last = self.last.max(other.last) + 1;
        for stamp in self.stamps.values_mut() {
            stamp.modified = self.last;
        }
    }

    /// The number of the last change.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// What changed after that number: its number, the kind of change, and what it was.
    pub fn since(&self, number: u64) -> Vec<(u64, &'static str, Class, &str)> {
        let changed =
            self.stamps.iter().filter(|(_, stamp)| stamp.modified > number).map(|((class, reference), stamp)| {
                let operation = if stamp.created > number { "add" } else { "mod" };
                (stamp.modified, operation, *class, reference.as_str())
            });
        let gone = self.gone.iter().filter(|(when, _, _)| *when > number);
        changed.chain(gone.map(|(when, class, reference)| (*when, "del", *class, reference.as_str()))).collect()
    }
}
