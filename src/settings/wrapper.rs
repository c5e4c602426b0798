//! What the settings file says of our qemu-wrapper.

use serde::Deserialize;

/// What QEMU gets of a VM's device-model-args.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Our device alone.
    #[default]
    Device,
    /// Every word. Whoever may write a VM's platform map then gives options to a program that starts as root in dom0.
    Everything,
}

/// The table `[qemu_wrapper]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QemuWrapper {
    /// What QEMU gets of a VM's device-model-args.
    pub pass: Pass,
    /// The properties of our device that are passed besides those that always are.
    pub properties: Vec<PropertyName>,
}

/// The name of a property of the device: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PropertyName(String);

impl PropertyName {
    /// The name as QEMU knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PropertyName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if !name.is_empty() && name.chars().all(plain) {
            Ok(Self(name))
        } else {
            Err(format!("'{name}' is no property's name: expected letters, digits, '-', '_' and '.'"))
        }
    }
}
