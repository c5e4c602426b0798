//! Messages for people, in a place of a fixed size.

use std::cell::RefCell;
use std::ffi::c_char;

use crate::output::copy_text;

/// Long messages are cut.
const LENGTH: usize = 1024;

/// A text that ends with a zero byte.
#[derive(Debug)]
pub struct Message([c_char; LENGTH]);

impl Message {
    pub const EMPTY: Self = Self([0; LENGTH]);

    pub fn set(&mut self, text: &str) {
        copy_text(&mut self.0, text);
    }

    /// Valid until this is dropped; its text changes with the next [`Self::set`].
    pub fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr()
    }
}

thread_local! {
    /// Of the last call without a handle in this thread. Nothing has to be done when a thread ends.
    static WITHOUT_HANDLE: RefCell<Message> = const { RefCell::new(Message::EMPTY) };
}

pub fn set_without_handle(text: &str) {
    WITHOUT_HANDLE.with(|message| message.borrow_mut().set(text));
}

pub fn without_handle() -> *const c_char {
    WITHOUT_HANDLE.with(|message| message.borrow().as_ptr())
}
