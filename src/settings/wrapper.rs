//! The settings of our qemu-wrapper.

use serde::Deserialize;

use super::is_plain_name;

/// What our qemu-wrapper passes to QEMU from a VM's device-model-args.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pass {
    /// Our device alone.
    #[default]
    Device,
    /// Every word. Anyone who may write a VM's platform map can then pass options to QEMU, which starts as root in dom0.
    Everything,
}

/// The table `[qemu_wrapper]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QemuWrapper {
    /// What is passed to QEMU from a VM's device-model-args.
    pub pass: Pass,
    /// Properties of our device to pass in addition to those that are always passed.
    pub properties: Vec<PropertyName>,
}

/// The name of a property of the device: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PropertyName(String);

impl PropertyName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PropertyName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if is_plain_name(&name) {
            Ok(Self(name))
        } else {
            Err(format!("'{name}' is not valid as a property's name: expected letters, digits, '-', '_' and '.'"))
        }
    }
}
