//! Finds, reads, adds, replaces and removes our `-device vgpu-stub,…` in a device-model-args string.
//!
//! The string belongs to the administrator: every other byte of it stays unchanged.

mod passing;
mod places;
mod words;

use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings};
use crate::settings::DeviceName;
pub use passing::{Passed, passed};
use places::{Place, places, with_one_space};
use words::{quoted, quoted_words};

/// The platform key that holds the string.
pub const PLATFORM_KEY: &str = "device-model-args";

/// The longest string in bytes: xenstore's limit for a value (oxenstored, `quota.ml`). xapi accepts longer ones, but then the
/// domain cannot be created and the VM does not start.
pub const LIMIT: usize = 2048;

/// The properties that vgpu-config sets. All others in our argument belong to the administrator.
const OUR_PROPERTIES: [&str; 3] = ["pool_id", "priority", "vm_id"];

/// Our argument in a string. Values that cannot be read are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDevice {
    pub text: String,
    pub pool: Option<PoolId>,
    pub priority: Option<Priority>,
    pub vm_id: Option<DeviceVmId>,
    /// Whether the values are written as the device reads them: QEMU gets `pool_id=a` unchanged.
    pub is_exact: bool,
}

impl FoundDevice {
    #[must_use]
    pub fn settings(&self) -> Option<VmSettings> {
        Some(VmSettings { pool: self.pool?, priority: self.priority?, vm_id: self.vm_id? })
    }
}

#[must_use]
pub fn argument(device: &DeviceName, settings: &VmSettings) -> String {
    format!("-device {}", option_value(device, settings, &[]))
}

fn option_value(device: &DeviceName, settings: &VmSettings, others: &[String]) -> String {
    let VmSettings { pool, priority, vm_id } = settings;
    let mut value = format!("{},pool_id={pool},priority={priority},vm_id={vm_id}", device.as_str());
    for other in others {
        value.push(',');
        value.push_str(other);
    }
    value
}

/// The first one, if there are several. QEMU would create a device for each, so [`with`] leaves only one.
#[must_use]
pub fn find(device: &DeviceName, args: &str) -> Option<FoundDevice> {
    find_all(device, args).into_iter().next()
}

/// All of them on a command line, whose words have no quotes any more.
#[must_use]
pub fn find_in_words(device: &DeviceName, words: &[String]) -> Vec<FoundDevice> {
    find_all(device, &words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

/// All of them, because it may have been written several times by hand.
#[must_use]
pub fn find_all(device: &DeviceName, args: &str) -> Vec<FoundDevice> {
    let found = |place: Place| {
        let mut found = FoundDevice {
            text: args[place.range.clone()].to_owned(),
            pool: place.property("pool_id").and_then(|text| text.parse().ok()),
            priority: place.property("priority").and_then(|text| text.parse().ok()),
            vm_id: place.property("vm_id").and_then(|text| text.parse().ok()),
            is_exact: false,
        };
        found.is_exact = found.settings().is_some_and(|settings| place.says_exactly(device, &settings, args));
        found
    };
    places(device, args).into_iter().map(found).collect()
}

/// The string with our argument exactly once, with these settings: replaced in its place, or added at the end. Other properties
/// of it stay. A string that is already right is returned unchanged.
///
/// # Errors
/// The result would be longer than [`LIMIT`], or nothing can be added because of an open quote or a backslash at the end.
pub fn with(device: &DeviceName, args: &str, settings: &VmSettings) -> Result<String, Error> {
    let mut result = args.to_owned();
    while let Some(range) =
        places(device, &result).iter().enumerate().rev().find_map(|(at, place)| place.surplus(at > 0))
    {
        result.replace_range(with_one_space(&result, &range), "");
    }
    match places(device, &result).first() {
        Some(place) if place.says_exactly(device, settings, &result) => {}
        Some(place) if !place.can_be_rewritten => return Err(Error::DeviceArgsUnclear(args.to_owned())),
        Some(place) => result.replace_range(place.range.clone(), &place.rewritten(device, settings)),
        None if args.is_empty() => result = argument(device, settings),
        // Inside an open quote it would become part of another argument.
        None if quoted_words(args).is_none() => return Err(Error::DeviceArgsUnclear(args.to_owned())),
        None => result = format!("{args} {}", argument(device, settings)),
    }
    // This includes a string that was already too long: the VM would not start.
    if result.len() > LIMIT {
        return Err(Error::DeviceArgsTooLong { length: result.len(), limit: LIMIT });
    }
    // For example after a backslash at the end, our argument could not be recognised.
    if find(device, &result).and_then(|found| found.settings()).as_ref() != Some(settings) {
        return Err(Error::DeviceArgsUnclear(args.to_owned()));
    }
    Ok(result)
}

/// The string without our argument and one space beside it.
#[must_use]
pub fn without(device: &DeviceName, args: &str) -> String {
    let mut result = args.to_owned();
    // One after the other, because the remaining quotes may pair up differently.
    while let Some(range) = places(device, &result).pop().and_then(|place| place.surplus(true)) {
        result.replace_range(with_one_space(&result, &range), "");
    }
    result
}

/// Whether a string contains anything but our argument, exactly as written by [`argument`].
#[must_use]
pub fn has_more(device: &DeviceName, args: &str) -> bool {
    let settings = find(device, args).and_then(|found| found.settings());
    settings.is_none_or(|settings| argument(device, &settings) != args)
}

/// The new value of the platform key: with our argument for these settings, or without it if there are none. `None` means that
/// the key is missing; it is removed if nothing but our argument was in it.
///
/// # Errors
/// Those of [`with`].
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

#[cfg(test)]
mod tests;
