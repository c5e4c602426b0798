//! A minimal writer of manual pages.

use clap_mangen::roff::{Roff, bold, roman};

pub(crate) struct Page(Roff);

impl Page {
    /// With the heading and the section NAME.
    pub(crate) fn new(name: &str, section: &str, about: &str) -> Self {
        let mut roff = Roff::new();
        roff.control("TH", [name, section, "", "", "vgpu-config"]);
        roff.control("SH", ["NAME"]).text([roman(format!("{name} - {about}"))]);
        Self(roff)
    }

    pub(crate) fn section(&mut self, title: &str) {
        self.0.control("SH", [title]);
    }

    pub(crate) fn paragraph(&mut self, text: &str) {
        self.0.control("PP", []).text([roman(text)]);
    }

    pub(crate) fn entry(&mut self, term: &str, meaning: &str) {
        self.0.control("TP", []).text([bold(term)]).text([roman(meaning)]);
    }

    /// Lines that are not wrapped.
    pub(crate) fn example(&mut self, lines: &[&str]) {
        self.0.control("PP", []).control("nf", []);
        for line in lines {
            self.0.text([roman(*line)]);
        }
        self.0.control("fi", []);
    }

    pub(crate) fn render(&self) -> String {
        self.0.to_roff()
    }
}
