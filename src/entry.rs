//! One VM's entry in the shared copy: its content, its format, and which of two entries is newer.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write;
use std::ops::RangeInclusive;

use crate::model::{DeviceVmId, PoolId, Priority, VmSettings, VmUuid};

/// The maximum length of a value, in bytes: XAPI's cost grows with every byte.
pub const LONGEST_VALUE: usize = 48;

/// The format that this program writes and understands.
const FORMAT: &str = "1";
const KEY_PREFIX: &str = "vgpu:";
/// The largest valid revision. One that cannot be counted up any further would win over every later change. If a database
/// counts past this, its entry says this revision, and the later change decides.
pub const LARGEST_REVISION: i64 = 1 << 53;
const REVISIONS: RangeInclusive<i64> = 0..=LARGEST_REVISION;
/// The valid times, in seconds since 1970: until the end of the year 9999.
const TIMES: RangeInclusive<i64> = 0..=253_402_300_799;
/// How much the clocks of two hosts may differ, in seconds: only what lies further apart has a certain order.
pub const CLOCKS_MAY_DIFFER: i64 = 600;
/// Written for each value that a removed VM does not have.
const REMOVED: &str = "-";

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

/// What other hosts have written and this host has not taken over.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The VMs with their newer entries.
    pub entries: Vec<(VmUuid, Entry)>,
    /// Every VM that has an entry in the shared copy.
    pub carried: HashSet<VmUuid>,
}

impl News {
    /// Whether there is nothing to take over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Why a value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    #[error("was written by a newer vgpu-config (format {0}) and is not changed: update this host")]
    Newer(String),
    /// No version of this program wrote it.
    #[error("'{0}' is not valid")]
    Damaged(String),
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
        let mut fields = text.splitn(7, ' ');
        match fields.next() {
            Some(FORMAT) => {}
            Some(format) if !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(EntryError::Newer(format.to_owned()));
            }
            _ => return Err(damaged()),
        }
        let [pool, priority, vm_id, revision, changed_at] = std::array::from_fn(|_| fields.next().unwrap_or_default());
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
        let number = |text: &str, range: RangeInclusive<i64>| {
            text.parse().ok().filter(|number| range.contains(number)).ok_or_else(damaged)
        };
        Ok(Self {
            settings,
            vm_id,
            revision: number(revision, REVISIONS)?,
            changed_at: number(changed_at, TIMES)?,
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
        let fits = text.len() + 1 + self.more.len() <= LONGEST_VALUE && !self.more.contains(char::is_control);
        if !self.more.is_empty() && fits {
            let _ = write!(text, " {}", self.more);
        }
        text
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
