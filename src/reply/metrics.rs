//! Numbers for a monitoring system.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsReply {
    /// For an HTTP header.
    pub content_type: String,
    /// In the text format of OpenMetrics 1.0.
    pub text: String,
}
