//! Errors as programs see them: a code, and parameters that go with it.

use super::Error;
use crate::text;
use crate::xenapi::XapiError;

/// XAPI's own answer to a caller without the right to do something. It is passed on: every client of XAPI knows it.
const PERMISSION_DENIED: &str = "RBAC_PERMISSION_DENIED";

impl Error {
    /// Codes are never renamed.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::InvalidParam { .. }
            | Self::MissingParam { .. }
            | Self::AmbiguousName { .. }
            | Self::AmbiguousHost { .. }
            | Self::NotAVm { .. }
            | Self::NothingToChange
            | Self::NothingToChangeInPool => "VGPU_INVALID_PARAM",
            Self::NotRegistered(_)
            | Self::NoSuchDevice(_)
            | Self::NoSuchName(_)
            | Self::Renamed { .. }
            | Self::NoSuchHost { .. }
            | Self::UnknownGpu { .. } => "VGPU_NOT_FOUND",
            Self::OtherHost { code, .. } => code,
            Self::AlreadyRegistered(_) | Self::DeviceVmIdTaken { .. } | Self::GpuServesOther { .. } => {
                "VGPU_ALREADY_EXISTS"
            }
            Self::GpuPassedThrough { .. } => "VGPU_GPU_IN_USE",
            Self::PoolFull { .. } => "VGPU_POOL_FULL",
            Self::UnknownToXapi(_) | Self::NoSuchVm(_) => "VGPU_UNKNOWN_VM",
            Self::DeviceArgsTooLong { .. } => "VGPU_ARGS_TOO_LONG",
            Self::DeviceArgsUnclear(_) | Self::UnclearArgument(_) => "VGPU_ARGS_UNCLEAR",
            Self::NewerFormat { .. } => "VGPU_NEWER_FORMAT",
            Self::Store(_) => "VGPU_DB_ERROR",
            Self::Lock(_) | Self::Contended => "VGPU_BUSY",
            Self::Interrupted => "VGPU_INTERRUPTED",
            Self::Xapi(XapiError::Refused { code, .. }) if code == PERMISSION_DENIED => code,
            Self::Xapi(_) | Self::NoAnswerYet { .. } => "VGPU_XAPI_ERROR",
            Self::Xenopsd(_) => "VGPU_XENOPSD_ERROR",
            Self::ConfigFile(_) => "VGPU_INVALID_FILE",
            Self::Settings(_) => "VGPU_SETTINGS_ERROR",
            Self::Wrapper(_) => "VGPU_WRAPPER_ERROR",
            Self::File { .. } | Self::NotAHost(_) => "VGPU_FILE_ERROR",
            Self::Reply(_) | Self::NobodyReads | Self::OtherAnswer { .. } | Self::Internal(_) => "VGPU_INTERNAL_ERROR",
        }
    }

    /// The parameters that go with the code in a XAPI error: name, value and expected value of an invalid argument, XAPI's own
    /// parameters if XAPI refused, otherwise the message.
    #[must_use]
    pub fn params(&self) -> Vec<String> {
        match self {
            Self::InvalidParam { name, value, expected } => vec![name.clone(), value.clone(), expected.clone()],
            Self::MissingParam { name, expected } => vec![(*name).to_owned(), String::new(), (*expected).to_owned()],
            Self::Xapi(XapiError::Refused { code, params, .. }) if code == PERMISSION_DENIED => params.clone(),
            Self::OtherHost { params, .. } => params.clone(),
            _ => vec![text::one_line(&self.to_string())],
        }
    }
}
