//! What crosses the wire: values, and the three notations that xapi, xenopsd and plugins write them in.
//!
//! Home-grown rather than taken from a library because the bytes matter: the recorded programs keep the order and the
//! duplicates of a map, carry strings that are not UTF-8, and word their parse errors in their own way.

pub mod json;
pub mod json_rpc;
pub mod plugin;
mod value;
pub mod xml;
pub mod xml_rpc;

pub use value::Value;

/// A string as an OCaml program prints it with `%S`, which is how exceptions reach a reader.
pub fn ocaml_quoted(text: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in text {
        match byte {
            b'"' => quoted.push_str("\\\""),
            b'\\' => quoted.push_str("\\\\"),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            0x08 => quoted.push_str("\\b"),
            0x20..=0x7e => quoted.push(char::from(byte)),
            _ => quoted.extend(['\\', digit(byte / 100), digit(byte / 10 % 10), digit(byte % 10)]),
        }
    }
    quoted.push('"');
    quoted
}

fn digit(value: u8) -> char {
    char::from(b'0' + value)
}

/// The line and the column, both counted from one, at which a text has got after that many bytes.
fn place(text: &[u8], at: usize) -> (usize, usize) {
    let lines = text[..at.min(text.len())].split(|&byte| byte == b'\n');
    let (number, last) = lines.enumerate().last().unwrap_or_default();
    (number + 1, last.len() + 1)
}
