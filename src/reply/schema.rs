//! The JSON Schemas of replies.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;

/// The JSON Schema (draft 2020-12) of what a type is written as. Later versions may add fields.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// What `vgpu-admin --format json` prints as the last line of standard error if it ends with 1 and prints no reply.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorReply {
    pub error: ErrorBody,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ErrorBody {
    /// Stable, as `VGPU_NOT_FOUND`.
    pub code: String,
    /// The plugin's.
    pub params: Vec<String>,
    /// For people.
    pub message: String,
}
