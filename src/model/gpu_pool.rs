//! GPU pools and the physical GPUs that serve them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{HostUuid, InvalidValue};

/// The PCI address of a device on its host, as XAPI has it: `0000:81:00.0`. Accepted in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PciAddress {
    segment: u16,
    bus: u8,
    device: u8,
    function: u8,
}

impl PciAddress {
    pub const EXPECTED: &'static str = "a PCI address such as 0000:81:00.0 (see 'vgpu-admin scan-gpus')";
    /// In bytes.
    pub const LENGTH: usize = 12;

    fn parse(text: &str) -> Option<Self> {
        let (segment, rest) = text.split_once(':')?;
        let (bus, rest) = rest.split_once(':')?;
        let (device, function) = rest.split_once('.')?;
        let address = Self {
            segment: hexadecimal(segment, 4)?,
            bus: u8::try_from(hexadecimal(bus, 2)?).ok()?,
            device: u8::try_from(hexadecimal(device, 2)?).ok()?,
            function: u8::try_from(hexadecimal(function, 1)?).ok()?,
        };
        (address.device < 32 && address.function < 8).then_some(address)
    }
}

fn hexadecimal(text: &str, digits: usize) -> Option<u16> {
    let is_valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(text, 16).ok().filter(|_| is_valid)
}

impl FromStr for PciAddress {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::parse(text).ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for PciAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, bus, device, function } = self;
        formatter.pad(&format!("{segment:04x}:{bus:02x}:{device:02x}.{function:x}"))
    }
}

/// A physical GPU: `<host's UUID>:0000:81:00.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Gpu {
    pub host: HostUuid,
    pub address: PciAddress,
}

impl Gpu {
    pub const EXPECTED: &'static str =
        "a host's UUID, a colon and a PCI address, such as 5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01:0000:81:00.0";
}

impl FromStr for Gpu {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parse = || {
            let (host, address) = text.split_once(':')?;
            Some(Self { host: host.parse().ok()?, address: address.parse().ok()? })
        };
        parse().ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}:{}", self.host, self.address))
    }
}

/// The name of a GPU pool, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PoolName(String);

impl PoolName {
    pub const EXPECTED: &'static str = "a name of 1 to 64 characters on one line";
    const LONGEST: usize = 64;
}

/// What a GPU pool is for, for people.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PoolDescription(String);

impl PoolDescription {
    pub const EXPECTED: &'static str = "a description of 1 to 256 characters on one line";
    const LONGEST: usize = 256;
}

/// Whether it is one line that XAPI can store, with something to read in it.
fn is_line(text: &str, longest: usize) -> bool {
    // As the triggers of the database: SQLite reads the last two as U+FFFD, and trims only spaces.
    let fits = |character: char| !character.is_control() && !('\u{FFFD}'..='\u{FFFF}').contains(&character);
    (1..=longest).contains(&text.chars().count()) && text.chars().all(fits) && !text.trim_matches(' ').is_empty()
}

macro_rules! lines {
    ($($type:ident),*) => {$(
        impl $type {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $type {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                let is_valid = is_line(text, Self::LONGEST);
                is_valid.then(|| Self(text.to_owned())).ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }
    )*};
}
lines!(PoolName, PoolDescription);

/// How many VMs a GPU pool may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(with = "u32")]
pub struct VmLimit(u32);

impl VmLimit {
    pub const EXPECTED: &'static str = "a whole number from 0 to 4294967295";

    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// How many more VMs there may be.
    #[must_use]
    pub fn free(self, vms: u64) -> u64 {
        u64::from(self.0).saturating_sub(vms)
    }

    #[must_use]
    pub fn is_exceeded_by(self, vms: u64) -> bool {
        vms > self.0.into()
    }
}

impl TryFrom<i64> for VmLimit {
    type Error = InvalidValue;

    fn try_from(number: i64) -> Result<Self, InvalidValue> {
        number.try_into().map(Self).map_err(|_| InvalidValue::new(number.to_string(), Self::EXPECTED))
    }
}

impl FromStr for VmLimit {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| only_digits).map(Self).ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
    }
}

impl fmt::Display for VmLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// What is kept of a GPU pool beyond its VMs and GPUs.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GpuPoolSettings {
    pub name: Option<PoolName>,
    pub description: Option<PoolDescription>,
    /// `None` for any number of VMs.
    pub max_vms: Option<VmLimit>,
}

text_in_serde!(
    PciAddress: {
        "description": "The PCI address of a device on its host",
        "type": "string",
        "pattern": "^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$"
    },
    Gpu: {
        "description": "A physical GPU: its host's UUID and its PCI address",
        "type": "string",
        "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\\.[0-7]$"
    },
    PoolName: { "description": "The name of a GPU pool", "type": "string", "minLength": 1, "maxLength": 64 },
    PoolDescription: {
        "description": "What a GPU pool is for",
        "type": "string",
        "minLength": 1,
        "maxLength": 256
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01";

    #[test]
    fn a_gpu_is_its_host_and_its_pci_address_in_lower_case() {
        let gpu: Gpu = format!("{}:0000:8A:1F.7", HOST.to_uppercase()).parse().unwrap();
        assert_eq!(gpu.to_string(), format!("{HOST}:0000:8a:1f.7"));
        for address in ["", "81:00.0", "0000:81:00", "0000:81:20.0", "0000:81:00.8", "+000:81:00.0", "0000:81:00.0 "] {
            assert!(address.parse::<PciAddress>().is_err(), "{address}");
            assert!(format!("{HOST}:{address}").parse::<Gpu>().is_err(), "{address}");
        }
    }

    #[test]
    fn a_name_is_one_line_that_xapi_can_store() {
        assert!("é".repeat(64).parse::<PoolName>().is_ok());
        for name in ["", "  ", "two\nlines", "bell\u{7}", "\u{FFFE}", &"x".repeat(65)] {
            assert!(name.parse::<PoolName>().is_err(), "{name:?}");
        }
        assert!("x".repeat(256).parse::<PoolDescription>().is_ok());
        assert!("x".repeat(257).parse::<PoolDescription>().is_err());
    }

    #[test]
    fn a_limit_is_a_whole_number() {
        assert_eq!("0".parse::<VmLimit>().unwrap().get(), 0);
        assert_eq!(VmLimit::try_from(4_294_967_295).unwrap().to_string(), "4294967295");
        for limit in ["", "-1", "+1", "4294967296", "1.5"] {
            assert!(limit.parse::<VmLimit>().is_err(), "{limit}");
        }
    }
}
