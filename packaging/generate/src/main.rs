//! `vgpu-generate FOLDER` writes those files of the package that follow from the code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use vgpu_admin::arguments::Arguments;
use vgpu_generate::{database, plugin, settings};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: vgpu-generate FOLDER");
        return ExitCode::from(2);
    };
    match generate(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vgpu-generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(folder: &Path) -> Outcome {
    let (man5, man8) = (folder.join("man5"), folder.join("man8"));
    for folder in [&man5, &man8] {
        fs::create_dir_all(folder)?;
    }
    fs::write(folder.join("vgpu.toml"), settings::commented_file())?;
    fs::write(folder.join("init_db.sql"), database::script(&migrations()?)?)?;
    fs::write(man5.join("vgpu.toml.5"), settings::manual_page())?;
    fs::write(man8.join("vgpu-plugin.8"), plugin::manual_page())?;
    manual_pages_of_the_command_line(&man8)?;
    completions(folder)
}

/// In their order.
fn migrations() -> Result<Vec<String>, std::io::Error> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    files.into_iter().map(fs::read_to_string).collect()
}

/// One page for vgpu-admin, and one for each of its commands and subcommands.
fn manual_pages_of_the_command_line(folder: &Path) -> Outcome {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    pages(&command, folder)
}

fn pages(command: &Command, folder: &Path) -> Outcome {
    page(command, folder)?;
    command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
        .try_for_each(|command| pages(command, folder))
}

fn page(command: &Command, folder: &Path) -> Outcome {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let man = clap_mangen::Man::new(command.clone()).section("8").manual("vgpu-config").date("");
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(folder.join(format!("{name}.8")), page)?;
    Ok(())
}

/// Bash gets its completions from vgpu-admin: the script that `clap_complete` generates offers nothing after a subcommand
/// (clap-rs/clap#6421).
const FOR_BASH: &str = include_str!("../../files/vgpu-admin.bash");

fn completions(folder: &Path) -> Outcome {
    for shell in [Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "vgpu-admin", folder)?;
    }
    Ok(fs::write(folder.join("vgpu-admin.bash"), FOR_BASH)?)
}
