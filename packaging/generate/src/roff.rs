//! As much of manual pages as is needed here.

use clap_mangen::roff::{Roff, bold, roman};

/// A manual page.
pub(crate) struct Page(Roff);

impl Page {
    /// A page with its heading and its first section.
    pub(crate) fn new(name: &str, section: &str, about: &str) -> Self {
        let mut roff = Roff::new();
        roff.control("TH", [name, section, "", "", "vgpu-config"]);
        roff.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
        Self(roff)
    }

    /// Begins a section.
    pub(crate) fn section(&mut self, title: &str) {
        self.0.control("SH", [title]);
    }

    /// A paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.0.control("PP", []).text([roman(text)]);
    }

    /// A term, and what it means.
    pub(crate) fn entry(&mut self, term: &str, meaning: &str) {
        self.0.control("TP", []).text([bold(term)]).text([roman(meaning)]);
    }

    /// Lines as they are.
    pub(crate) fn example(&mut self, lines: &[&str]) {
        self.0.control("PP", []).control("nf", []);
        for line in lines {
            self.0.text([roman(*line)]);
        }
        self.0.control("fi", []);
    }

    /// The page's text.
    pub(crate) fn render(&self) -> String {
        self.0.to_roff()
    }
}
