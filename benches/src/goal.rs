//! The table.

use std::fmt::Write;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub enum Goal {
    /// As it is.
    None,
    /// No more than that.
    AtMost(f64),
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    what: &'static str,
    figure: f64,
    show: fn(f64) -> String,
    goal: Goal,
}

impl Row {
    /// A time in seconds.
    pub fn new(what: &'static str, seconds: f64, goal: Goal) -> Self {
        Self { what, figure: seconds, show: time, goal }
    }

    /// One time divided by another.
    pub fn ratio(what: &'static str, ratio: f64, goal: Goal) -> Self {
        Self { what, figure: ratio, show: ratio_of, goal }
    }

    /// Memory in MiB.
    pub fn memory(what: &'static str, mebibytes: f64, goal: Goal) -> Self {
        Self { what, figure: mebibytes, show: |mebibytes| format!("{mebibytes:.1} MiB"), goal }
    }
}

fn time(seconds: f64) -> String {
    match seconds {
        _ if seconds < 1e-3 => format!("{:.2} µs", seconds * 1e6),
        _ if seconds < 1.0 => format!("{:.2} ms", seconds * 1e3),
        _ => format!("{seconds:.2} s"),
    }
}

fn ratio_of(ratio: f64) -> String {
    if ratio < 0.5 { format!("1/{:.1}", 1.0 / ratio) } else { format!("{ratio:.2}") }
}

/// The rows as Markdown, with what they were measured on.
pub fn table(rows: &[Row]) -> String {
    let mut table = "| | median | goal | |\n|---|---|---|---|\n".to_owned();
    for Row { what, figure, show, goal } in rows {
        let (goal, verdict) = match goal {
            Goal::None => (String::new(), ""),
            Goal::AtMost(most) if figure <= most => (format!("≤ {}", show(*most)), "met"),
            Goal::AtMost(most) => (format!("≤ {}", show(*most)), "**missed**"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {what} | {} | {goal} | {verdict} |", show(*figure));
    }
    table
}
