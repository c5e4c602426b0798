//! What our qemu-wrapper passes to QEMU from a device-model-args string. A vm-admin can write the string, and QEMU starts as
//! root in dom0, so no other option may reach QEMU.

use std::fmt::Display;
use std::str::FromStr;

use super::OUR_PROPERTIES;
use super::places::{Place, places};
use super::words::words;
use crate::model::{DeviceVmId, PoolId, Priority};
use crate::settings::{DeviceName, Pass, QemuWrapper};
use crate::text::one_line;

/// Properties that every device has, and that only say where it is plugged in.
const HARMLESS: [&str; 4] = ["bus", "addr", "id", "multifunction"];

/// How many characters of a text from outside are logged.
const SHOWN: usize = 100;

/// What QEMU gets, and what is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passed {
    /// The words for QEMU's command line.
    pub words: Vec<String>,
    /// What is not passed and why, one sentence each.
    pub left_out: Vec<String>,
}

/// What QEMU gets from a string. Unless the settings say "everything", this is our device, once and with valid values, or nothing.
#[must_use]
pub fn passed(device: &DeviceName, settings: &QemuWrapper, args: &str) -> Passed {
    match settings.pass {
        Pass::Everything => {
            Passed { words: words(args).into_iter().map(|word| word.text).collect(), left_out: Vec::new() }
        }
        Pass::Device => only_our_device(device, settings, args),
    }
}

fn only_our_device(device: &DeviceName, settings: &QemuWrapper, args: &str) -> Passed {
    let mut passed = Passed::default();
    let places = places(device, args);
    let is_ours = |start: usize| places.iter().flat_map(Place::ranges).any(|range| range.contains(&start));
    let others: Vec<_> =
        words(args).into_iter().filter(|word| !is_ours(word.range.start)).map(|word| &args[word.range]).collect();
    if !others.is_empty() {
        passed.left_out.push(format!(
            "{}: only -device {} is passed (see pass in vgpu.toml)",
            shown(&others.join(" ")),
            device.as_str()
        ));
    }
    if let [_, more @ ..] = places.as_slice() {
        passed.left_out.extend(
            more.iter().map(|place| format!("{}: only the first one is passed", shown(&args[place.range.clone()]))),
        );
    }
    if let Some(place) = places.first() {
        match rebuilt(device, settings, place, &mut passed.left_out) {
            Ok(value) => passed.words = vec!["-device".to_owned(), value],
            Err(why) => passed.left_out.push(format!("{}: {why}", shown(&args[place.range.clone()]))),
        }
    }
    passed
}

/// Our device with the properties that may be passed.
fn rebuilt(
    device: &DeviceName,
    settings: &QemuWrapper,
    place: &Place,
    left_out: &mut Vec<String>,
) -> Result<String, String> {
    let pool: PoolId = valid(place, "pool_id")?;
    let priority: Priority = valid(place, "priority")?;
    let vm_id: DeviceVmId = valid(place, "vm_id")?;
    let mut value = format!("{},pool_id={pool},priority={priority},vm_id={vm_id}", device.as_str());
    if !place.can_be_rewritten {
        left_out.push("properties of the device: some values are not plain text".to_owned());
    }
    let others = place.effective().into_iter().filter(|(name, _)| !OUR_PROPERTIES.contains(name));
    for (name, text) in others {
        let is_allowed = HARMLESS.contains(&name) || settings.properties.iter().any(|allowed| allowed.as_str() == name);
        match text {
            _ if !is_allowed => {
                left_out.push(format!("{}: this property is not passed (see properties in vgpu.toml)", shown(name)));
            }
            Some(text) if is_plain(text) => value.extend([",", name, "=", text]),
            text => left_out.push(format!(
                "{}: expected a value of letters, digits, '.', '_', ':' and '-'",
                shown(&format!("{name}={}", text.unwrap_or_default()))
            )),
        }
    }
    Ok(value)
}

fn valid<T: FromStr<Err: Display>>(place: &Place, name: &str) -> Result<T, String> {
    let text = place.property(name).ok_or_else(|| format!("it has no {name}"))?;
    text.parse().map_err(|error| format!("its {name} {}", printable(&format!("{error}"))))
}

/// Letters, digits and the characters of PCI addresses and numbers. None of them can begin another property or option.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

/// A text from outside, for the log.
fn shown(text: &str) -> String {
    format!("'{}'", printable(text))
}

fn printable(text: &str) -> String {
    let text = one_line(text);
    text.chars().take(SHOWN).chain(text.chars().nth(SHOWN).map(|_| '…')).collect()
}

#[cfg(test)]
mod tests;
