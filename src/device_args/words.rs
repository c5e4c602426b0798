//! The words of a device-model-args string, and the parts of an option's value.

use std::borrow::Cow;
use std::ops::Range;

/// One word of the string: its range, and its text without quotes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub range: Range<usize>,
    pub text: String,
}

/// Splits at commas as QEMU does: two in a row are a comma in the value (QEMU, `util/keyval.c`).
pub(super) fn option_parts(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            (',', Some(part)) if characters.next_if_eq(&',').is_some() => part.push_str(",,"),
            (',', _) => parts.push(String::new()),
            (_, Some(part)) => part.push(character),
            (_, None) => {}
        }
    }
    parts
}

/// The words as a shell would read them. If the quotes do not pair up, no shell can read the string, so it is split at spaces only.
pub(super) fn words(args: &str) -> Vec<Word> {
    quoted_words(args).unwrap_or_else(|| {
        let start_of = |word: &str| word.as_ptr() as usize - args.as_ptr() as usize;
        let word = |text: &str| Word { range: start_of(text)..start_of(text) + text.len(), text: text.to_owned() };
        args.split_whitespace().map(word).collect()
    })
}

/// A word of a command line, with quotes if [`words`] would read it differently without.
pub(super) fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |character: char| !character.is_whitespace() && !matches!(character, '\'' | '"' | '\\');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    let escaped = |character: char| (['"', '\\'].contains(&character)).then_some('\\').into_iter().chain([character]);
    format!("\"{}\"", word.chars().flat_map(escaped).collect::<String>()).into()
}

pub(super) fn quoted_words(args: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut quote = None;
    let mut characters = args.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(current.take());
            continue;
        }
        let word = current.get_or_insert_with(|| Word { range: at..at, text: String::new() });
        word.range.end = at + character.len_utf8();
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), _) if open == character => quote = None,
            (None | Some('"'), '\\') => {
                let (at, escaped) = characters.next()?;
                word.range.end = at + escaped.len_utf8();
                word.text.push(escaped);
            }
            _ => word.text.push(character),
        }
    }
    words.extend(current);
    quote.is_none().then_some(words)
}
