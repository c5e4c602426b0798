//! Python's literals of strings and of lists of strings, in which some recordings note what was sent and received.

/// The strings of a list such as `['a', "b'c"]`.
pub fn strings(list: &str) -> Vec<Vec<u8>> {
    let mut rest = list.trim().strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    let mut found = Vec::new();
    while !rest.trim_matches([',', ' ']).is_empty() {
        let (text, after) = string(rest.trim_start_matches([',', ' ']));
        found.push(text);
        rest = after;
    }
    found
}

/// The string that a text begins with, and what follows it. `b'…'` is a string of bytes; in any other `\udc80` to
/// `\udcff` stand for bytes that are not UTF-8.
pub fn string(text: &str) -> (Vec<u8>, &str) {
    let is_bytes = text.starts_with('b');
    let text = text.strip_prefix('b').unwrap_or(text);
    let quote = text.chars().next().unwrap();
    let mut characters = text.char_indices().skip(1);
    let mut out = Vec::new();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            return (out, &text[at + 1..]);
        }
        if character != '\\' {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (_, escape) = characters.next().unwrap();
        let mut hex = |digits: usize| {
            let digits: String = characters.by_ref().take(digits).map(|(_, digit)| digit).collect();
            u32::from_str_radix(&digits, 16).unwrap()
        };
        let code = match escape {
            'n' => 10,
            'r' => 13,
            't' => 9,
            'x' => hex(2),
            'u' => hex(4),
            other => u32::from(other),
        };
        match (is_bytes, code) {
            (true, _) => out.push(u8::try_from(code).unwrap()),
            (false, 0xdc80..=0xdcff) => out.push(u8::try_from(code - 0xdc00).unwrap()),
            (false, _) => out.extend_from_slice(char::from_u32(code).unwrap().encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    panic!("a string without an end: {text}")
}
