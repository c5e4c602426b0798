//! What all replies have.

use super::Reply;
use crate::config_file::FileFormat;
use crate::error::Error;

impl Reply {
    /// Set if XAPI was away: when the host last had the settings of all hosts, UTC, or `unknown`.
    #[must_use]
    pub fn as_of(&self) -> Option<&str> {
        match self {
            Self::ShowVm(reply) => reply.as_slice().first()?.vm.as_of.as_deref(),
            Self::ListVms(reply) => reply.as_of.as_deref(),
            Self::ListPools(reply) => reply.as_of.as_deref(),
            Self::CountByPool(reply) => reply.as_of.as_deref(),
            Self::CountByPriority(reply) => reply.as_of.as_deref(),
            Self::ShowPool(reply) => reply.as_of.as_deref(),
            Self::Status(reply) => reply.as_of.as_deref(),
            Self::Export(config) => config.as_of.as_deref(),
            _ => None,
        }
    }

    /// The JSON of the plugin and of `vgpu-admin --format json`.
    ///
    /// # Errors
    /// Never, for data from the database.
    pub fn to_json(&self) -> Result<String, Error> {
        match self {
            // In the format of the file.
            Self::Export(config) => Ok(config.to_text(FileFormat::Json)?),
            reply => serde_json::to_string(reply).map_err(|error| Error::Reply(error.to_string())),
        }
    }
}
