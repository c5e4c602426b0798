//! Which VM is meant: arguments that belong together.

use super::arguments::{Argument, Arguments};
use crate::error::Error;
use crate::model::VmUuid;

/// Which VM is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmSelector {
    /// The one with this UUID.
    Uuid(VmUuid),
    /// The one with this name in XAPI, if only one has it.
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

/// Which VM is to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewVm {
    /// The one with this UUID.
    Uuid {
        /// Its UUID.
        uuid: VmUuid,
        /// Its name, where XAPI cannot tell it.
        name: Option<String>,
    },
    /// The one with this name in XAPI, if only one has it.
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

/// Which VMs are to have their settings now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyTo {
    /// This one.
    Vm(VmSelector),
    /// Every running VM that was started with other settings than it has now.
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
