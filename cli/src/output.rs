//! Output and questions.

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use vgpu_admin::arguments::Format;
use vgpu_config::reply::{ErrorBody, ErrorReply};
use vgpu_config::{Error, text};

use crate::screen::{has_colours, paint};
use crate::{FAILED, WRONG_USAGE};

/// Prints for people.
pub fn say(text: &str) -> Result<(), Error> {
    // An empty list without a header.
    if text.is_empty() {
        return Ok(());
    }
    print(&paint(text, has_colours(), text::lines))
}

/// Prints a list for programs, with its line ends. Only a terminal needs protection from what names may contain.
pub fn say_csv(csv: &str) -> Result<(), Error> {
    let csv = if io::stdout().is_terminal() { text::lines(csv) } else { csv.to_owned() };
    write!(io::stdout(), "{csv}").map_err(|error| unwritable(&error))
}

/// Prints JSON, for programs.
pub fn say_json(json: String) -> Result<(), Error> {
    print(&text::json(json))
}

fn print(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(|error| unwritable(&error))
}

/// Says if a reply may lack changes of other hosts.
pub fn note_age(as_of: Option<&str>) {
    let note = match as_of {
        None => return,
        Some("unknown") => "XAPI is away: changes made on other hosts may be missing".to_owned(),
        Some(time) => {
            format!("as of {time} UTC, XAPI is away: changes made on other hosts since then may be missing")
        }
    };
    // Standard output is for the reply.
    tell(&format!("vgpu-admin: {note}"));
}

/// Prints a line for people on standard error. If that fails, the exit status has to suffice.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text::one_line(text));
}

pub fn unwritable(error: &io::Error) -> Error {
    Error::unwritable(error.kind(), error)
}

/// Asks for confirmation, unless `--yes` was given. Returns the exit status if the answer is no, or if there is no terminal.
/// `otherwise` is printed if the answer is no.
pub fn refused(command: &str, question: &str, otherwise: &str, yes: bool) -> Result<Option<ExitCode>, Error> {
    if yes {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        tell(&format!("vgpu-admin: {command} asks for confirmation, but there is no terminal: add --yes"));
        return Ok(Some(ExitCode::from(WRONG_USAGE)));
    }
    if confirmed(question)? {
        return Ok(None);
    }
    say(otherwise)?;
    Ok(Some(ExitCode::from(FAILED)))
}

fn confirmed(question: &str) -> Result<bool, Error> {
    let _ = write!(io::stderr(), "{} [y/N] ", text::lines(question));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| unwritable(&error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// Prints an error for people, or the same code and parameters that the plugin returns.
pub fn complain(error: &Error, format: Format) {
    match format {
        Format::Table | Format::Csv => tell(&format!("vgpu-admin: {error}")),
        Format::Json => {
            let message = text::one_line(&error.to_string());
            let error = ErrorBody { code: error.code().to_owned(), params: error.params(), message };
            let answer = serde_json::to_string(&ErrorReply { error }).unwrap_or_default();
            let _ = writeln!(io::stderr(), "{}", text::json(answer));
        }
    }
}
