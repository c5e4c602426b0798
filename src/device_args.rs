//! Our `-device vgpu-stub,…` inside a device-model-args string: build it, find it, replace it, take it out, read it.
//!
//! The string belongs to the administrator; we own one argument in it and leave every other byte as it is.

use std::ops::Range;

use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings};
use crate::settings::DeviceName;

/// The platform key that holds the string.
pub const PLATFORM_KEY: &str = "device-model-args";

/// How long the string may be, in bytes: xenstore's limit for one value (oxenstored, `quota.ml`). xapi takes more, but
/// then the domain cannot be created and the VM does not start.
pub const LIMIT: usize = 2048;

/// The properties that we set; all others in our argument are the administrator's.
const OUR_PROPERTIES: [&str; 3] = ["pool_id", "priority", "vm_id"];

/// Our argument as found in a string, with as much of it as could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDevice {
    /// The argument as it stands there.
    pub text: String,
    /// Its GPU pool.
    pub pool: Option<PoolId>,
    /// Its priority.
    pub priority: Option<Priority>,
    /// Its `vm_id`.
    pub vm_id: Option<DeviceVmId>,
}

impl FoundDevice {
    /// All three, where all three could be read.
    #[must_use]
    pub fn settings(&self) -> Option<VmSettings> {
        Some(VmSettings { pool: self.pool?, priority: self.priority?, vm_id: self.vm_id? })
    }
}

/// The argument that a VM with these settings gets.
#[must_use]
pub fn argument(device: &DeviceName, settings: &VmSettings) -> String {
    format!("-device {}", option_value(device, settings, &[]))
}

fn option_value(device: &DeviceName, settings: &VmSettings, others: &[String]) -> String {
    let VmSettings { pool, priority, vm_id } = settings;
    let ours = format!("{},pool_id={pool},priority={priority},vm_id={vm_id}", device.as_str());
    std::iter::once(ours).chain(others.iter().cloned()).collect::<Vec<_>>().join(",")
}

/// Finds our argument. Of several, the first: QEMU would make a device of each, which we never let happen.
#[must_use]
pub fn find(device: &DeviceName, args: &str) -> Option<FoundDevice> {
    find_all(device, args).into_iter().next()
}

/// Finds our argument wherever it stands: by hand it may have been written more than once.
#[must_use]
pub fn find_all(device: &DeviceName, args: &str) -> Vec<FoundDevice> {
    let found = |place: Place| {
        let property =
            |name: &str| place.properties.iter().rev().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
        FoundDevice {
            text: args[place.range.clone()].to_owned(),
            pool: property("pool_id").and_then(|text| text.parse().ok()),
            priority: property("priority").and_then(|text| text.parse().ok()),
            vm_id: property("vm_id").and_then(|text| text.parse().ok()),
        }
    };
    places(device, args).into_iter().map(found).collect()
}

/// The string with our argument in it, once, as these settings want it: replaced where it stands, else added at the end.
/// Properties that are not ours stay with it. A string that already says so comes back as it is.
///
/// # Errors
/// The result would be longer than [`LIMIT`], or the string ends so that nothing can be added to it.
pub fn with(device: &DeviceName, args: &str, settings: &VmSettings) -> Result<String, Error> {
    let places = places(device, args);
    let result = match places.split_first() {
        Some((_, [])) if find(device, args).and_then(|found| found.settings()).as_ref() == Some(settings) => {
            args.to_owned()
        }
        Some((first, _)) => {
            let mut result = args.to_owned();
            for place in places.iter().skip(1).rev() {
                result.replace_range(with_one_space(args, &place.range), "");
            }
            result.replace_range(first.range.clone(), &first.rewritten(device, settings));
            result
        }
        None if args.is_empty() => argument(device, settings),
        // Inside an open quote it would be a part of somebody else's argument.
        None if quoted_words(args).is_none() => return Err(Error::DeviceArgsUnclear(args.to_owned())),
        None => format!("{args} {}", argument(device, settings)),
    };
    // A string that was too long before and is not ours to shorten fails all the same: the VM would not start.
    if result.len() > LIMIT {
        return Err(Error::DeviceArgsTooLong { length: result.len(), limit: LIMIT });
    }
    // After a backslash at its end, say, nobody could tell where the next argument begins.
    if find(device, &result).and_then(|found| found.settings()).as_ref() != Some(settings) {
        return Err(Error::DeviceArgsUnclear(args.to_owned()));
    }
    Ok(result)
}

/// The string without our argument, and without the one space that set it apart.
#[must_use]
pub fn without(device: &DeviceName, args: &str) -> String {
    let mut result = args.to_owned();
    // One after the other: what is left may pair up its quotes in another way.
    while let Some(place) = places(device, &result).pop() {
        let range = with_one_space(&result, &place.range);
        result.replace_range(range, "");
    }
    result
}

/// Whether a string holds anything that is not ours: another argument, or a property of our argument that we do not set.
#[must_use]
pub fn has_more(device: &DeviceName, args: &str) -> bool {
    let is_ours = |text: &String| OUR_PROPERTIES.contains(&text.split('=').next().unwrap_or_default());
    let has_other_property = places(device, args).iter().any(|place| !place.properties.iter().all(is_ours));
    has_other_property || !without(device, args).trim().is_empty()
}

/// What the platform key is to hold, given what it holds: our argument for these settings, or no argument of ours where
/// there are none. `None` is a key that is not there; a string that held nothing but our argument goes with it.
///
/// # Errors
/// As [`with`].
pub fn desired(
    device: &DeviceName,
    current: Option<&str>,
    settings: Option<&VmSettings>,
) -> Result<Option<String>, Error> {
    let args = current.unwrap_or_default();
    let Some(settings) = settings else {
        let rest = without(device, args);
        let emptied = rest.len() < args.len() && rest.trim().is_empty();
        return Ok(current.map(|_| rest).filter(|_| !emptied));
    };
    with(device, args, settings).map(Some)
}

/// Where our argument stands, from its `-device` to the end of its value.
#[derive(Debug)]
struct Place {
    range: Range<usize>,
    /// What the value says after the device's name, quotes gone.
    properties: Vec<String>,
    /// The quote that the value was written in.
    quote: Option<char>,
}

impl Place {
    fn rewritten(&self, device: &DeviceName, settings: &VmSettings) -> String {
        let is_ours = |text: &String| OUR_PROPERTIES.contains(&text.split('=').next().unwrap_or_default());
        let others: Vec<_> = self.properties.iter().filter(|text| !is_ours(text)).cloned().collect();
        let value = option_value(device, settings, &others);
        match self.quote {
            Some(quote) if others.iter().any(|text| !is_plain(text)) => format!("-device {quote}{value}{quote}"),
            _ => format!("-device {value}"),
        }
    }
}

/// Whether a text means the same to a program that splits at spaces and to one that reads quotes.
fn is_plain(text: &str) -> bool {
    !text.contains(|character: char| character.is_whitespace() || "'\"\\".contains(character))
}

/// The range and one space beside it: the one before, or the one after where the range begins the string.
fn with_one_space(args: &str, range: &Range<usize>) -> Range<usize> {
    let before = args[..range.start].chars().next_back().filter(|character| character.is_whitespace());
    let after = args[range.end..].chars().next().filter(|character| character.is_whitespace());
    match (before, after) {
        (Some(space), _) => range.start - space.len_utf8()..range.end,
        (None, Some(space)) => range.start..range.end + space.len_utf8(),
        (None, None) => range.clone(),
    }
}

fn places(device: &DeviceName, args: &str) -> Vec<Place> {
    let words = words(args);
    let mut places = Vec::new();
    let mut rest = words.as_slice();
    while let [option, value, ..] = rest {
        // QEMU takes the word after -device for its value, whatever it is.
        let is_device = matches!(option.text.as_str(), "-device" | "--device");
        rest = &rest[if is_device { 2 } else { 1 }..];
        let Some(properties) = properties_of(device, value).filter(|_| is_device) else { continue };
        let quote = args[value.range.clone()].chars().find(|character| "'\"".contains(*character));
        places.push(Place { range: option.range.start..value.range.end, properties, quote });
    }
    places
}

/// The properties that the value of `-device` gives our device; `None` where it is another device.
fn properties_of(device: &DeviceName, value: &Word) -> Option<Vec<String>> {
    let mut parts = option_parts(&value.text).into_iter();
    let first = parts.next()?;
    let driver = first.strip_prefix("driver=").unwrap_or(&first);
    (driver == device.as_str()).then(|| parts.collect())
}

/// Splits at commas as QEMU does: two in a row are one comma of the value (QEMU, `util/keyval.c`).
fn option_parts(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            (',', Some(part)) if characters.next_if_eq(&',').is_some() => part.push_str(",,"),
            (',', _) => parts.push(String::new()),
            (_, Some(part)) => part.push(character),
            (_, None) => {}
        }
    }
    parts
}

/// One word of the string: where it stands, and what it says without its quotes.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    range: Range<usize>,
    text: String,
}

/// The words as a shell would read them. Where quotes do not pair up no shell could have read the string, so whoever
/// splits it splits at spaces only, and so do we.
fn words(args: &str) -> Vec<Word> {
    quoted_words(args).unwrap_or_else(|| {
        let start_of = |word: &str| word.as_ptr() as usize - args.as_ptr() as usize;
        let word = |text: &str| Word { range: start_of(text)..start_of(text) + text.len(), text: text.to_owned() };
        args.split_whitespace().map(word).collect()
    })
}

fn quoted_words(args: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut quote = None;
    let mut characters = args.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(current.take());
            continue;
        }
        let word = current.get_or_insert_with(|| Word { range: at..at, text: String::new() });
        word.range.end = at + character.len_utf8();
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None | Some('"'), '\\') => {
                let (at, escaped) = characters.next()?;
                word.range.end = at + escaped.len_utf8();
                word.text.push(escaped);
            }
            _ => word.text.push(character),
        }
    }
    words.extend(current);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests;
