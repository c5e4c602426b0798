//! Text for people. Names, errors and arguments come from elsewhere and may hold anything: a terminal's control sequences,
//! line ends that begin a forged line, characters that hide or reorder what stands beside them.

use std::fmt::Write;

/// Takes the place of a character that is not printed.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// A text on one line, without anything that a terminal does not show as it is.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|character| if "\t\n\r".contains(character) { ' ' } else { printable(character) }).collect()
}

/// The same for a text of several lines. What was put into them has to be [`one_line`] already.
#[must_use]
pub fn lines(text: &str) -> String {
    text.chars().map(|character| if "\t\n".contains(character) { character } else { printable(character) }).collect()
}

/// JSON with such characters escaped, which programs read as what they were.
#[must_use]
pub fn json(json: String) -> String {
    if !json.chars().any(|character| character != '\n' && printable(character) != character) {
        return json;
    }
    json.chars().fold(String::with_capacity(json.len()), |mut escaped, character| {
        if character == '\n' || printable(character) == character {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
        escaped
    })
}

/// A text as XML 1.0 can hold it, for programs: only what it cannot hold is replaced.
#[must_use]
pub fn xml(text: &str) -> String {
    let fits = |character| match character {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        _ => character >= ' ',
    };
    text.chars().map(|character| if fits(character) { character } else { REPLACEMENT }).collect()
}

fn printable(character: char) -> char {
    if character.is_control() || is_invisible(character) { REPLACEMENT } else { character }
}

/// Soft hyphen, zero width, directions, line and paragraph separators, tags, and what is no character.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{AD}'
            | '\u{61C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{FFFE}'..='\u{FFFF}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "a\u{1b}[31m\u{9b}2J\r\n\tb\u{202e}c\u{200b}d\u{E0041}é";

    #[test]
    fn nothing_harmful_is_left_and_the_rest_stays() {
        assert_eq!(one_line(NAME), "a\u{FFFD}[31m\u{FFFD}2J   b\u{FFFD}c\u{FFFD}d\u{FFFD}é");
        assert_eq!(lines("one\n\ttwo\u{7f}"), "one\n\ttwo\u{FFFD}");
    }

    #[test]
    fn json_says_the_same_and_is_harmless() {
        let written = json(serde_json::to_string(NAME).unwrap_or_default());
        assert_eq!(serde_json::from_str::<String>(&written).ok().as_deref(), Some(NAME));
        assert_eq!(lines(&written), written);
        assert!(written.contains('é'));
    }
}
