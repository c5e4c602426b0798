//! Our argument in a VM's device-model-args, as this test reads it: without the library, which is on trial.

use super::step::Settings;

/// The device's name, as the settings file has it by default.
const DEVICE: &str = "vgpu-stub,";

/// What an argument says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// The GPU pool and the priority; none where they cannot be read.
    pub settings: Option<Settings>,
    /// The `vm_id`; none where it cannot be read.
    pub number: Option<u32>,
}

/// Every argument of ours.
pub fn all(args: Option<&str>) -> Vec<Argument> {
    args.unwrap_or_default().split_whitespace().filter_map(|word| word.strip_prefix(DEVICE)).map(read).collect()
}

/// An argument of ours, as somebody writes it by hand.
pub fn text(settings: Settings, number: u32) -> String {
    format!("-device {DEVICE}pool_id={},priority={},vm_id={number}", settings.0, settings.1)
}

fn read(properties: &str) -> Argument {
    let property = |name: &str| properties.split(',').find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
    let pool = property("pool_id").and_then(|text| text.parse().ok());
    let priority = property("priority").and_then(|text| text.parse().ok());
    Argument { settings: pool.zip(priority), number: property("vm_id").and_then(|text| text.parse().ok()) }
}
