//! Parsers for values. A wrong value is answered with what is allowed, and with the nearest word if it is one of a few.

use std::ffi::OsStr;
use std::marker::PhantomData;
use std::str::FromStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, Command};
use vgpu_config::model::{InvalidValue, PoolId, Priority};
use vgpu_config::request::VmSelector;

/// How alike two words must be for one to be suggested: as clap does it.
const ALIKE: f64 = 0.7;

/// A value on the command line.
pub trait Word: Sized {
    /// # Errors
    /// It is not valid.
    fn parse(text: &str) -> Result<Self, InvalidValue>;

    /// The words that the completion offers; none if there are not just a few.
    #[must_use]
    fn words() -> Vec<&'static str> {
        Vec::new()
    }
}

/// One of a few words.
pub trait Value: Word {
    /// In the usage.
    const NAME: &'static str;
}

impl Word for PoolId {
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|pool| pool.as_str()).collect()
    }
}

impl Value for PoolId {
    const NAME: &'static str = "POOL";
}

impl Word for Priority {
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.parse()
    }

    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|priority| priority.as_str()).collect()
    }
}

impl Value for Priority {
    const NAME: &'static str = "PRIORITY";
}

impl Word for VmSelector {
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        Self::from_word(text)
    }
}

/// Reads a value of an argument.
///
/// # Errors
/// The message for a person.
pub fn read<T: Word>(argument: &str, text: &str) -> Result<T, String> {
    T::parse(text).map_err(|invalid| complaint(argument, text, invalid.expected, &T::words()))
}

fn complaint(argument: &str, text: &str, expected: &str, words: &[&str]) -> String {
    let text = text.escape_debug();
    let tip = nearest(&text.to_string(), words);
    let tip = tip.map(|word| format!("\n\n  tip: a similar value exists: '{word}'")).unwrap_or_default();
    format!("invalid value '{text}' for '{argument}': expected {expected}{tip}")
}

/// The word that is most like a mistyped one, if one is.
#[must_use]
pub fn nearest<'w>(mistyped: &str, words: &[&'w str]) -> Option<&'w str> {
    let mistyped = mistyped.to_lowercase();
    let alike = |word: &&'w str| (strsim::jaro(&mistyped, &word.to_lowercase()), *word);
    let best = words.iter().map(alike).max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 > ALIKE).then_some(best.1)
}

/// Parses a value with its type, which may accept more than the words offered.
struct Parser<T>(PhantomData<fn() -> T>);

impl<T> Clone for Parser<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T: Word + Clone + Send + Sync + 'static> TypedValueParser for Parser<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, argument: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        let argument = argument.map(ToString::to_string).unwrap_or_default();
        read(&argument, &text).map_err(|message| command.clone().error(ErrorKind::InvalidValue, message))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = T::words();
        (!words.is_empty()).then(|| Box::new(words.into_iter().map(PossibleValue::new)) as Box<_>)
    }
}

/// One of a few words.
#[must_use]
pub fn value<T: Value + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = T> {
    Parser(PhantomData)
}

/// A VM's name or UUID.
#[must_use]
pub fn vm() -> impl TypedValueParser<Value = VmSelector> {
    Parser(PhantomData)
}

/// Any value of the model.
#[must_use]
pub fn parsed<T>() -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = InvalidValue> + Clone + Send + Sync + 'static,
{
    let parser: Parser<Parsed<T>> = Parser(PhantomData);
    parser.map(|Parsed(value)| value)
}

#[derive(Clone)]
struct Parsed<T>(T);

impl<T: FromStr<Err = InvalidValue>> Word for Parsed<T> {
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        text.parse().map(Self)
    }
}
