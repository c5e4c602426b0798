//! The list of commands in `--help`, in groups.

use std::fmt::Write;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory, Error};

use super::Arguments;

const GROUPS: &[(&str, &[&str])] = &[
    (
        "VMs",
        &[
            "register-vm",
            "show-vm",
            "list-vms",
            "set-pool",
            "set-priority",
            "update-vm",
            "remove-vm",
            "history",
            "apply",
        ],
    ),
    ("GPU pools", &["list-pools", "show-pool", "set-gpu-pool", "assign-gpu", "unassign-gpu", "scan-gpus"]),
    ("Whole resource pool", &["scan-vms", "status", "metrics", "sync", "adopt", "prune", "export", "import"]),
    ("This host", &["check", "recover", "qemu-wrapper"]),
    ("Help", &["schema", "help"]),
];

/// What `vgpu-admin schema` describes: the commands that print JSON, and their errors.
#[must_use]
pub fn with_schema() -> Vec<&'static str> {
    names().filter(|name| !["schema", "help"].contains(name)).chain(["error"]).collect()
}

/// Of all commands.
fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|(_, names)| names.iter().copied())
}

/// Of a command line without a command.
const USAGE: &str = "vgpu-admin [OPTIONS] <COMMAND>";

pub(super) const AFTER_HELP: &str = "\
Examples:
  vgpu-admin register-vm web01 --pool=A --priority=high
  vgpu-admin set-priority web01 web02 low
  vgpu-admin list-vms --pool=A
  vgpu-admin check --all-hosts

Exit status:
  0    done, and all is well
  1    failed, and nothing was changed unless the message says otherwise;
       or something is not right (check, sync, adopt, apply, recover)
  2    wrong usage: nothing was done
  141  the reader has gone, as with | head

A change takes effect when the VM is next started or rebooted.
'vgpu-admin COMMAND --help' has an example for each command.";

/// The command line, with its help in groups.
pub(super) fn command() -> Command {
    let command = Arguments::command();
    let mut built = command.clone();
    built.build();
    let header = *command.get_styles().get_header();
    let literal = *command.get_styles().get_literal();
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (group, names) in GROUPS {
        // Writing to a string does not fail.
        let _ = writeln!(template, "\n{header}{group}:{header:#}");
        for name in *names {
            let about = built.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let padding = " ".repeat(14_usize.saturating_sub(name.len()));
            let _ = writeln!(template, "  {literal}{name}{literal:#}{padding}{}", about.unwrap_or_default());
        }
    }
    let _ = write!(template, "\n{header}Options:{header:#}\n{{options}}{{after-help}}");
    command.help_template(template)
}

/// Suggests the command that is most like a mistyped one. If none is like it, all commands are named.
pub(super) fn suggest(mut error: Error) -> Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    match error.get(ContextKind::SuggestedSubcommand) {
        // The most similar one is the last.
        Some(ContextValue::Strings(alike)) => {
            let nearest = alike.last().cloned().into_iter().collect();
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(nearest));
        }
        // The commands below another command are in its help.
        None if error.get(ContextKind::Usage).is_some_and(|usage| usage.to_string().contains(USAGE)) => {
            let names = names().collect::<Vec<_>>().join(", ");
            let tip = StyledStr::from(format!("the commands are {names}"));
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
        }
        _ => {}
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_in_one_group() {
        let mut built = Arguments::command();
        built.build();
        let mut commands: Vec<_> = built.get_subcommands().map(Command::get_name).collect();
        let mut grouped: Vec<_> = names().collect();
        commands.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, commands);
    }

    #[test]
    fn every_command_that_prints_json_has_a_schema_and_so_have_errors() {
        let commands = with_schema();
        assert_eq!(commands.len(), names().count() - 2 + 1, "{commands:?}");
        assert!(commands.contains(&"qemu-wrapper") && commands.ends_with(&["error"]), "{commands:?}");
    }

    #[test]
    fn the_list_of_commands_fits_a_terminal_of_80_columns() {
        let help = command().render_help().to_string();
        let (list, _) = help.split_once("Options:").unwrap();
        for line in list.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
