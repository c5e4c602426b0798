//! `xenstore-read` (xen, `tools/xenstore/xenstore_client.c`).

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::xenstore::Xenstore;

pub fn run(root: &Path, arguments: &[String]) -> ExitCode {
    let store = Xenstore::below(root);
    for path in &arguments[1..] {
        let Some(value) = store.read(path) else {
            eprintln!("xenstore-read: couldn't read path {path}");
            return ExitCode::FAILURE;
        };
        println!("{}", sanitised(&value));
    }
    ExitCode::SUCCESS
}

/// `sanitise_value` in `tools/xenstore/xs_lib.c`.
fn sanitised(value: &[u8]) -> String {
    value.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b'\t' => text.push_str("\\t"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            0..=7 => drop(write!(text, "\\{byte:03o}")),
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
        text
    })
}
