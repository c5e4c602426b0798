//! The entries of the shared copy: of VMs, of GPU pools and of GPUs. Each has a revision, by which every host knows which of two
//! entries is newer.

mod gpu_pool;
mod vm;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::RangeInclusive;

use crate::model::VmUuid;

pub use gpu_pool::{GpuContent, GpuEntry, GpuSubject};
pub use vm::Entry;

/// The maximum length of a VM's or a GPU's value, in bytes: XAPI's cost grows with every byte.
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
/// Written for each value that a removed VM or GPU does not have.
const REMOVED: &str = "-";

/// Something that has an entry in the shared copy.
pub trait Subject: Sized {
    type Entry: Versioned;

    /// The key of its entry.
    fn key(&self) -> String;

    /// `None` for a key of something else.
    fn of_key(key: &str) -> Option<Self>;

    /// Reads the value of its entry.
    ///
    /// # Errors
    /// A newer program wrote it, or no version of this program did.
    fn read(&self, text: &str) -> Result<Self::Entry, EntryError>;

    /// For people.
    fn shown(&self) -> String;
}

/// An entry, as the shared copy has it or as this host would write it.
pub trait Versioned: Clone {
    /// Which of two entries is newer. Entries that say different things are never equal.
    fn compare(&self, other: &Self) -> Ordering;

    /// One line of text.
    fn to_text(&self) -> String;

    /// The fields that a later version of this program has added.
    fn more(&self) -> &str;

    #[must_use]
    fn with_more(&self, more: &str) -> Self;
}

/// What other hosts have written and this host has not taken over.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The VMs with their newer entries.
    pub entries: Vec<(VmUuid, Entry)>,
    /// Every VM that has an entry in the shared copy.
    pub carried: HashSet<VmUuid>,
    /// The GPU pools and GPUs with their newer entries.
    pub gpu_pools: Vec<(GpuSubject, GpuEntry)>,
}

impl News {
    /// Whether there is nothing to take over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.gpu_pools.is_empty()
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

/// A value without its format.
fn after_format(text: &str) -> Result<&str, EntryError> {
    let (format, rest) = text.split_once(' ').unwrap_or((text, ""));
    match format {
        FORMAT => Ok(rest),
        format if !format.is_empty() && format.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(EntryError::Newer(format.to_owned()))
        }
        _ => Err(EntryError::Damaged(text.to_owned())),
    }
}

fn revision_of(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| REVISIONS.contains(number))
}

fn time_of(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| TIMES.contains(number))
}

/// Appends the fields of a later version, if they fit.
fn with_more(mut text: String, more: &str, longest: usize) -> String {
    let fits = text.len() + 1 + more.len() <= longest && !more.contains(char::is_control);
    if !more.is_empty() && fits {
        text.push(' ');
        text.push_str(more);
    }
    text
}
