//! `vgpu-admin`: parses, calls an operation, prints.

mod render;

use std::io::{self, BufRead, IsTerminal, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use vgpu_admin::arguments::{self, Arguments, Command, Format};
use vgpu_config::config_file::{ConfigFile, FileFormat};
use vgpu_config::operations::{self, Caller, Host, VmSelector};
use vgpu_config::paths::Root;
use vgpu_config::store::Filter;
use vgpu_config::{Error, logging};

/// Where the program is installed, below the root.
const INSTALLED_AS: &str = "usr/bin/vgpu-admin";

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

fn main() -> ExitCode {
    // Clap itself ends the program with 2 where the usage is wrong.
    let arguments = Arguments::parse();
    let format = arguments.format;
    logging::to_standard_error("vgpu-admin", log_level(arguments.verbose));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| run(arguments)))
        .unwrap_or_else(|_| Err(Error::Internal("a panic, see above".to_owned())));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error, format);
            ExitCode::from(FAILED)
        }
    }
}

fn log_level(verbose: u8) -> log::LevelFilter {
    match verbose {
        0 => log::LevelFilter::Error,
        1 => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let root = Root::of_program(INSTALLED_AS);
    let format = arguments.format;
    if let Command::Check = arguments.command {
        let reply = operations::check(&root);
        print(format, &reply, render::check)?;
        return Ok(if reply.ok { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
    }
    let host = Host::open(root, Caller::Root)?;
    match arguments.command {
        Command::RegisterVm(options) => {
            let request = operations::RegisterVm {
                vm_uuid: options.vm_uuid,
                vm_name: options.vm_name,
                pool: options.pool.pool,
                priority: options.priority,
                vm_id: options.vm_id,
                force: options.force,
            };
            print(format, &operations::register_vm(&host, &request)?, |reply| render::change("registered", reply))
        }
        Command::SetPool { vm, pool } => {
            let reply = operations::set_pool(&host, &vm.selector(), pool.pool)?;
            print(format, &reply, |reply| render::change("changed", reply))
        }
        Command::SetPriority { vm, priority } => {
            let reply = operations::set_priority(&host, &vm.selector(), priority)?;
            print(format, &reply, |reply| render::change("changed", reply))
        }
        Command::UpdateVm(options) => {
            let arguments::Change { pool, priority, vm_id } = options.change;
            let change = operations::UpdateVm { pool, priority, vm_id };
            let reply = operations::update_vm(&host, &options.vm.selector(), &change)?;
            print(format, &reply, |reply| render::change("changed", reply))
        }
        Command::ShowVm { vm } => print(format, &operations::show_vm(&host, &vm.selector())?, render::vm),
        Command::ListVms { pool, priority } => list_vms(&host, Filter { pool, priority }, format),
        Command::ListPools => print(format, &operations::list_pools(&host)?, render::pools),
        Command::RemoveVm { vm, yes } => return remove_vm(&host, &vm.selector(), yes, format),
        Command::ScanVms => print(format, &operations::scan_vms(&host)?, |vms| render::scanned(vms)),
        Command::Adopt { dry_run } => {
            let reply = operations::adopt(&host, dry_run)?;
            print(format, &reply, render::adopted)?;
            return Ok(if reply.left_alone.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
        }
        Command::Export { file } => export(&host, &file, format),
        Command::Import { file, prune, dry_run } => {
            let text = read_file(&file)?;
            let reply = operations::import(&host, &ConfigFile::parse(&text)?, prune, dry_run)?;
            print(format, &reply, render::imported)
        }
        Command::Sync { dry_run } => {
            let reply = operations::sync(&host, dry_run)?;
            print(format, &reply, render::sync)?;
            return Ok(if reply.left_alone.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
        }
        Command::Prune { dry_run, yes } => return prune(&host, dry_run, yes, format),
        Command::Status => print(format, &operations::status(&host)?, render::status),
        Command::Check => Ok(()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list_vms(host: &Host, filter: Filter, format: Format) -> Result<(), Error> {
    if format == Format::Json {
        let mut out = io::stdout().lock();
        operations::list_vms_as_json(host, filter, &mut out)?;
        return out.write_all(b"\n").map_err(|error| unwritable(&error));
    }
    let mut rows = Vec::new();
    operations::list_vms(host, filter, &mut |vm| {
        rows.push(render::list_row(&vm));
        Ok(())
    })?;
    if rows.is_empty() {
        return say("No registered VM matches. Register one with 'vgpu-admin register-vm'.");
    }
    say(&render::table(&render::LIST_HEADING, rows))
}

fn prune(host: &Host, dry_run: bool, yes: bool, format: Format) -> Result<ExitCode, Error> {
    if !dry_run {
        let planned = operations::prune(host, true)?;
        let question = format!("{}\nForget all of this?", render::pruned(&planned));
        if !planned.pruned.is_empty()
            && let Some(code) = refused("prune", &question, yes)?
        {
            return Ok(code);
        }
    }
    print(format, &operations::prune(host, dry_run)?, render::pruned)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks, unless `--yes` was given: the status to end with where the answer is no, or nobody is there to give one.
fn refused(command: &str, question: &str, yes: bool) -> Result<Option<ExitCode>, Error> {
    if yes {
        return Ok(None);
    }
    if !io::stdin().is_terminal() {
        let _ =
            writeln!(io::stderr(), "vgpu-admin: {command} asks first, and there is no terminal to ask on: add --yes");
        return Ok(Some(ExitCode::from(WRONG_USAGE)));
    }
    if confirmed(question)? {
        return Ok(None);
    }
    say("Nothing was removed.")?;
    Ok(Some(ExitCode::from(FAILED)))
}

fn remove_vm(host: &Host, vm: &VmSelector, yes: bool, format: Format) -> Result<ExitCode, Error> {
    let shown = operations::show_vm(host, vm)?;
    let name = shown.vm_name.as_deref().unwrap_or("no name");
    let question = format!("Remove the vGPU settings of VM {} ({name})?", shown.vm_uuid);
    if let Some(code) = refused("remove-vm", &question, yes)? {
        return Ok(code);
    }
    print(format, &operations::remove_vm(host, vm)?, |reply| render::change("removed", reply))?;
    Ok(ExitCode::SUCCESS)
}

fn export(host: &Host, file: &Path, format: Format) -> Result<(), Error> {
    let format = if format == Format::Json { FileFormat::Json } else { FileFormat::Toml };
    let text = operations::export(host, format)?;
    if file == Path::new("-") {
        return io::stdout().write_all(text.as_bytes()).map_err(|error| unwritable(&error));
    }
    std::fs::write(file, text).map_err(|source| Error::File { path: file.to_owned(), source })
}

fn read_file(file: &Path) -> Result<String, Error> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(file) };
    text.map_err(|source| Error::File { path: file.to_owned(), source })
}

/// Asks on the terminal; only a clear yes is one.
fn confirmed(question: &str) -> Result<bool, Error> {
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| unwritable(&error))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn print<T: Serialize>(format: Format, reply: &T, render: impl Fn(&T) -> String) -> Result<(), Error> {
    match format {
        Format::Table => say(&render(reply)),
        Format::Json => say(&serde_json::to_string(reply).map_err(|error| Error::Reply(error.to_string()))?),
    }
}

fn say(text: &str) -> Result<(), Error> {
    writeln!(io::stdout(), "{text}").map_err(|error| unwritable(&error))
}

fn unwritable(error: &io::Error) -> Error {
    Error::Reply(error.to_string())
}

/// An error for people, or the same code and parameters that the plugin answers.
fn complain(error: &Error, format: Format) {
    let text = match format {
        Format::Table => format!("vgpu-admin: {error}"),
        Format::Json => {
            let (code, params, message) = (error.code(), error.params(), error.to_string());
            serde_json::json!({"error": {"code": code, "params": params, "message": message}}).to_string()
        }
    };
    // Where standard error cannot be written, the exit status has to do.
    let _ = writeln!(io::stderr(), "{text}");
}
