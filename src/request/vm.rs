//! Arguments that select VMs.

use super::arguments::{Argument, Arguments};
use crate::error::Error;
use crate::model::{InvalidValue, VmUuid};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmSelector {
    Uuid(VmUuid),
    /// Its name in XAPI, which must be unique.
    Name(String),
}

const UUID: &str = "vm_uuid";
const NAME: &str = "vm_name";
const SEVERAL: &str = "vms";

impl VmSelector {
    pub const EXPECTED: &'static str = "a VM's name or UUID, on one line";

    /// A UUID if it is one, otherwise a name.
    ///
    /// # Errors
    /// It is empty or has several lines: a list of VMs has one on each line.
    pub fn from_word(word: &str) -> Result<Self, InvalidValue> {
        if word.is_empty() || word.contains(['\n', '\r']) {
            return Err(InvalidValue { value: word.escape_debug().to_string(), expected: Self::EXPECTED });
        }
        Ok(word.parse().map_or_else(|_| Self::Name(word.to_owned()), Self::Uuid))
    }

    /// One VM on each line; lines with nothing but spaces are skipped.
    ///
    /// # Errors
    /// There is none.
    pub fn from_lines(text: &str) -> Result<Vec<Self>, InvalidValue> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let vms = lines.map(Self::from_word).collect::<Result<Vec<_>, _>>()?;
        if vms.is_empty() {
            return Err(InvalidValue {
                value: text.escape_debug().to_string(),
                expected: "the name or UUID of a VM on each line",
            });
        }
        Ok(vms)
    }

    fn to_line(&self) -> String {
        match self {
            Self::Uuid(uuid) => uuid.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

fn read_several(arguments: &mut Arguments) -> Result<Option<Vec<VmSelector>>, Error> {
    let text: Option<String> = Option::read(SEVERAL, arguments)?;
    text.map(|text| VmSelector::from_lines(&text).map_err(|invalid| Error::invalid(SEVERAL, invalid))).transpose()
}

fn write_several(vms: &[VmSelector], arguments: &mut Arguments) {
    vms.iter().map(VmSelector::to_line).collect::<Vec<_>>().join("\n").write(SEVERAL, arguments);
}

fn refuse_both(value: String) -> Error {
    Error::InvalidParam { name: SEVERAL.to_owned(), value, expected: "either vms, or one VM".to_owned() }
}

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

/// The VMs of a request that changes all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VmSelectors {
    /// Answered with one reply.
    One(VmSelector),
    /// Answered with a list of replies.
    Several(Vec<VmSelector>),
}

impl From<VmSelector> for VmSelectors {
    fn from(vm: VmSelector) -> Self {
        Self::One(vm)
    }
}

impl VmSelectors {
    #[must_use]
    pub fn as_slice(&self) -> &[VmSelector] {
        match self {
            Self::One(vm) => std::slice::from_ref(vm),
            Self::Several(vms) => vms,
        }
    }
}

impl Argument for VmSelectors {
    fn names(_: &'static str) -> Vec<&'static str> {
        vec![UUID, NAME, SEVERAL]
    }

    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        match (Option::<VmSelector>::read(field, arguments)?, read_several(arguments)?) {
            (None, Some(vms)) => Ok(Self::Several(vms)),
            (Some(vm), Some(_)) => Err(refuse_both(vm.to_line())),
            (Some(vm), None) => Ok(Self::One(vm)),
            (None, None) => Err(Error::MissingParam { name: UUID, expected: VmUuid::EXPECTED }),
        }
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        match self {
            Self::One(vm) => vm.write(field, arguments),
            Self::Several(vms) => write_several(vms, arguments),
        }
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

/// The VMs to register, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewVms {
    /// Answered with one reply.
    One(NewVm),
    /// Answered with a list of replies.
    Several(Vec<VmSelector>),
}

impl From<NewVm> for NewVms {
    fn from(vm: NewVm) -> Self {
        Self::One(vm)
    }
}

impl Argument for NewVms {
    fn names(field: &'static str) -> Vec<&'static str> {
        VmSelectors::names(field)
    }

    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        let Some(vms) = read_several(arguments)? else { return NewVm::read(field, arguments).map(Self::One) };
        match Option::<VmSelector>::read(field, arguments)? {
            None => Ok(Self::Several(vms)),
            Some(vm) => Err(refuse_both(vm.to_line())),
        }
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        match self {
            Self::One(vm) => vm.write(field, arguments),
            Self::Several(vms) => write_several(vms, arguments),
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
