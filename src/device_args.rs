//! Our `-device vgpu-stub,…` inside a device-model-args string: build it, find it, replace it, take it out, read it.
//!
//! The string belongs to the administrator; we own one argument in it and leave every other byte as it is.

mod places;
mod words;

use crate::error::Error;
use crate::model::{DeviceVmId, PoolId, Priority, VmSettings};
use crate::settings::DeviceName;
use places::{Place, places, with_one_space};
use words::quoted_words;

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
    let found = |place: Place| FoundDevice {
        text: args[place.range.clone()].to_owned(),
        pool: place.property("pool_id").and_then(|text| text.parse().ok()),
        priority: place.property("priority").and_then(|text| text.parse().ok()),
        vm_id: place.property("vm_id").and_then(|text| text.parse().ok()),
    };
    places(device, args).into_iter().map(found).collect()
}

/// The string with our argument in it, once, as these settings want it: replaced where it stands, else added at the end.
/// Properties that are not ours stay with it. A string that already says so comes back as it is.
///
/// # Errors
/// The result would be longer than [`LIMIT`], or the string ends so that nothing can be added to it.
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
        // Inside an open quote it would be a part of somebody else's argument.
        None if quoted_words(args).is_none() => return Err(Error::DeviceArgsUnclear(args.to_owned())),
        None => result = format!("{args} {}", argument(device, settings)),
    }
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
    while let Some(range) = places(device, &result).pop().and_then(|place| place.surplus(true)) {
        result.replace_range(with_one_space(&result, &range), "");
    }
    result
}

/// Whether a string holds anything but our argument as we write it.
#[must_use]
pub fn has_more(device: &DeviceName, args: &str) -> bool {
    let settings = find(device, args).and_then(|found| found.settings());
    settings.is_none_or(|settings| argument(device, &settings) != args)
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

#[cfg(test)]
mod tests;
