//! The entry of a GPU pool or of a GPU in the shared copy.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    EntryError, FORMAT, KEY_PREFIX, LONGEST_VALUE, REMOVED, Subject, Versioned, after_format, revision_of, time_of,
    with_more,
};
use crate::model::{Gpu, GpuPoolSettings, InvalidValue, PoolDescription, PoolId, PoolName};

/// A longer value keeps no fields of a later version: a name and a description in four-byte characters fit.
const LONGEST_VALUE_OF_A_POOL: usize = 2048;

/// A GPU pool, or a physical GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum GpuSubject {
    Pool(PoolId),
    Gpu(Gpu),
}

impl FromStr for GpuSubject {
    type Err = InvalidValue;

    /// As in the database, and in the shared copy after the prefix.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parsed = match text.split_once(':') {
            // Only as it is written: another spelling would be a second entry.
            Some(("pool", pool)) => pool.parse().ok().map(Self::Pool),
            Some(("gpu", gpu)) => gpu.parse().ok().map(Self::Gpu),
            _ => None,
        };
        parsed.filter(|subject| subject.to_string() == text).ok_or_else(|| InvalidValue {
            value: text.to_owned(),
            expected: "pool:A, pool:B, or gpu: with a host's UUID and a PCI address",
        })
    }
}

impl fmt::Display for GpuSubject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pool(pool) => formatter.pad(&format!("pool:{pool}")),
            Self::Gpu(gpu) => formatter.pad(&format!("gpu:{gpu}")),
        }
    }
}

impl TryFrom<String> for GpuSubject {
    type Error = InvalidValue;

    fn try_from(text: String) -> Result<Self, InvalidValue> {
        text.parse()
    }
}

impl From<GpuSubject> for String {
    fn from(subject: GpuSubject) -> Self {
        subject.to_string()
    }
}

/// What is said of a GPU pool, or of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum GpuContent {
    Pool(GpuPoolSettings),
    /// The GPU pool that it serves; `None` for none.
    Gpu(Option<PoolId>),
}

/// What one host, or the shared copy, says of a GPU pool or of a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuEntry {
    pub content: GpuContent,
    /// Counts its changes on all hosts.
    pub revision: i64,
    /// When it was last changed, in seconds since 1970.
    pub changed_at: i64,
    /// Fields that a later version of this program has added; they are kept.
    pub more: String,
}

impl Subject for GpuSubject {
    type Entry = GpuEntry;

    fn key(&self) -> String {
        format!("{KEY_PREFIX}{self}")
    }

    fn of_key(key: &str) -> Option<Self> {
        key.strip_prefix(KEY_PREFIX)?.parse().ok()
    }

    fn read(&self, text: &str) -> Result<GpuEntry, EntryError> {
        let fields = after_format(text)?;
        let entry = match self {
            Self::Pool(_) => read_pool(fields),
            Self::Gpu(_) => read_gpu(fields),
        };
        entry.ok_or_else(|| EntryError::Damaged(text.to_owned()))
    }

    fn shown(&self) -> String {
        match self {
            Self::Pool(pool) => format!("GPU pool {pool}"),
            Self::Gpu(gpu) => format!("GPU {gpu}"),
        }
    }
}

fn read_pool(fields: &str) -> Option<GpuEntry> {
    let mut fields = fields.splitn(4, ' ');
    let [revision, changed_at, max_vms, rest] = std::array::from_fn(|_| fields.next().unwrap_or_default());
    let mut texts = serde_json::Deserializer::from_str(rest).into_iter();
    let (name, description): (Option<PoolName>, Option<PoolDescription>) = texts.next()?.ok()?;
    let more = rest.get(texts.byte_offset()..)?;
    let max_vms = if max_vms == REMOVED { None } else { Some(max_vms.parse().ok()?) };
    Some(GpuEntry {
        content: GpuContent::Pool(GpuPoolSettings { name, description, max_vms }),
        revision: revision_of(revision)?,
        changed_at: time_of(changed_at)?,
        more: if more.is_empty() { String::new() } else { more.strip_prefix(' ')?.to_owned() },
    })
}

fn read_gpu(fields: &str) -> Option<GpuEntry> {
    let mut fields = fields.splitn(4, ' ');
    let [pool, revision, changed_at] = std::array::from_fn(|_| fields.next().unwrap_or_default());
    Some(GpuEntry {
        content: GpuContent::Gpu(if pool == REMOVED { None } else { Some(pool.parse().ok()?) }),
        revision: revision_of(revision)?,
        changed_at: time_of(changed_at)?,
        more: fields.next().unwrap_or_default().to_owned(),
    })
}

impl Versioned for GpuEntry {
    fn compare(&self, other: &Self) -> Ordering {
        let rank = |entry: &Self| (entry.revision, entry.changed_at);
        rank(self).cmp(&rank(other)).then_with(|| self.content.cmp(&other.content))
    }

    fn to_text(&self) -> String {
        let Self { content, revision, changed_at, more } = self;
        match content {
            GpuContent::Pool(GpuPoolSettings { name, description, max_vms }) => {
                let max_vms = max_vms.map_or_else(|| REMOVED.to_owned(), |max_vms| max_vms.to_string());
                let texts = serde_json::json!([name, description]);
                let text = format!("{FORMAT} {revision} {changed_at} {max_vms} {texts}");
                with_more(text, more, LONGEST_VALUE_OF_A_POOL)
            }
            GpuContent::Gpu(pool) => {
                let pool = pool.map_or(REMOVED, PoolId::as_str);
                with_more(format!("{FORMAT} {pool} {revision} {changed_at}"), more, LONGEST_VALUE)
            }
        }
    }

    fn more(&self) -> &str {
        &self.more
    }

    fn with_more(&self, more: &str) -> Self {
        Self { more: more.to_owned(), ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
