//! The output of dom0's `xenstore-read`.

/// What xenstore-read prints if it cannot read a path, before the path.
const NO_SUCH_PATH: &str = "couldn't read path";

/// A value from what xenstore-read printed on its two streams; `None` if there is none.
///
/// # Errors
/// xenstore-read failed in another way, or its output is not one line.
pub fn value(output: &[u8], errors: &[u8]) -> Result<Option<String>, String> {
    if !output.is_empty() {
        return unescaped(output).map(Some);
    }
    let errors = String::from_utf8_lossy(errors);
    if errors.contains(NO_SUCH_PATH) { Ok(None) } else { Err(format!("xenstore-read failed: {}", errors.trim())) }
}

/// Undoes xenstore-read's escapes (xen, `sanitise_value` in `tools/xenstore/xs_lib.c`). It escapes everything but printable ASCII,
/// so the only newline is the one at the end.
fn unescaped(printed: &[u8]) -> Result<String, String> {
    let nonsense = || "the output of xenstore-read is not valid".to_owned();
    let (end, line) = printed.split_last().ok_or_else(nonsense)?;
    if *end != b'\n' || line.iter().any(|byte| !matches!(byte, b' '..=b'~')) {
        return Err(nonsense());
    }
    let (mut value, mut rest) = (Vec::new(), line);
    while let [first, after @ ..] = rest {
        let (byte, remaining) = if *first == b'\\' { escaped(after).ok_or_else(nonsense)? } else { (*first, after) };
        value.push(byte);
        rest = remaining;
    }
    String::from_utf8(value).map_err(|_| "the value in xenstore is not UTF-8".to_owned())
}

/// The byte that an escape stands for, and the rest of the text.
fn escaped(text: &[u8]) -> Option<(u8, &[u8])> {
    let number = |digits: &[u8], radix| u8::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok();
    match text {
        [b't', rest @ ..] => Some((b'\t', rest)),
        [b'n', rest @ ..] => Some((b'\n', rest)),
        [b'r', rest @ ..] => Some((b'\r', rest)),
        [b'\\', rest @ ..] => Some((b'\\', rest)),
        [b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() => Some((number(&[*high, *low], 16)?, rest)),
        [first @ b'0'..=b'7', second, third, rest @ ..] => Some((number(&[*first, *second, *third], 8)?, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_words_say_that_there_is_no_value() {
        assert_eq!(value(b"a\n", b""), Ok(Some("a".to_owned())));
        assert_eq!(value(b"", b"xenstore-read: couldn't read path /local/domain/5/platform/x\n"), Ok(None));
        assert!(value(b"", b"xenstore-read: xs_open: Connection refused\n").unwrap_err().contains("xs_open"));
        assert!(value(b"", b"").is_err());
    }

    #[test]
    fn escapes_are_undone() {
        for (printed, value) in [
            ("\n", ""),
            ("-device vgpu-stub,pool_id=A\n", "-device vgpu-stub,pool_id=A"),
            (r"a\tb\nc\rd\\e\\n\007\x7f\xc3\xa4", "a\tb\nc\rd\\e\\n\u{7}\u{7f}ä"),
        ] {
            let printed = format!("{}\n", printed.trim_end_matches('\n'));
            assert_eq!(unescaped(printed.as_bytes()).unwrap(), value);
        }
    }

    #[test]
    fn output_that_xenstore_read_cannot_have_printed_is_refused() {
        for printed in [
            &b""[..],
            b"no end",
            b"a\nb\n",
            b"\xff\n",
            b"\\\n",
            b"\\q\n",
            b"\\x+1\n",
            b"\\xg0\n",
            b"\\888\n",
            b"\\xff\n",
        ] {
            assert!(unescaped(printed).is_err(), "{}", printed.escape_ascii());
        }
    }
}
