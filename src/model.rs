//! The few values everything is about. They are parsed once, at the edge, and valid ever after.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not what it should be: says what came and what would have been right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not valid: expected {expected}")]
pub struct InvalidValue {
    /// The text as it came.
    pub value: String,
    /// What would have been accepted, in words.
    pub expected: &'static str,
}

impl InvalidValue {
    fn new(value: impl Into<String>, expected: &'static str) -> Self {
        Self { value: value.into(), expected }
    }
}

/// The UUID by which XAPI knows a VM. Accepted in any case, shown in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmUuid(Uuid);

impl VmUuid {
    /// What a VM's UUID looks like, for messages.
    pub const EXPECTED: &'static str = "a VM's UUID such as 0f6b1b7e-9d5c-4c0e-8a53-1d2f3a4b5c6d (see 'xe vm-list')";

    /// Its 128 bits, the higher ones first.
    #[must_use]
    pub fn as_u64_pair(&self) -> (u64, u64) {
        self.0.as_u64_pair()
    }
}

impl FromStr for VmUuid {
    type Err = InvalidValue;

    /// Only the hyphenated form: it is the only one that XAPI, `xe` and an administrator's eyes compare.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Uuid::from_str(text)
            .ok()
            .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
            .map(Self)
            .ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for VmUuid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

/// Several VMs' UUIDs, separated by commas as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmUuids(BTreeSet<VmUuid>);

impl VmUuids {
    /// What such a list looks like, for messages.
    pub const EXPECTED: &'static str = "VMs' UUIDs, separated by commas";

    /// Whether a VM is one of them.
    #[must_use]
    pub fn contains(&self, uuid: &VmUuid) -> bool {
        self.0.contains(uuid)
    }
}

impl FromIterator<VmUuid> for VmUuids {
    fn from_iter<T: IntoIterator<Item = VmUuid>>(uuids: T) -> Self {
        Self(uuids.into_iter().collect())
    }
}

impl FromStr for VmUuids {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let uuids = text.split(',').map(|uuid| uuid.trim().parse());
        uuids.collect::<Result<_, _>>().map(Self).map_err(|_: InvalidValue| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for VmUuids {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uuids: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.pad(&uuids.join(","))
    }
}

/// One of the two GPU pools of a host. Not to be mixed up with XAPI's resource pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PoolId {
    /// GPU pool A.
    A,
    /// GPU pool B.
    B,
}

impl PoolId {
    /// Every GPU pool there is, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::A, Self::B];
    /// What is accepted as a GPU pool, for messages.
    pub const EXPECTED: &'static str = "A or B";

    /// The name that the database, the device and people use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }
}

impl FromStr for PoolId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|pool| pool.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for PoolId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How urgent a VM's GPU work is. Ordered: low before medium before high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Priority {
    /// 0 in the database.
    Low,
    /// 1 in the database.
    Medium,
    /// 2 in the database.
    High,
}

impl Priority {
    /// Every priority there is, lowest first: the index is the number in the database.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];
    /// What is accepted as a priority, for messages.
    pub const EXPECTED: &'static str = "low, medium or high (or 0, 1, 2)";

    /// The word that the device and people use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The number that the database uses: 0, 1 or 2.
    #[must_use]
    pub fn as_number(self) -> u8 {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
        }
    }
}

impl FromStr for Priority {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str().eq_ignore_ascii_case(text) || priority.as_number().to_string() == text)
            .ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The number by which the device knows its VM (`vm_id=` on QEMU's command line): 1 to 4294967295, never shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeviceVmId(NonZeroU32);

impl DeviceVmId {
    /// What is accepted as a device's `vm_id`, for messages.
    pub const EXPECTED: &'static str = "a whole number from 1 to 4294967295";

    /// The number that a VM gets unless it is taken or an administrator chose another: the CRC-32 (as in zip and
    /// Python's `zlib.crc32`) of the UUID's 36 lower-case characters, or 1 where that is 0.
    #[must_use]
    pub fn derived_from(vm_uuid: &VmUuid) -> Self {
        let hash = crc32fast::hash(vm_uuid.to_string().as_bytes());
        Self(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN))
    }

    /// The next number, for when this one is taken; 1 follows the last.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(NonZeroU32::MIN))
    }

    /// The plain number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

impl TryFrom<i64> for DeviceVmId {
    type Error = InvalidValue;

    fn try_from(number: i64) -> Result<Self, InvalidValue> {
        u32::try_from(number)
            .ok()
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or_else(|| InvalidValue::new(number.to_string(), Self::EXPECTED))
    }
}

impl FromStr for DeviceVmId {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| only_digits).map(Self).ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for DeviceVmId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// What a VM's device is to be told: everything that ends up on QEMU's command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VmSettings {
    /// The GPU pool.
    pub pool: PoolId,
    /// The priority of the VM's GPU work.
    pub priority: Priority,
    /// The device's number for the VM.
    pub vm_id: DeviceVmId,
}

/// Serde speaks of these types by their text, as people do.
macro_rules! text_in_serde {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = InvalidValue;
            fn try_from(text: String) -> Result<Self, InvalidValue> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    )*};
}
text_in_serde!(VmUuid, PoolId, Priority);

/// Whether XAPI can hold a text whole: it cuts one off at a control character (`db_cache_impl.ml`).
#[must_use]
pub fn fits_xapi(text: &str) -> bool {
    text.chars().all(fits_xapi_character)
}

/// Whether XAPI can hold a character.
#[must_use]
pub fn fits_xapi_character(character: char) -> bool {
    character >= ' ' || matches!(character, '\t' | '\n' | '\r')
}
