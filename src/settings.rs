//! The settings file, `/etc/vgpu/vgpu.toml`. Every setting is optional; a key that is not known is refused with its
//! line, because a mistyped `on_error` must not be found out at three in the morning.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{PoolId, Priority};
use crate::store::DEFAULT_HISTORY;
use crate::text;

/// Why the settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It is there but cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The settings file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It does not say what a settings file can say.
    #[error("{path} is not valid: {reason}; correct that line, or comment it out to get the default", path = path.display())]
    Invalid {
        /// The settings file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
}

/// What to do with a registered VM that could not be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// Let it start as it was; the log says why.
    #[default]
    Continue,
    /// Refuse the start, with our message.
    Block,
}

/// What to do with a VM that starts and is not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unregistered {
    /// Leave it alone; only a clone's inherited argument is taken out.
    #[default]
    Ignore,
    /// Register it with the default GPU pool and priority.
    Default,
    /// Register a clone with its origin's GPU pool and priority, and a `vm_id` of its own.
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

/// What a VM gets that is registered without a GPU pool or a priority, or by `unregistered = "default"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// The GPU pool.
    pub pool: PoolId,
    /// The priority.
    pub priority: Priority,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { pool: PoolId::A, priority: Priority::Medium }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what went wrong.
    Error,
    /// And what was out of the ordinary.
    Warn,
    /// And one line for every start and every change.
    #[default]
    Info,
    /// And how it was decided.
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

/// The settings, complete: what the file does not say is the default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The QEMU device's name.
    pub device: DeviceName,
    /// What to do with a registered VM that could not be configured.
    pub on_error: OnError,
    /// What to do with a VM that is not registered.
    pub unregistered: Unregistered,
    /// What a VM gets for which nothing else is said.
    pub defaults: Defaults,
    /// How long a VM's start may be held up, in seconds.
    pub deadline: StartDeadline,
    /// How much is logged.
    pub log_level: LogLevel,
    /// How many changes the history keeps.
    pub history: HistoryLength,
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
        }
    }
}

impl Settings {
    /// Reads the settings file; where there is none, everything is the default.
    ///
    /// # Errors
    /// The file is there but cannot be read, is no TOML, or says something that no setting can be.
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

/// A TOML error with its line, short enough for a log line.
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

/// The name of the QEMU device: letters, digits, `-`, `_` and `.`, so that it cannot smuggle in anything else.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DeviceName(String);

impl DeviceName {
    /// The name as QEMU knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if !name.is_empty() && name.chars().all(plain) {
            Ok(Self(name))
        } else {
            Err(format!("'{name}' is no device name: expected letters, digits, '-', '_' and '.'"))
        }
    }
}

/// How long a VM's start may be held up: 0.5 to 60 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct StartDeadline(f64);

impl StartDeadline {
    /// The same as a duration.
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
            Err(format!("a deadline of {seconds} is not possible: expected 0.5 to 60 seconds"))
        }
    }
}

/// How many changes the history keeps: 0 to 1000000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct HistoryLength(u32);

impl HistoryLength {
    /// The same as a plain number.
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
            _ => Err(format!("a history of {length} changes is not possible: expected 0 to 1000000")),
        }
    }
}
