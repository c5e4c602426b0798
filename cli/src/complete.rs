//! Completion: the shell's script runs this program with the words so far, and reads one candidate per line.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::CommandFactory;
use clap_complete::engine::{self, CompletionCandidate};
use vgpu_admin::arguments::Arguments;

/// The index of the word to complete, set by the script packaging/files/vgpu-admin.bash.
const VARIABLE: &str = "VGPU_ADMIN_COMPLETE";

/// Answers the completion script, and returns whether it was the caller. Errors are ignored: the shell cannot show them.
pub fn answered() -> bool {
    let Some(index) = std::env::var_os(VARIABLE) else { return false };
    let index = index.to_str().and_then(|index| index.parse().ok()).unwrap_or_default();
    let _ = answer(std::env::args_os().skip(1).collect(), index);
    true
}

fn answer(words: Vec<OsString>, index: usize) -> io::Result<()> {
    let here = std::env::current_dir().ok();
    let is_begun = words.get(index).is_some_and(|word| !word.is_empty());
    let mut candidates = engine::complete(&mut Arguments::command(), words, index, here.as_deref())?;
    let is_option = |candidate: &CompletionCandidate| candidate.get_value().to_string_lossy().starts_with('-');
    // The options come with a dash.
    if !is_begun && !candidates.iter().all(is_option) {
        candidates.retain(|candidate| !is_option(candidate));
    }
    let mut out = io::stdout().lock();
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        writeln!(out, "{}", candidate.get_value().to_string_lossy())?;
    }
    Ok(())
}
