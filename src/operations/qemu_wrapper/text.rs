//! Inspects a qemu-wrapper's file.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::device_args::PLATFORM_KEY;

/// Whether a qemu-wrapper reads `platform/device-model-args` itself, as a GPU vendor's or a changed one does.
pub(in crate::operations) fn is_patched(wrapper: &Path) -> bool {
    fs::read(wrapper).is_ok_and(|text| reads(&text, PLATFORM_KEY))
}

/// The same for scripts only. The stock one is a script, and a VM's start does not have to wait while a big program is read.
#[must_use]
pub fn is_patched_script(wrapper: &Path) -> bool {
    let mut start = [0; 2];
    let is_script = File::open(wrapper).is_ok_and(|mut file| file.read_exact(&mut start).is_ok() && start == *b"#!");
    is_script && is_patched(wrapper)
}

/// Why a program cannot be run, if it cannot.
pub(in crate::operations) fn cannot_be_run(program: &Path) -> Option<String> {
    let shown = program.display();
    match fs::metadata(program) {
        Err(error) => Some(format!("{shown}: {error}")),
        Ok(file) if !file.is_file() => Some(format!("{shown} is not a file")),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => Some(format!("{shown} is not executable")),
        Ok(_) => None,
    }
}

/// Whether a program contains a text; comments of a script do not count.
fn reads(program: &[u8], wanted: &str) -> bool {
    let has = |text: &[u8]| text.windows(wanted.len()).any(|window| window == wanted.as_bytes());
    if program.starts_with(b"#!") {
        program.split(|byte| *byte == b'\n').any(|line| has(code_of(line)))
    } else {
        has(program)
    }
}

/// A line of a shell or Python script without its comment, which begins with a `#` at the start of a word and outside quotes.
fn code_of(line: &[u8]) -> &[u8] {
    let (mut quote, mut before) = (None, b' ');
    for (at, &byte) in line.iter().enumerate() {
        match quote {
            None if byte == b'#' && before.is_ascii_whitespace() => return &line[..at],
            None if matches!(byte, b'\'' | b'"') => quote = Some(byte),
            Some(open) if byte == open => quote = None,
            _ => {}
        }
        before = byte;
    }
    line
}
