//! Parsers for values that are one of a few words, which the completion offers.

use std::error::Error;
use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Arg, Command};
use vgpu_config::model::{PoolId, Priority};

/// Parses a value with its type, which may accept more than the words offered.
#[derive(Clone)]
struct OneOf<T> {
    words: Vec<&'static str>,
    parsed_as: PhantomData<T>,
}

impl<T> OneOf<T> {
    fn new(words: impl Iterator<Item = &'static str>) -> Self {
        Self { words: words.collect(), parsed_as: PhantomData }
    }
}

impl<T> TypedValueParser for OneOf<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static> + Clone + Send + Sync + 'static,
{
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        StringValueParser::new().try_map(|text| text.parse::<T>()).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.words.iter().map(PossibleValue::new)))
    }
}

#[must_use]
pub fn pool() -> impl TypedValueParser<Value = PoolId> {
    OneOf::new(PoolId::ALL.iter().map(|pool| pool.as_str()))
}

#[must_use]
pub fn priority() -> impl TypedValueParser<Value = Priority> {
    OneOf::new(Priority::ALL.iter().map(|priority| priority.as_str()))
}
