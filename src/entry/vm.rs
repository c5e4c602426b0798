//! One VM's entry in the shared copy: its content, its format, and which of two entries is newer.

use std::cmp::Ordering;
use std::fmt::Write;

use super::{
    EntryError, FORMAT, KEY_PREFIX, LONGEST_VALUE, REMOVED, Subject, Versioned, after_format, revision_of, time_of,
    with_more,
};
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};

/// What one host, or the shared copy, says of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `None` for a VM that was removed.
    pub settings: Option<VmSettings>,
    /// The device's number for it, also after its removal.
    pub vm_id: Option<DeviceVmId>,
    /// Counts its changes on all hosts.
    pub revision: i64,
    /// When it was last changed, in seconds since 1970. Clocks may disagree: it only decides between equal revisions.
    pub changed_at: i64,
    /// Fields that a later version of this program has added; they are kept.
    pub more: String,
}

impl Entry {
    /// The key of a VM's entry.
    #[must_use]
    pub fn key(vm_uuid: &VmUuid) -> String {
        format!("{KEY_PREFIX}{vm_uuid}")
    }

    /// The VM of a key; `None` for a key that is not ours.
    #[must_use]
    pub fn vm_of_key(key: &str) -> Option<VmUuid> {
        key.strip_prefix(KEY_PREFIX)?.parse().ok()
    }

    /// Reads a value.
    ///
    /// # Errors
    /// A newer program wrote it, or no version of this program did.
    pub fn parse(text: &str) -> Result<Self, EntryError> {
        let damaged = || EntryError::Damaged(text.to_owned());
        let mut fields = after_format(text)?.splitn(6, ' ');
        let [pool, priority, vm_id, count, changed_at] = std::array::from_fn(|_| fields.next().unwrap_or_default());
        let vm_id = if vm_id == REMOVED { None } else { Some(vm_id.parse().map_err(|_| damaged())?) };
        let settings = match (pool, vm_id) {
            (REMOVED, _) => None,
            (_, None) => return Err(damaged()),
            (_, Some(vm_id)) => Some(VmSettings {
                pool: pool.parse().map_err(|_| damaged())?,
                priority: priority.parse().map_err(|_| damaged())?,
                vm_id,
            }),
        };
        Ok(Self {
            settings,
            vm_id,
            revision: revision_of(count).ok_or_else(damaged)?,
            changed_at: time_of(changed_at).ok_or_else(damaged)?,
            more: fields.next().unwrap_or_default().to_owned(),
        })
    }

    /// The value: one short line of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let vm_id = self.vm_id.map_or_else(|| REMOVED.to_owned(), |vm_id| vm_id.to_string());
        let mut text = match self.settings {
            Some(VmSettings { pool, priority, .. }) => format!("{FORMAT} {pool} {} {vm_id}", priority.as_number()),
            None => format!("{FORMAT} {REMOVED} {REMOVED} {vm_id}"),
        };
        // Writing to a string does not fail.
        let _ = write!(text, " {} {}", self.revision, self.changed_at);
        with_more(text, &self.more, LONGEST_VALUE)
    }

    /// Which of two entries of a VM is newer: the one with the higher revision, then the later change, then by content.
    /// Entries that say different things are never equal.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    fn rank(&self) -> (i64, i64, Option<(PoolId, Priority)>, Option<DeviceVmId>) {
        let content = self.settings.map(|settings| (settings.pool, settings.priority));
        // A removed VM's number only helps if the VM returns; it is not content that two hosts could disagree about.
        let vm_id = self.settings.map(|settings| settings.vm_id);
        (self.revision, self.changed_at, content, vm_id)
    }
}

impl Subject for VmUuid {
    type Entry = Entry;

    fn key(&self) -> String {
        Entry::key(self)
    }

    fn of_key(key: &str) -> Option<Self> {
        Entry::vm_of_key(key)
    }

    fn read(&self, text: &str) -> Result<Entry, EntryError> {
        Entry::parse(text)
    }

    fn shown(&self) -> String {
        format!("VM {self}")
    }
}

impl Versioned for Entry {
    fn compare(&self, other: &Self) -> Ordering {
        Entry::compare(self, other)
    }

    fn to_text(&self) -> String {
        Entry::to_text(self)
    }

    fn more(&self) -> &str {
        &self.more
    }

    fn with_more(&self, more: &str) -> Self {
        Self { more: more.to_owned(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: PoolId = PoolId::A;

    fn entry(revision: i64, changed_at: i64) -> Entry {
        let vm_id = DeviceVmId::try_from(7).unwrap();
        let settings = Some(VmSettings { pool: A, priority: Priority::High, vm_id });
        Entry { settings, vm_id: Some(vm_id), revision, changed_at, more: String::new() }
    }

    #[test]
    fn a_value_is_one_short_line_with_the_format_first() {
        assert_eq!(entry(3, 1_790_000_000).to_text(), "1 A 2 7 3 1790000000");
        let removed = Entry { settings: None, ..entry(4, 1_790_000_001) };
        assert_eq!(removed.to_text(), "1 - - 7 4 1790000001");
        assert_eq!(Entry { vm_id: None, ..removed }.to_text(), "1 - - - 4 1790000001");
    }

    #[test]
    fn a_newer_format_is_recognized_as_one() {
        assert_eq!(Entry::parse("2 whatever comes"), Err(EntryError::Newer("2".to_owned())));
        for text in [
            "",
            "1",
            "1 A 2",
            "x A 2 7 3 4",
            "1 A 2 7 9223372036854775807 0",
            "1 A 2 7 -1 0",
            "1 A 2 7 1 999999999999",
            "1 C 2 7 3 4",
            "1 A 9 7 3 4",
            "1 A 2 0 3 4",
            "1 A 2 - 3 4",
            "1 A 2 7 x 4",
        ] {
            assert_eq!(Entry::parse(text), Err(EntryError::Damaged(text.to_owned())));
        }
    }

    #[test]
    fn fields_that_a_later_version_added_are_kept() {
        let text = "1 A 2 7 3 1790000000 new=field and=more";
        assert_eq!(Entry::parse(text).unwrap().to_text(), text);
    }

    #[test]
    fn the_revision_counts_more_than_any_clock() {
        assert_eq!(entry(4, 0).compare(&entry(3, i64::MAX)), Ordering::Greater);
        assert_eq!(entry(3, 2).compare(&entry(3, 1)), Ordering::Greater);
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        (0..3_usize, 0..3_usize, 1..=u32::MAX, 1..i64::from(u32::MAX), 0..9_999_999_999_i64, any::<bool>()).prop_map(
            |(pool, priority, vm_id, revision, changed_at, has_number)| {
                let vm_id = DeviceVmId::try_from(i64::from(vm_id)).unwrap();
                let settings =
                    PoolId::ALL.get(pool).map(|&pool| VmSettings { pool, priority: Priority::ALL[priority], vm_id });
                let vm_id = (settings.is_some() || has_number).then_some(vm_id);
                Entry { settings, vm_id, revision, changed_at, more: String::new() }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_and_short_enough(entry in any_entry()) {
            let text = entry.to_text();
            prop_assert!(text.len() <= LONGEST_VALUE, "{} is {} bytes", text, text.len());
            prop_assert!(!text.contains(char::is_control));
            prop_assert_eq!(Entry::parse(&text).unwrap(), entry);
        }

        #[test]
        fn no_two_different_entries_are_equally_new(one in any_entry(), other in any_entry()) {
            prop_assert_eq!(one.compare(&other), other.compare(&one).reverse());
            let same = one.settings == other.settings && (one.revision, one.changed_at) == (other.revision, other.changed_at);
            prop_assert_eq!(one.compare(&other) == Ordering::Equal, same);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = Entry::parse(&text);
        }
    }
}
