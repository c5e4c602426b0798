//! Which qemu-wrapper xenopsd starts.

use schemars::JsonSchema;
use serde::Serialize;

/// Whose qemu-wrapper xenopsd starts on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WrapperState {
    /// The stock one.
    Off,
    /// Ours is enabled, but xenopsd was started before that.
    NotInEffectYet,
    /// Ours.
    InEffect,
    /// Another one.
    Foreign,
}

/// Which qemu-wrapper xenopsd starts, and whether that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QemuWrapperReply {
    /// Whether the settings were changed, or would be.
    pub changed: bool,
    /// Nothing was changed: the rest says how it is.
    pub dry_run: bool,
    /// Whose qemu-wrapper it is.
    pub state: WrapperState,
    /// The qemu-wrapper in xenopsd's settings.
    pub wrapper: String,
    /// The settings file that names it; null for the stock one.
    pub configured_in: Option<String>,
    /// Whether the running xenopsd still starts another one: it reads its settings only when it starts.
    pub needs_restart: bool,
    /// Other remarks, one sentence each.
    pub notes: Vec<String>,
}
