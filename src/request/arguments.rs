//! A request's arguments as text, because XAPI passes only text to a plugin.

use std::collections::BTreeMap;

use super::gpu::GpuSelector;
use crate::config_file::{ConfigFile, FileFormat};
use crate::error::Error;
use crate::model::{DeviceVmId, Gpus, InvalidValue, PoolId, Priority, VmUuid, VmUuids};

/// A call's arguments by name. An empty one counts as left out, because that is easier in scripts that call `xe`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments(BTreeMap<String, String>);

impl FromIterator<(String, String)> for Arguments {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(arguments: T) -> Self {
        Self(arguments.into_iter().collect())
    }
}

impl Arguments {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|text| !text.is_empty())
    }

    fn put(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text);
    }

    /// Refuses unknown arguments, because a mistyped name would otherwise count as an argument that was left out.
    pub(super) fn end(self, known: &[&str]) -> Result<(), Error> {
        let Some((name, value)) = self.0.into_iter().next() else { return Ok(()) };
        let expected = match known {
            [] => "no arguments".to_owned(),
            _ => format!("only the arguments {}", known.join(", ")),
        };
        Err(Error::InvalidParam { name, value, expected })
    }
}

/// A type of a request's field.
pub(super) trait Argument: Sized {
    /// The names of the arguments for this field, usually one.
    fn names(field: &'static str) -> Vec<&'static str> {
        vec![field]
    }

    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error>;

    fn write(&self, field: &'static str, arguments: &mut Arguments);
}

/// A value in one argument.
pub(super) trait Word: Sized + ToString {
    const EXPECTED: &'static str;

    fn parse(text: String) -> Result<Self, InvalidValue>;
}

impl<T: Word> Argument for T {
    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        Option::read(field, arguments)?.ok_or(Error::MissingParam { name: field, expected: T::EXPECTED })
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        arguments.put(field, self.to_string());
    }
}

impl<T: Word> Argument for Option<T> {
    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        let parse = |text| T::parse(text).map_err(|invalid| Error::invalid(field, invalid));
        arguments.take(field).map(parse).transpose()
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        if let Some(value) = self {
            arguments.put(field, value.to_string());
        }
    }
}

/// False if left out. False is not written, because an older host may not know the argument.
impl Argument for bool {
    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        let Some(text) = arguments.take(field) else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(true),
            "false" | "no" | "0" => Ok(false),
            _ => Err(Error::invalid(field, InvalidValue { value: text, expected: "true or false" })),
        }
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        if *self {
            arguments.put(field, "true".to_owned());
        }
    }
}

/// A list that is there and empty is refused: it must not be mistaken for no list, which means all.
macro_rules! lists {
    ($($type:ty),*) => {$(
        impl Argument for Option<$type> {
            fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
                let Some(text) = arguments.0.remove(field) else { return Ok(None) };
                let invalid = |()| Error::invalid(field, InvalidValue { value: text.clone(), expected: <$type>::EXPECTED });
                text.parse().map(Some).map_err(invalid)
            }

            fn write(&self, field: &'static str, arguments: &mut Arguments) {
                if let Some(several) = self {
                    arguments.put(field, several.to_string());
                }
            }
        }
    )*};
}
lists!(VmUuids, Gpus);

impl Argument for ConfigFile {
    fn read(field: &'static str, arguments: &mut Arguments) -> Result<Self, Error> {
        let expected = "the text of a file that export wrote, TOML or JSON";
        let text = arguments.take(field).ok_or(Error::MissingParam { name: field, expected })?;
        Ok(Self::parse(&text)?)
    }

    fn write(&self, field: &'static str, arguments: &mut Arguments) {
        // A configuration can always be written.
        arguments.put(field, self.to_text(FileFormat::Toml).unwrap_or_default());
    }
}

impl Word for String {
    const EXPECTED: &'static str = "a text";

    fn parse(text: String) -> Result<Self, InvalidValue> {
        Ok(text)
    }
}

impl Word for u32 {
    const EXPECTED: &'static str = "a whole number";

    fn parse(text: String) -> Result<Self, InvalidValue> {
        text.parse().map_err(|_| InvalidValue { value: text, expected: Self::EXPECTED })
    }
}

macro_rules! words_of_the_model {
    ($($type:ty),*) => {$(
        impl Word for $type {
            const EXPECTED: &'static str = <$type>::EXPECTED;

            fn parse(text: String) -> Result<Self, InvalidValue> {
                text.parse()
            }
        }
    )*};
}
words_of_the_model!(VmUuid, PoolId, Priority, DeviceVmId, GpuSelector);
