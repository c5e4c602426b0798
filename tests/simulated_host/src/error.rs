//! XAPI's errors: a code and its parameters.

use crate::wire::ocaml_quoted;

/// An error that XAPI answers with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {params:?}")]
pub struct ApiError {
    /// One of XAPI's error codes, or a plugin's own.
    pub code: String,
    /// Its parameters, with what is not UTF-8 replaced.
    pub params: Vec<String>,
    /// The same as they go over the wire: a plugin's or a hook's output may hold any byte.
    raw: Vec<Vec<u8>>,
}

impl ApiError {
    /// An error with parameters that are text.
    #[must_use]
    pub fn new(code: &str, params: &[&str]) -> Self {
        Self::with_bytes(code, params.iter().map(|param| param.as_bytes().to_vec()).collect())
    }

    pub(crate) fn with_bytes(code: &str, raw: Vec<Vec<u8>>) -> Self {
        let params = raw.iter().map(|param| String::from_utf8_lossy(param).into_owned()).collect();
        Self { code: code.to_owned(), params, raw }
    }

    pub(crate) fn bytes(&self) -> &[Vec<u8>] {
        &self.raw
    }

    pub(crate) fn internal(message: &str) -> Self {
        Self::new("INTERNAL_ERROR", &[message])
    }

    /// What OCaml's `failwith` becomes.
    pub(crate) fn failwith(message: &[u8]) -> Self {
        Self::internal(&format!("Failure({})", ocaml_quoted(message)))
    }

    pub(crate) fn handle_invalid(class: &str, reference: &str) -> Self {
        Self::new("HANDLE_INVALID", &[class, reference])
    }

    pub(crate) fn uuid_invalid(class: &str, uuid: &str) -> Self {
        Self::new("UUID_INVALID", &[class, uuid])
    }
}

/// The outcome of an API call.
pub(crate) type ApiResult<T> = Result<T, ApiError>;
