//! Which qemu-wrapper xenopsd starts.

use serde::Serialize;

/// Whose wrapper starts the VMs of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WrapperState {
    /// XCP-ng's own; ours is not switched on.
    Off,
    /// Ours is switched on, and the xenopsd that runs was started before that.
    NotYetInForce,
    /// Ours.
    InForce,
    /// Somebody else's.
    Foreign,
}

/// Which wrapper xenopsd starts, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QemuWrapperReply {
    /// Whether anything was changed.
    pub changed: bool,
    /// Whose wrapper it is.
    pub state: WrapperState,
    /// The wrapper that xenopsd is told to start.
    pub wrapper: String,
    /// The file that tells it so; null where it is the default.
    pub configured_in: Option<String>,
    /// Whether the xenopsd that runs was told otherwise: it reads its settings when it starts.
    pub needs_restart: bool,
    /// What else is to be known, a sentence each.
    pub notes: Vec<String>,
}
