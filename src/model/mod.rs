//! Basic types. Values are parsed when they enter the program and are valid from then on.

#[macro_use]
mod macros;

mod gpu_pool;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use gpu_pool::{Gpu, GpuPoolSettings, PciAddress, PoolDescription, PoolName, VmLimit};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{value}' is not valid: expected {expected}")]
pub struct InvalidValue {
    pub value: String,
    /// In words.
    pub expected: &'static str,
}

impl InvalidValue {
    fn new(value: impl Into<String>, expected: &'static str) -> Self {
        Self { value: value.into(), expected }
    }
}

uuid_of_xapi!(
    /// A VM's UUID in XAPI. Accepted in any case, printed in lower case.
    VmUuid, "a VM's UUID such as 0f6b1b7e-9d5c-4c0e-8a53-1d2f3a4b5c6d (see 'xe vm-list')"
);
uuid_of_xapi!(
    /// A host's UUID in XAPI. Accepted in any case, printed in lower case.
    HostUuid, "a host's UUID such as 5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01 (see 'xe host-list')"
);

impl VmUuid {
    /// The higher 64 bits first.
    #[must_use]
    pub fn as_u64_pair(&self) -> (u64, u64) {
        self.0.as_u64_pair()
    }
}

/// Several of a kind, separated by commas as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Several<T>(BTreeSet<T>);

/// Several VMs' UUIDs.
pub type VmUuids = Several<VmUuid>;
/// Several GPUs.
pub type Gpus = Several<Gpu>;

impl VmUuids {
    pub const EXPECTED: &'static str = "VMs' UUIDs, separated by commas";
}

impl Gpus {
    pub const EXPECTED: &'static str = "GPUs as host UUID, colon and PCI address, separated by commas";
}

impl<T: Ord> Several<T> {
    #[must_use]
    pub fn contains(&self, one: &T) -> bool {
        self.0.contains(one)
    }
}

impl<T: Ord> FromIterator<T> for Several<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl<T: Ord + FromStr> FromStr for Several<T> {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.split(',').map(|one| one.trim().parse().map_err(drop)).collect::<Result<_, _>>().map(Self)
    }
}

impl<T: fmt::Display> fmt::Display for Several<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        formatter.pad(&all.join(","))
    }
}

/// One of the two GPU pools of a host, as opposed to XAPI's resource pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum PoolId {
    A,
    B,
}

impl PoolId {
    /// In the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::A, Self::B];
    pub const EXPECTED: &'static str = "A or B";

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

/// The priority of a VM's GPU work. Ordered: low, medium, high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum Priority {
    /// 0 in the database.
    Low,
    /// 1 in the database.
    Medium,
    /// 2 in the database.
    High,
}

impl Priority {
    /// Lowest first: the index is the number in the database.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];
    pub const EXPECTED: &'static str = "low, medium or high (or 0, 1, 2)";

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The number in the database.
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

impl TryFrom<i64> for Priority {
    type Error = InvalidValue;

    fn try_from(number: i64) -> Result<Self, InvalidValue> {
        Self::ALL
            .into_iter()
            .find(|priority| i64::from(priority.as_number()) == number)
            .ok_or_else(|| InvalidValue::new(number.to_string(), Self::EXPECTED))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// The device's number for a VM (`vm_id=` on QEMU's command line): 1 to 4294967295, unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct DeviceVmId(NonZeroU32);

impl DeviceVmId {
    pub const EXPECTED: &'static str = "a whole number from 1 to 4294967295";

    /// The default number, unless it is taken: the CRC-32 (as in zip and Python's `zlib.crc32`) of the UUID's 36 lower-case
    /// characters, or 1 if that is 0.
    #[must_use]
    pub fn derived_from(vm_uuid: &VmUuid) -> Self {
        let hash = crc32fast::hash(vm_uuid.to_string().as_bytes());
        Self(NonZeroU32::new(hash).unwrap_or(NonZeroU32::MIN))
    }

    /// The next number, for when this one is taken; the last is followed by 1.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(NonZeroU32::MIN))
    }

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

/// A VM's settings, as they appear on QEMU's command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VmSettings {
    pub pool: PoolId,
    pub priority: Priority,
    pub vm_id: DeviceVmId,
}

text_in_serde!(
    VmUuid: {
        "description": "A VM's UUID in XAPI, in lower case",
        "type": "string",
        "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
    },
    HostUuid: {
        "description": "A host's UUID in XAPI, in lower case",
        "type": "string",
        "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
    },
    PoolId: { "description": "A GPU pool", "type": "string", "enum": ["A", "B"] },
    Priority: { "description": "Of a VM's GPU work", "type": "string", "enum": ["low", "medium", "high"] }
);

/// Whether XAPI can store a text: it truncates text at a control character (`db_cache_impl.ml`).
#[must_use]
pub fn fits_xapi(text: &str) -> bool {
    text.chars().all(fits_xapi_character)
}

#[must_use]
pub fn fits_xapi_character(character: char) -> bool {
    character >= ' ' || matches!(character, '\t' | '\n' | '\r')
}
