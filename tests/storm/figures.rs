//! What was done: the figures at the end of a run.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::step::{Event, Program, Step};

/// What was done, by kind.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    cases: u64,
    hosts: usize,
    /// Of each kind: carried out, and refused or of no use just then.
    steps: BTreeMap<(bool, String), (u64, u64)>,
    cuts: u64,
    /// How often arguments that are not ours were found to be there.
    foreign: u64,
}

impl Figures {
    /// Counts a step, and whether it was carried out.
    pub fn count(&mut self, step: &Step, done: bool) {
        let is_fault = matches!(step.event, Event::Trouble(_) | Event::LoseLine);
        let counts = self.steps.entry((is_fault, kind(&step.event))).or_default();
        *(if done { &mut counts.0 } else { &mut counts.1 }) += 1;
        self.cuts += u64::from(is_cut(&step.event));
    }

    /// Counts a case that ended well.
    pub fn count_case(&mut self, hosts: usize, foreign: u64) {
        self.cases += 1;
        self.foreign += foreign;
        self.hosts = hosts;
    }

    /// Takes in what another thread has counted.
    pub fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.hosts = self.hosts.max(other.hosts);
        self.cuts += other.cuts;
        self.foreign += other.foreign;
        for (kind, counts) in &other.steps {
            let own = self.steps.entry(kind.clone()).or_default();
            *own = (own.0 + counts.0, own.1 + counts.1);
        }
    }

    /// The figures in words.
    pub fn in_words(&self, took: Duration) -> String {
        let of = |faults: bool| self.steps.iter().filter(move |((is_fault, _), _)| *is_fault == faults);
        let sum = |faults: bool| of(faults).map(|(_, (done, _))| done).sum::<u64>();
        let mut text = format!(
            "{} cases on {} hosts in {:.1} s: {} operations carried out, {} faults and their ends, {} operations cut off, \
             arguments that are not ours compared {} times",
            self.cases,
            self.hosts,
            took.as_secs_f64(),
            sum(false),
            sum(true),
            self.cuts,
            self.foreign,
        );
        for ((_, kind), (done, refused)) in of(false).chain(of(true)) {
            // Writing to a string does not fail.
            let _ = write!(text, "\n{done:8} {kind} ({refused} refused)");
        }
        text
    }
}

fn kind(event: &Event) -> String {
    let first_word = |text: String| text.split([' ', '(', '{']).next().unwrap_or_default().to_lowercase();
    match event {
        Event::Change { change, by, .. } => format!("{} by {}", first_word(format!("{change:?}")), program(*by)),
        Event::Sync { by, .. } => format!("sync by {}", program(*by)),
        Event::EditRow(edit) => format!("{} by hand", first_word(format!("{edit:?}"))),
        Event::Trouble(trouble) => first_word(format!("{trouble:?}")),
        Event::Reboot { by, .. } => format!("reboot by {}", first_word(format!("{by:?}"))),
        Event::RebootAtOnce { by, .. } => format!("reboot at once by {}", first_word(format!("{by:?}"))),
        event => first_word(format!("{event:?}")),
    }
}

fn program(program: Program) -> &'static str {
    match program {
        Program::Library => "the library",
        Program::Admin => "vgpu-admin",
        Program::Plugin => "the plugin",
    }
}

fn is_cut(event: &Event) -> bool {
    match event {
        Event::Change { cut, .. }
        | Event::Sync { cut, .. }
        | Event::Import { cut, .. }
        | Event::Adopt { cut }
        | Event::Start { cut }
        | Event::Reboot { cut, .. }
        | Event::RebootAtOnce { cut, .. } => cut.is_some(),
        _ => false,
    }
}
