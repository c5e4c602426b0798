//! Tables: plain text with two spaces between columns, which can be processed with grep and cut. On a terminal they fit its width.

use console::{measure_text_width, truncate_str};
use vgpu_config::text::one_line;

use crate::screen::Shade;

const GAP: usize = 2;
/// No column is made narrower than this.
const NARROWEST: usize = 6;
const CUT: &str = "\u{2026}";

#[derive(Debug, Clone, Default)]
pub struct Cell {
    /// As it is.
    pub text: String,
    /// On one line.
    line: String,
    /// Its place when the column is sorted, if that is not by its text.
    pub rank: Option<u64>,
    pub shade: Shade,
    /// Of no use if it is shortened, as a UUID, a number or a time.
    pub is_whole: bool,
}

impl Cell {
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: text.as_ref().to_owned(), line: one_line(text.as_ref()), ..Self::default() }
    }

    /// Empty if there is nothing.
    pub fn or_nothing(text: Option<impl ToString>) -> Self {
        text.map(|text| Self::new(text.to_string())).unwrap_or_default()
    }

    pub fn ranked(self, rank: impl Into<u64>) -> Self {
        Self { rank: Some(rank.into()), ..self }
    }

    pub fn shaded(self, shade: Shade) -> Self {
        Self { shade, ..self }
    }

    pub fn whole(self) -> Self {
        Self { is_whole: true, ..self }
    }

    /// What people see.
    fn shown(&self) -> &str {
        if self.line.is_empty() { "-" } else { &self.line }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// What to do with a row that is wider than the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooWide {
    /// Shorten the widest columns.
    Shorten,
    /// Go on in the next line, below the last column.
    Wrap,
}

/// How wide a table is if nothing is shortened.
pub fn natural_width(heading: &[String], rows: &[Vec<Cell>]) -> usize {
    let heading: Vec<_> = heading.iter().map(Cell::new).collect();
    let widths = natural_widths(std::iter::once(&heading).chain(rows));
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

fn natural_widths<'r>(rows: impl Iterator<Item = &'r Vec<Cell>>) -> Vec<usize> {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(row.len().max(widths.len()), 0);
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = measure_text_width(cell.shown()).max(*widest);
        }
    }
    widths
}

/// Lays a table out; `width` is the terminal's, if it is for one.
pub fn layout(heading: &[String], rows: &[Vec<Cell>], too_wide: TooWide, width: Option<usize>) -> String {
    let heading: Vec<_> = heading.iter().map(Cell::new).collect();
    let heading = (!heading.is_empty()).then_some(&heading);
    let mut widths = natural_widths(heading.into_iter().chain(rows));
    match (too_wide, width) {
        (TooWide::Shorten, Some(width)) => shorten(&mut widths, rows, width),
        (TooWide::Wrap, Some(width)) => narrow_the_last(&mut widths, width),
        (_, None) => {}
    }
    let lines: Vec<_> = heading.into_iter().chain(rows).map(|row| line(row, &widths, too_wide)).collect();
    lines.join("\n")
}

/// Shortens the widest columns until the table fits, or until all are narrow.
fn shorten(widths: &mut [usize], rows: &[Vec<Cell>], width: usize) {
    let gaps = GAP * widths.len().saturating_sub(1);
    let is_whole = |column: usize| rows.iter().any(|row| row.get(column).is_some_and(|cell| cell.is_whole));
    let may_shrink: Vec<_> = (0..widths.len()).map(|column| !is_whole(column)).collect();
    while widths.iter().sum::<usize>() + gaps > width {
        let shrinkable = widths.iter_mut().zip(&may_shrink).filter(|(_, may_shrink)| **may_shrink);
        match shrinkable.map(|(width, _)| width).max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
}

fn narrow_the_last(widths: &mut [usize], width: usize) {
    if let [before @ .., last] = widths {
        let used = before.iter().map(|width| width + GAP).sum::<usize>();
        // In a very narrow terminal it is better to let the terminal break the lines.
        if width >= used + 2 * NARROWEST {
            *last = (*last).min(width - used);
        }
    }
}

fn line(row: &[Cell], widths: &[usize], too_wide: TooWide) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
        let indent = widths[..index].iter().map(|width| width + GAP).sum();
        let text = match too_wide {
            TooWide::Wrap if index + 1 == row.len() => wrapped(cell.shown(), *width, indent),
            _ => truncate_str(cell.shown(), *width, CUT).into_owned(),
        };
        line.push_str(&cell.shade.mark(&text));
        if index + 1 < row.len() {
            let padding = (width + GAP).saturating_sub(measure_text_width(&text));
            line.extend(std::iter::repeat_n(' ', padding));
        }
    }
    line
}

/// Breaks a text at its spaces if it is too wide. A word that is too long stays in one piece: it may have to be copied.
fn wrapped(text: &str, width: usize, indent: usize) -> String {
    if measure_text_width(text) <= width {
        return text.to_owned();
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map(String::as_str).unwrap_or_default();
        let is_first = line.is_empty();
        if !is_first && measure_text_width(line) + 1 + measure_text_width(word) > width {
            lines.push(word.to_owned());
        } else if let Some(line) = lines.last_mut() {
            line.push_str(if is_first { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<Cell>> {
        rows.iter().map(|row| row.iter().map(Cell::from).collect()).collect()
    }

    #[test]
    fn without_a_terminal_everything_is_shown_and_nothing_ends_with_spaces() {
        let rows = rows(&[&["A", "a very long name indeed"], &["B", ""]]);
        let table = layout(&["POOL".to_owned(), "NAME".to_owned()], &rows, TooWide::Shorten, None);
        assert_eq!(table, "POOL  NAME\nA     a very long name indeed\nB     -");
    }

    #[test]
    fn on_a_terminal_the_widest_columns_are_shortened_first() {
        let rows = rows(&[&["A", "cda8bcd3-f410-bd1f-3688-8c308ff28e90", "a very long name indeed", "7"]]);
        for width in [20, 30, 40, 60, 200] {
            let table = layout(&[], &rows, TooWide::Shorten, Some(width));
            assert!(measure_text_width(&table) <= width.max(20), "{width}: {table}");
            assert!(table.starts_with("A  cda8b") && table.ends_with("  7"), "{table}");
            assert_eq!(table.contains(CUT), width < 68, "{table}");
        }
        let table = layout(&[], &rows, TooWide::Shorten, Some(60));
        assert!(table.contains("a very long name indeed"), "the other is the widest: {table}");
    }

    #[test]
    fn numbers_and_times_are_never_shortened() {
        let row = vec![Cell::new("2026-01-02 03:04:05").whole(), Cell::new("a very long name indeed")];
        assert_eq!(layout(&[], &[row], TooWide::Shorten, Some(30)), "2026-01-02 03:04:05  a very l\u{2026}");
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        let rows = rows(&[&["\u{4f60}\u{597d}", "x"], &["four", "y"]]);
        assert_eq!(layout(&[], &rows, TooWide::Shorten, Some(80)), "\u{4f60}\u{597d}  x\nfour  y");
    }

    #[test]
    fn a_long_text_goes_on_below_itself_and_loses_nothing() {
        let rows = rows(&[&["ok", "one two three four"]]);
        assert_eq!(layout(&[], &rows, TooWide::Wrap, Some(18)), "ok  one two three\n    four");
        assert_eq!(layout(&[], &rows, TooWide::Wrap, None), "ok  one two three four");
        assert_eq!(layout(&[], &self::rows(&[&["Name", "  a  b"]]), TooWide::Wrap, Some(80)), "Name    a  b");
    }
}
