//! The settings file, `/etc/vgpu/vgpu.toml`. Every setting is optional. Unknown keys are refused, so that a mistyped `on_error`
//! is noticed before it matters.

mod wrapper;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{PoolId, Priority};
use crate::store::DEFAULT_HISTORY;
use crate::text;

pub use wrapper::{Pass, PropertyName, QemuWrapper};

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It exists but cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is not valid: {reason}; correct that line, or comment it out to use the default", path = path.display())]
    Invalid {
        path: PathBuf,
        /// With the line.
        reason: String,
    },
}

/// If a registered VM could not be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Let it start with its previous arguments, and log the reason.
    #[default]
    Continue,
    /// Refuse the start, with an error message.
    Block,
}

/// If a VM starts that is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unregistered {
    /// Leave it alone, except that a clone's inherited argument is removed.
    #[default]
    Ignore,
    /// Register it with the default GPU pool and priority.
    Default,
    /// Register a clone with the GPU pool and priority of its origin, and a `vm_id` of its own.
    Inherit,
}

impl fmt::Display for OnError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Continue => "continue",
            Self::Block => "block",
        })
    }
}

impl fmt::Display for Unregistered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ignore => "ignore",
            Self::Default => "default",
            Self::Inherit => "inherit",
        })
    }
}

/// For a VM that is registered without a GPU pool or a priority, or because of `unregistered = "default"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    pub pool: PoolId,
    pub priority: Priority,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { pool: PoolId::A, priority: Priority::Medium }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    /// With one line for every start and every change.
    #[default]
    Info,
    Debug,
}

impl From<LogLevel> for log::LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Error,
            LogLevel::Warn => Self::Warn,
            LogLevel::Info => Self::Info,
            LogLevel::Debug => Self::Debug,
        }
    }
}

/// All settings. Those that are not in the file have their defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub device: DeviceName,
    pub on_error: OnError,
    pub unregistered: Unregistered,
    pub defaults: Defaults,
    pub deadline: StartDeadline,
    pub log_level: LogLevel,
    pub history: HistoryLength,
    /// What our qemu-wrapper passes to QEMU.
    pub qemu_wrapper: QemuWrapper,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            device: DeviceName("vgpu-stub".to_owned()),
            on_error: OnError::default(),
            unregistered: Unregistered::default(),
            defaults: Defaults::default(),
            deadline: StartDeadline(5.0),
            log_level: LogLevel::default(),
            history: HistoryLength(DEFAULT_HISTORY),
            qemu_wrapper: QemuWrapper::default(),
        }
    }
}

impl Settings {
    /// If there is no file, all settings have their defaults.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or has an unknown key or an invalid value.
    pub fn load(path: &Path) -> Result<Self, SettingsError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(SettingsError::Unreadable { path: path.to_owned(), source }),
        };
        toml::from_str(&text)
            .map_err(|error| SettingsError::Invalid { path: path.to_owned(), reason: with_line(&error, &text) })
    }
}

/// A TOML error with its line number, on one line.
pub(crate) fn with_line(error: &toml::de::Error, file: &str) -> String {
    let message = text::one_line(error.message());
    match error.span() {
        Some(span) => {
            let line = file.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {message}")
        }
        None => message,
    }
}

/// Whether a name can stand on QEMU's command line without beginning another property or option.
fn is_plain_name(name: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    !name.is_empty() && name.chars().all(plain)
}

/// The name of the QEMU device: letters, digits, `-`, `_` and `.`, so that it cannot contain further options.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DeviceName(String);

impl DeviceName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if is_plain_name(&name) {
            Ok(Self(name))
        } else {
            Err(format!("'{name}' is not a device name: expected letters, digits, '-', '_' and '.'"))
        }
    }
}

/// The longest delay of a VM's start: 0.5 to 60 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct StartDeadline(f64);

impl StartDeadline {
    #[must_use]
    pub fn as_duration(self) -> Duration {
        Duration::from_secs_f64(self.0)
    }
}

impl TryFrom<f64> for StartDeadline {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        if (0.5..=60.0).contains(&seconds) {
            Ok(Self(seconds))
        } else {
            Err(format!("a deadline of {seconds} is not valid: expected 0.5 to 60 seconds"))
        }
    }
}

/// How many changes the history keeps: 0 to 1000000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct HistoryLength(u32);

impl HistoryLength {
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for HistoryLength {
    type Error = String;

    fn try_from(length: i64) -> Result<Self, String> {
        match u32::try_from(length) {
            Ok(length) if length <= 1_000_000 => Ok(Self(length)),
            _ => Err(format!("a history of {length} changes is not valid: expected 0 to 1000000")),
        }
    }
}
