//! Parses a command line. What clap cannot refuse by itself is refused here, before anything is done.

use std::ffi::OsString;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use super::{Arguments, Command, Format, ListStyle, help};

impl Arguments {
    /// Parses a command line, which begins with the program's name.
    ///
    /// # Errors
    /// It is wrong, or asks for help.
    pub fn from_words(words: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = help::command();
        let matches = command.try_get_matches_from_mut(words).map_err(help::suggest)?;
        let arguments = Self::from_arg_matches(&matches).and_then(Self::with_a_format_for_its_command);
        arguments.map_err(|error| {
            let name = matches.subcommand_name().unwrap_or_default();
            match command.find_subcommand_mut(name) {
                Some(subcommand) => error.format(subcommand),
                None => error.format(&mut command),
            }
        })
    }

    /// Refused before anything is done.
    fn with_a_format_for_its_command(self) -> Result<Self, clap::Error> {
        let refused = |message: &str| Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
        match (self.format, self.command.list_style()) {
            (Format::Csv, None) => refused(
                "CSV is only for lists: list-vms, list-pools, scan-vms, scan-gpus, history and check; use --format table or json",
            ),
            (Format::Json, Some(style)) if !style.is_default() => refused(
                "--columns, --sort and --no-header are for tables and CSV, and JSON has everything: leave them out",
            ),
            _ => Ok(self),
        }
    }
}

impl Command {
    /// `None` if the command prints no list.
    #[must_use]
    pub fn list_style(&self) -> Option<ListStyle> {
        match self {
            Self::ListVms { list, .. } => Some(list.into()),
            Self::ListPools { list } => Some(list.into()),
            Self::ScanVms { list } => Some(list.into()),
            Self::ScanGpus { list } => Some(list.into()),
            Self::History { list, .. } => Some(list.into()),
            Self::Check { list, .. } => Some(list.into()),
            _ => None,
        }
    }
}
