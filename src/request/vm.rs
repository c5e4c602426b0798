//! Arguments that select VMs.

use super::arguments::{Argument, Arguments};
use crate::error::Error;
use crate::model::VmUuid;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmSelector {
    Uuid(VmUuid),
    /// Its name in XAPI, which must be unique.
    Name(String),
}

const UUID: &str = "vm_uuid";
const NAME: &str = "vm_name";

impl Argument for Option<VmSelector> {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec![UUID, NAME]
    }

    fn read(_: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        match (Option::read(UUID, arguments)?, Option::read(NAME, arguments)?) {
            (Some(uuid), None) => Ok(Some(VmSelector::Uuid(uuid))),
            (None, Some(name)) => Ok(Some(VmSelector::Name(name))),
            (Some(_), Some(value)) => Err(Error::InvalidParam {
                name: NAME.to_owned(),
                value,
                expected: "either vm_uuid or vm_name".to_owned(),
            }),
            (None, None) => Ok(None),
        }
    }

    fn write(&self, _: &'static str, arguments: &mut Arguments) {
        match self {
            Some(VmSelector::Uuid(uuid)) => uuid.write(UUID, arguments),
            Some(VmSelector::Name(name)) => name.write(NAME, arguments),
            None => {}
        }
    }
}

impl Argument for VmSelector {
    fn names(field: &'static str) -> Vec<&'static str> {
        Option::<Self>::names(field)
    }

    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        Option::read(field, arguments)?.ok_or(Error::MissingParam { name: UUID, expected: VmUuid::EXPECTED })
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        Some(self.clone()).write(field, arguments);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewVm {
    Uuid {
        uuid: VmUuid,
        /// Its name, if XAPI does not know the VM.
        name: Option<String>,
    },
    /// Its name in XAPI, which must be unique.
    Name(String),
}

impl Argument for NewVm {
    fn names(field: &'static str) -> Vec<&'static str> {
        VmSelector::names(field)
    }

    fn read(_: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        match (Option::read(UUID, arguments)?, Option::read(NAME, arguments)?) {
            (Some(uuid), name) => Ok(Self::Uuid { uuid, name }),
            (None, Some(name)) => Ok(Self::Name(name)),
            (None, None) => Err(Error::MissingParam { name: UUID, expected: VmUuid::EXPECTED }),
        }
    }

    fn write(&self, _: &'static str, arguments: &mut Arguments) {
        match self {
            Self::Uuid { uuid, name } => {
                uuid.write(UUID, arguments);
                name.write(NAME, arguments);
            }
            Self::Name(name) => name.write(NAME, arguments),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyTo {
    Vm(VmSelector),
    /// All running VMs that do not have their current settings.
    Pending,
}

const PENDING: &str = "pending";

impl Argument for ApplyTo {
    fn names(field: &'static str) -> Vec<&'static str> {
        [VmSelector::names(field), vec![PENDING]].concat()
    }

    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        match (Option::read(field, arguments)?, bool::read(PENDING, arguments)?) {
            (Some(vm), false) => Ok(Self::Vm(vm)),
            (None, true) => Ok(Self::Pending),
            _ => Err(Error::MissingParam { name: UUID, expected: "either a VM, or pending=true for all" }),
        }
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        match self {
            Self::Vm(vm) => vm.write(field, arguments),
            Self::Pending => true.write(PENDING, arguments),
        }
    }
}
