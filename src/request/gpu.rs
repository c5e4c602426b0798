//! Arguments about GPU pools and GPUs.

use std::fmt;
use std::str::FromStr;

use super::arguments::Word;
use crate::model::{Gpu, HostUuid, InvalidValue, PciAddress, PoolDescription, PoolName, VmLimit};

/// A GPU as people name it: the host's name or UUID, a colon and the PCI address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuSelector {
    pub host: HostSelector,
    pub address: PciAddress,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostSelector {
    Uuid(HostUuid),
    /// Its name in XAPI, which must be unique.
    Name(String),
}

impl GpuSelector {
    pub const EXPECTED: &'static str =
        "a host's name or UUID, a colon and a PCI address, such as host01:0000:81:00.0 (see 'vgpu-admin scan-gpus')";

    fn parse(text: &str) -> Option<Self> {
        let (rest, address) = text.split_at_checked(text.len().checked_sub(PciAddress::LENGTH)?)?;
        let host = rest.strip_suffix(':').filter(|host| !host.is_empty())?;
        Some(Self { host: host.into(), address: address.parse().ok()? })
    }
}

impl From<&str> for HostSelector {
    /// A UUID if it is one, otherwise a name.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Uuid)
    }
}

impl From<Gpu> for GpuSelector {
    fn from(Gpu { host, address }: Gpu) -> Self {
        Self { host: HostSelector::Uuid(host), address }
    }
}

impl FromStr for GpuSelector {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Self::parse(text).ok_or_else(|| InvalidValue { value: text.to_owned(), expected: Self::EXPECTED })
    }
}

impl fmt::Display for HostSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uuid(uuid) => fmt::Display::fmt(uuid, formatter),
            Self::Name(name) => formatter.pad(name),
        }
    }
}

impl fmt::Display for GpuSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.address)
    }
}

/// A value, or the word `none` to remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrNone<T> {
    None,
    Value(T),
}

impl<T> OrNone<T> {
    pub fn into_option(self) -> Option<T> {
        match self {
            Self::None => None,
            Self::Value(value) => Some(value),
        }
    }
}

impl<T: fmt::Display> fmt::Display for OrNone<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.pad("none"),
            Self::Value(value) => value.fmt(formatter),
        }
    }
}

macro_rules! or_none {
    ($($type:ident: $expected:literal),*) => {$(
        impl OrNone<$type> {
            pub const EXPECTED: &'static str = $expected;
        }
        impl FromStr for OrNone<$type> {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                if text.eq_ignore_ascii_case("none") {
                    return Ok(Self::None);
                }
                text.parse().map(Self::Value).map_err(|invalid: InvalidValue| InvalidValue {
                    expected: Self::EXPECTED,
                    ..invalid
                })
            }
        }
        impl Word for OrNone<$type> {
            const EXPECTED: &'static str = Self::EXPECTED;

            fn parse(text: String) -> Result<Self, InvalidValue> {
                text.parse()
            }
        }
    )*};
}
or_none!(
    PoolName: "a name of 1 to 64 characters on one line, or none to remove it",
    PoolDescription: "a description of 1 to 256 characters on one line, or none to remove it",
    VmLimit: "a whole number from 0 to 4294967295, or none for any number"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_by_its_uuid_or_by_any_name() {
        let gpu = |text: &str| text.parse::<GpuSelector>();
        assert_eq!(gpu("host01:0000:81:00.0").unwrap().host, HostSelector::Name("host01".to_owned()));
        assert_eq!(gpu("rack 3: höst:0000:81:00.0").unwrap().host, HostSelector::Name("rack 3: höst".to_owned()));
        let uuid = "5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01:0000:81:00.0";
        assert!(matches!(gpu(uuid).unwrap().host, HostSelector::Uuid(_)));
        assert_eq!(gpu(uuid).unwrap().to_string(), uuid);
        for text in
            ["", "0000:81:00.0", ":0000:81:00.0", "host01", "host01:81:00.0", "é0000:81:00.0", "host010000:81:00.0"]
        {
            assert!(gpu(text).is_err(), "{text}");
        }
    }

    #[test]
    fn none_removes_a_value() {
        assert_eq!("None".parse::<OrNone<VmLimit>>(), Ok(OrNone::None));
        assert_eq!("8".parse::<OrNone<VmLimit>>().unwrap().to_string(), "8");
        assert!("nine".parse::<OrNone<VmLimit>>().is_err());
    }
}
