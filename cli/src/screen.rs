//! What standard output is: a terminal with a width and colours, or a file or pipe that gets plain text.

use std::io::{IsTerminal, stdout};

use console::Term;

/// The terminal's width in columns; `None` if standard output is no terminal.
pub fn width() -> Option<usize> {
    let (_, columns) = Term::stdout().size_checked().filter(|_| stdout().is_terminal())?;
    Some(columns.into())
}

/// Whether colours may be used: see <https://no-color.org>.
pub fn has_colours() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|terminal| terminal.is_empty() || terminal == "dumb");
    stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
}

/// How a text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shade {
    #[default]
    Plain,
    /// Green.
    Good,
    /// Yellow.
    Doubtful,
    /// Red.
    Bad,
}

/// Ends a coloured text.
const END: char = '\u{4}';

impl Shade {
    /// Marks a text. [`paint`] replaces the marks, which are control characters and therefore in no text from elsewhere.
    pub fn mark(self, text: &str) -> String {
        match self.as_mark() {
            Some(mark) => format!("{mark}{text}{END}"),
            None => text.to_owned(),
        }
    }

    fn as_mark(self) -> Option<char> {
        match self {
            Self::Plain => None,
            Self::Good => Some('\u{1}'),
            Self::Doubtful => Some('\u{2}'),
            Self::Bad => Some('\u{3}'),
        }
    }
}

/// Replaces marks by colours, or removes them. `clean` is applied to the text between them.
pub fn paint(text: &str, colours: bool, clean: impl Fn(&str) -> String) -> String {
    let sequence = |mark: &str| match mark {
        _ if !colours => "",
        "\u{1}" => "\u{1b}[32m",
        "\u{2}" => "\u{1b}[33m",
        "\u{3}" => "\u{1b}[31m",
        _ => "\u{1b}[0m",
    };
    let mut painted = String::with_capacity(text.len());
    for part in text.split_inclusive(['\u{1}', '\u{2}', '\u{3}', END]) {
        let end = part.char_indices().next_back().map_or(0, |(start, _)| start);
        match part.split_at(end) {
            (before, mark @ ("\u{1}" | "\u{2}" | "\u{3}" | "\u{4}")) => {
                painted.push_str(&clean(before));
                painted.push_str(sequence(mark));
            }
            _ => painted.push_str(&clean(part)),
        }
    }
    painted
}
