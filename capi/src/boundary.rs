//! What every function does around its work: finds the handle, keeps panics in, and turns the outcome into a code and a message.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vgpu_config::model::InvalidValue;
use vgpu_config::{Error, text};

use crate::code::{self, VGPU_ERROR, VGPU_INVALID_PARAM, VGPU_READ_ONLY};
use crate::handle::{self, Handle, vgpu_db};
use crate::message;

/// Why a function fails.
#[derive(Debug)]
pub struct Failure {
    pub code: c_int,
    pub message: String,
}

impl Failure {
    pub fn null(name: &str) -> Self {
        Self { code: VGPU_INVALID_PARAM, message: format!("{name} is NULL") }
    }

    pub fn invalid(name: &str, invalid: InvalidValue) -> Self {
        Error::invalid(name, invalid).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: code::of(&error), message: text::one_line(&error.to_string()) }
    }
}

/// A reply of another kind than that of the request.
pub fn other_reply() -> Failure {
    Error::Internal("the reply belongs to another request".to_owned()).into()
}

/// The outcome of a function's work: its code, and what the caller should know although it succeeded.
#[derive(Debug)]
pub struct Done {
    pub code: c_int,
    pub note: String,
}

impl From<c_int> for Done {
    fn from(code: c_int) -> Self {
        Self { code, note: String::new() }
    }
}

/// Runs a function's work. A panic in it is an error of the library and goes no further: C cannot unwind.
pub fn without_panic<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // After a panic only the handle is used again, and `with_handle` makes that safe.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::Internal("a panic in the library".to_owned()).into()))
}

/// Runs a function's work without a handle, and keeps the message for the thread.
pub fn without_handle(work: impl FnOnce() -> Result<c_int, Failure>) -> c_int {
    match without_panic(work) {
        Ok(code) => code,
        Err(Failure { code, message }) => {
            message::set_without_handle(&message);
            code
        }
    }
}

/// Runs a function's work with a handle, and keeps the message there.
pub fn with_handle<D: Into<Done>>(db: *mut vgpu_db, work: impl FnOnce(&mut Handle) -> Result<D, Failure>) -> c_int {
    let shared = match handle::find(db) {
        Ok(shared) => shared,
        Err(code) => return code,
    };
    let mut handle = match handle::lock(&shared) {
        Ok(handle) => handle,
        Err(code) => return code,
    };
    let Done { code, note } = match without_panic(|| work(&mut handle)) {
        Ok(done) => done.into(),
        Err(Failure { code, message }) => Done { code, note: message },
    };
    if code == VGPU_ERROR {
        // It may have been left half-way.
        handle.start_again();
    }
    handle.message.set(&note);
    code
}

/// The same for a change, which a handle for reading refuses.
pub fn with_handle_for_change<D: Into<Done>>(
    db: *mut vgpu_db,
    work: impl FnOnce(&mut Handle) -> Result<D, Failure>,
) -> c_int {
    with_handle(db, |handle| {
        if handle.reads_only() {
            let message = "the handle was opened with VGPU_OPEN_READ_ONLY".to_owned();
            return Err(Failure { code: VGPU_READ_ONLY, message });
        }
        work(handle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::VGPU_OK;

    #[test]
    fn a_panic_becomes_an_error() {
        let failure = without_panic(|| -> Result<(), Failure> { panic!("for a test") }).unwrap_err();
        assert_eq!(failure.code, VGPU_ERROR);
        assert!(failure.message.contains("please report it"), "{}", failure.message);
        assert_eq!(without_handle(|| Ok(VGPU_OK)), VGPU_OK);
    }
}
