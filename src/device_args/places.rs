//! Finds our device in a device-model-args string: as `-device vgpu-stub,…`, as `-device {"driver":"vgpu-stub",…}`, and with the
//! properties that `-set device.ID.…` adds to it.

use std::ops::Range;

use indexmap::IndexMap;
use serde_json::Value;

use super::words::{Word, option_parts, words};
use super::{OUR_PROPERTIES, argument, option_value};
use crate::model::VmSettings;
use crate::settings::DeviceName;

#[derive(Debug)]
pub(super) struct Place {
    /// From its `-device` to the end of its value.
    pub range: Range<usize>,
    /// Whether all of its properties can be written as `name=value`.
    pub can_be_rewritten: bool,
    /// After the device's name, without quotes.
    properties: Vec<String>,
    /// The quote around the value.
    quote: Option<char>,
    sets: Vec<Set>,
}

/// A `-set device.ID.name=value`.
#[derive(Debug)]
struct Set {
    range: Range<usize>,
    id: String,
    property: String,
}

impl Place {
    /// The value that QEMU uses: `-set` overrides the device's own properties, and later ones override earlier ones.
    pub fn property(&self, name: &str) -> Option<&str> {
        let texts = self.properties.iter().chain(self.sets.iter().map(|set| &set.property));
        texts.rev().find_map(|text| text.strip_prefix(name)?.strip_prefix('='))
    }

    /// Every property with the value that QEMU uses, in the order in which they first appear.
    pub fn effective(&self) -> IndexMap<&str, Option<&str>> {
        let texts = self.properties.iter().chain(self.sets.iter().map(|set| &set.property));
        texts
            .map(|text| text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name, Some(value))))
            .collect()
    }

    /// The parts of the string that belong to this device.
    pub fn ranges(&self) -> impl Iterator<Item = &Range<usize>> {
        std::iter::once(&self.range).chain(self.sets.iter().map(|set| &set.range))
    }

    /// Something to remove: a `-set` of our properties, or everything if the device itself is removed, because QEMU exits if
    /// `-set` names a missing device.
    pub fn surplus(&self, whole: bool) -> Option<Range<usize>> {
        let set = self.sets.iter().rev().find(|set| whole || is_ours(&set.property)).map(|set| set.range.clone());
        set.or_else(|| whole.then(|| self.range.clone()))
    }

    /// Whether it has exactly these settings, because QEMU gets `pool_id=a` unchanged. The order of properties does not matter.
    pub fn says_exactly(&self, device: &DeviceName, settings: &VmSettings, args: &str) -> bool {
        let mut ours: Vec<_> = self.properties.iter().filter(|text| is_ours(text)).map(String::as_str).collect();
        let wanted = argument(device, settings);
        let mut wanted: Vec<_> = wanted.split(',').skip(1).collect();
        ours.sort_unstable();
        wanted.sort_unstable();
        let text = &args[self.range.clone()];
        ours == wanted && (is_plain_value(text) || text == self.rewritten(device, settings))
    }

    /// Our argument with these settings, and with its other properties.
    pub fn rewritten(&self, device: &DeviceName, settings: &VmSettings) -> String {
        let others: Vec<_> = self.properties.iter().filter(|text| !is_ours(text)).cloned().collect();
        let value = option_value(device, settings, &others);
        match self.quote {
            Some(quote) if others.iter().any(|text| !is_plain(text)) => format!("-device {quote}{value}{quote}"),
            _ => format!("-device {value}"),
        }
    }
}

fn is_ours(property: &str) -> bool {
    OUR_PROPERTIES.contains(&property.split('=').next().unwrap_or_default())
}

/// Whether a program that splits at spaces and one that reads quotes understand a text in the same way.
fn is_plain(text: &str) -> bool {
    !text.contains(char::is_whitespace) && is_plain_value(text)
}

fn is_plain_value(text: &str) -> bool {
    !text.contains(['\'', '"', '\\'])
}

/// The range and one space: the one before it, or the one after it if the range is at the start.
pub(super) fn with_one_space(args: &str, range: &Range<usize>) -> Range<usize> {
    let before = args[..range.start].chars().next_back().filter(|character| character.is_whitespace());
    let after = args[range.end..].chars().next().filter(|character| character.is_whitespace());
    match (before, after) {
        (Some(space), _) => range.start - space.len_utf8()..range.end,
        (None, Some(space)) => range.start..range.end + space.len_utf8(),
        (None, None) => range.clone(),
    }
}

/// In the order of the string.
pub(super) fn places(device: &DeviceName, args: &str) -> Vec<Place> {
    let words = words(args);
    let (mut places, mut sets, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = words.as_slice();
    while let [option, value, ..] = rest {
        let range = option.range.start..value.range.end;
        // For QEMU, the word after -device is always its value.
        let is_taken = match option.text.as_str() {
            "-device" | "--device" => {
                let made = Device::read(value, &args[value.range.clone()]);
                ids.extend(made.id());
                if made.driver == device.as_str() {
                    let quote = args[value.range.clone()].chars().find(|character| "'\"".contains(*character));
                    let Device { properties, can_be_rewritten, .. } = made;
                    places.push(Place { range, can_be_rewritten, properties, quote, sets: Vec::new() });
                }
                true
            }
            "-set" | "--set" => {
                let set = Set::read(range, &value.text);
                let is_taken = set.is_some();
                sets.extend(set);
                is_taken
            }
            _ => false,
        };
        rest = &rest[if is_taken { 2 } else { 1 }..];
    }
    for set in sets {
        // If two devices share an ID, it is ambiguous.
        let is_unique = ids.iter().filter(|id| **id == set.id).count() == 1;
        let place = places.iter_mut().find(|place| id_of(&place.properties).as_ref() == Some(&set.id));
        if let Some(place) = place.filter(|_| is_unique) {
            place.sets.push(set);
        }
    }
    places
}

/// The value of `-device`.
struct Device {
    driver: String,
    properties: Vec<String>,
    can_be_rewritten: bool,
}

impl Device {
    fn read(value: &Word, raw: &str) -> Self {
        // A program that splits at spaces keeps JSON's own quotes; one that reads quotes needs another pair around them.
        if let Some(device) = Self::from_json(&value.text).or_else(|| Self::from_json(raw)) {
            return device;
        }
        let mut parts = option_parts(&value.text).into_iter();
        let first = parts.next().unwrap_or_default();
        let driver = first.strip_prefix("driver=").unwrap_or(&first).to_owned();
        Self { driver, properties: parts.collect(), can_be_rewritten: true }
    }

    /// For QEMU, a value that begins with a brace is JSON (since 6.2).
    fn from_json(text: &str) -> Option<Self> {
        let mut members: IndexMap<String, Value> = serde_json::from_str(text).ok()?;
        let Value::String(driver) = members.shift_remove("driver")? else { return None };
        let mut device = Self { driver, properties: Vec::new(), can_be_rewritten: true };
        for (name, value) in members {
            let text = match value {
                Value::String(text) => text.replace(',', ",,"),
                Value::Number(number) => number.to_string(),
                Value::Bool(is_on) => if is_on { "on" } else { "off" }.to_owned(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    device.can_be_rewritten = false;
                    continue;
                }
            };
            device.properties.push(format!("{name}={text}"));
        }
        Some(device)
    }

    fn id(&self) -> Option<String> {
        id_of(&self.properties)
    }
}

fn id_of(properties: &[String]) -> Option<String> {
    properties.iter().rev().find_map(|text| text.strip_prefix("id=")).map(|id| id.replace(",,", ","))
}

impl Set {
    /// Reads `device.ID.name=value` as QEMU does (`qemu_set_option` in its `vl.c`).
    fn read(range: Range<usize>, text: &str) -> Option<Self> {
        let (id, property) = text.strip_prefix("device.")?.split_once('.')?;
        property.contains('=').then(|| Self { range, id: id.to_owned(), property: property.to_owned() })
    }
}
