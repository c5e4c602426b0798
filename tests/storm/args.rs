//! Our argument in a VM's device-model-args, as this test reads it: without the library, which is on trial.

use super::step::{Phrase, Settings};

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

/// The arguments, as somebody writes them by hand.
pub fn text(phrases: &[Phrase]) -> String {
    let text = |phrase: &Phrase| match phrase {
        Phrase::Foreign(text) => (*text).to_owned(),
        Phrase::Ours((pool, priority), number) => {
            format!("-device {DEVICE}pool_id={pool},priority={priority},vm_id={}", number.get())
        }
    };
    phrases.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// What is not ours in the arguments: every byte, but for our argument and the space that sets it apart.
pub fn foreign(args: Option<&str>) -> String {
    let mut rest = args.unwrap_or_default().to_owned();
    while let Some(at) = rest.find(&format!("-device {DEVICE}")) {
        let value = at + "-device ".len();
        let end = rest[value..].find(char::is_whitespace).map_or(rest.len(), |length| value + length);
        match at {
            0 => rest.replace_range(..rest.len().min(end + 1), ""),
            _ => rest.replace_range(at - 1..end, ""),
        }
    }
    // Where nothing is left but the spaces between, nothing is.
    if rest.trim().is_empty() { String::new() } else { rest }
}

fn read(properties: &str) -> Argument {
    let property = |name: &str| properties.split(',').find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
    let pool = property("pool_id").and_then(|text| text.parse().ok());
    let priority = property("priority").and_then(|text| text.parse().ok());
    Argument { settings: pool.zip(priority), number: property("vm_id").and_then(|text| text.parse().ok()) }
}
