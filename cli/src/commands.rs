//! The commands: each says which operation it is, here and as a function of another host's plugin.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use vgpu_admin::arguments::{Arguments, Change, Command, Format, RegisterVm, UpdateVm};
use vgpu_config::Error;
use vgpu_config::config_file::{ConfigFile, FileFormat};
use vgpu_config::operations::{self, Caller, VmSelector};
use vgpu_config::paths::Root;
use vgpu_config::reply::{CheckReply, PoolCheckReply, VmReply};
use vgpu_config::store::Filter;

use crate::output::{print, refused, unwritable};
use crate::target::{Call, Target};
use crate::{FAILED, apply, render};

type Outcome = Result<ExitCode, Error>;

/// How much text can be handed to a plugin: it comes as one argument of a program, in which every quote takes six bytes.
const LONGEST_FILE: usize = 60_000;

/// Carries out a command; answers the status to end with.
pub fn run(root: Root, arguments: Arguments) -> Outcome {
    let target = Target::new(root, arguments.host, arguments.format);
    match arguments.command {
        Command::RegisterVm(options) => register_vm(&target, options),
        Command::SetPool { vm, pool } => {
            let (vm, pool) = (vm.selector(), pool.pool);
            let call = Call::of("set_pool").vm(&vm).with("pool", &pool);
            let operation = |host: &_| operations::set_pool(host, &vm, pool);
            done(target.show(&call, |here| operation(here.host()?), |reply| render::change("changed", reply)))
        }
        Command::SetPriority { vm, priority } => {
            let vm = vm.selector();
            let call = Call::of("set_priority").vm(&vm).with("priority", &priority);
            let operation = |host: &_| operations::set_priority(host, &vm, priority);
            done(target.show(&call, |here| operation(here.host()?), |reply| render::change("changed", reply)))
        }
        Command::UpdateVm(options) => update_vm(&target, options),
        Command::ShowVm { vm } => {
            let vm = vm.selector();
            let call = Call::of("show_vm").vm(&vm);
            done(target.show(&call, |here| operations::show_vm(here.host()?, &vm), render::vm))
        }
        Command::ListVms { pool, priority } => list_vms(&target, Filter { pool, priority }),
        Command::ListPools => {
            done(target.show(&Call::of("list_pools"), |here| operations::list_pools(here.host()?), render::pools))
        }
        Command::RemoveVm { vm, yes } => remove_vm(&target, &vm.selector(), yes),
        Command::ScanVms => done(target.show(
            &Call::of("scan_vms"),
            |here| operations::scan_vms(here.host()?),
            |vms| render::scanned(vms),
        )),
        Command::Adopt { dry_run } => {
            let call = Call::of("adopt").with("dry_run", &dry_run).patiently();
            let reply = target.show(&call, |here| operations::adopt(here.host()?, dry_run), render::adopted)?;
            Ok(status(reply.failed.is_empty()))
        }
        Command::Export { file } => export(&target, &file),
        Command::Import { file, prune, dry_run } => import(&target, &file, prune, dry_run),
        Command::Sync { dry_run } => {
            let call = Call::of("sync").with("dry_run", &dry_run).patiently();
            let reply = target.show(&call, |here| operations::sync(here.host()?, dry_run), render::sync)?;
            Ok(status(reply.left_alone.is_empty()))
        }
        Command::Prune { dry_run, yes } => prune(&target, dry_run, yes),
        Command::History { vm, limit } => {
            let vm = vm.selector();
            let mut call = Call::of("history").with_some("limit", limit);
            if let Some(vm) = &vm {
                call = call.vm(vm);
            }
            let operation = |host: &_| operations::history(host, vm.as_ref(), limit);
            done(target.show(&call, |here| operation(here.host()?), |entries| render::history(entries)))
        }
        Command::Apply(options) => apply::run(&target, options),
        Command::Status => {
            done(target.show(&Call::of("status"), |here| operations::status(here.host()?), render::status))
        }
        Command::Check { all_hosts } => check(&target, all_hosts),
        Command::Recover { dry_run, yes, force } => recover(&target, dry_run, yes, force),
    }
}

fn done<T>(outcome: Result<T, Error>) -> Outcome {
    outcome.map(|_| ExitCode::SUCCESS)
}

/// The status to end with.
pub fn status(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn register_vm(target: &Target, options: RegisterVm) -> Outcome {
    let request = operations::RegisterVm {
        vm_uuid: options.vm_uuid,
        vm_name: options.vm_name,
        pool: options.pool.pool,
        priority: options.priority,
        vm_id: options.vm_id,
        force: options.force,
    };
    let call = Call::of("register_vm")
        .with("vm_uuid", &request.vm_uuid)
        .with_some("vm_name", request.vm_name.as_ref())
        .with("pool", &request.pool)
        .with("priority", &request.priority)
        .with_some("vm_id", request.vm_id)
        .with("force", &request.force);
    let operation = |host: &_| operations::register_vm(host, &request);
    done(target.show(&call, |here| operation(here.host()?), |reply| render::change("registered", reply)))
}

fn update_vm(target: &Target, options: UpdateVm) -> Outcome {
    let vm = options.vm.selector();
    let Change { pool, priority, vm_id } = options.change;
    let call =
        Call::of("update_vm").vm(&vm).with_some("pool", pool).with_some("priority", priority).with_some("vm_id", vm_id);
    let change = operations::UpdateVm { pool, priority, vm_id };
    let operation = |host: &_| operations::update_vm(host, &vm, &change);
    done(target.show(&call, |here| operation(here.host()?), |reply| render::change("changed", reply)))
}

fn list_vms(target: &Target, filter: Filter) -> Outcome {
    if let (Some(here), Format::Json) = (target.here(), target.format) {
        // One VM after the other, however many there are.
        let mut out = io::stdout().lock();
        operations::list_vms_as_json(here.host()?, filter, &mut out)?;
        return done(out.write_all(b"\n").map_err(|error| unwritable(&error)));
    }
    let call = Call::of("list_vms").with_some("pool", filter.pool).with_some("priority", filter.priority);
    let operation = |host: &_| {
        let mut vms = Vec::new();
        operations::list_vms(host, filter, &mut |vm| {
            vms.push(vm);
            Ok(())
        })?;
        Ok(vms)
    };
    done(target.show(&call, |here| operation(here.host()?), |vms: &Vec<VmReply>| render::list(vms)))
}

fn remove_vm(target: &Target, vm: &VmSelector, yes: bool) -> Outcome {
    let shown = target.ask(&Call::of("show_vm").vm(vm), |here| operations::show_vm(here.host()?, vm))?;
    let name = shown.vm_name.as_deref().unwrap_or("no name");
    let question = format!("Remove the vGPU settings of VM {} ({})?", shown.vm_uuid, render::printable(name));
    if let Some(code) = refused("remove-vm", &question, "Nothing was removed.", yes)? {
        return Ok(code);
    }
    let call = Call::of("remove_vm").vm(vm);
    let operation = |host: &_| operations::remove_vm(host, vm);
    done(target.show(&call, |here| operation(here.host()?), |reply| render::change("removed", reply)))
}

fn prune(target: &Target, dry_run: bool, yes: bool) -> Outcome {
    let call = |dry_run: bool| Call::of("prune").with("dry_run", &dry_run).patiently();
    if !dry_run {
        let planned = target.ask(&call(true), |here| operations::prune(here.host()?, true))?;
        let question = format!("{}\nForget all of this?", render::pruned(&planned));
        if !planned.pruned.is_empty()
            && let Some(code) = refused("prune", &question, "Nothing was removed.", yes)?
        {
            return Ok(code);
        }
    }
    done(target.show(&call(dry_run), |here| operations::prune(here.host()?, dry_run), render::pruned))
}

fn export(target: &Target, file: &Path) -> Outcome {
    let config = target.ask(&Call::of("export"), |here| operations::export(here.host()?))?;
    let text = config.to_text(if target.format == Format::Json { FileFormat::Json } else { FileFormat::Toml })?;
    if file == Path::new("-") {
        return done(io::stdout().write_all(text.as_bytes()).map_err(|error| unwritable(&error)));
    }
    done(std::fs::write(file, text).map_err(|source| Error::File { path: file.to_owned(), source }))
}

fn import(target: &Target, file: &Path, prune: bool, dry_run: bool) -> Outcome {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(file) };
    let text = text.map_err(|source| Error::File { path: file.to_owned(), source })?;
    let config = ConfigFile::parse(&text)?;
    if target.here().is_none() && text.len() > LONGEST_FILE {
        return Err(Error::InvalidParam {
            name: "--host".to_owned(),
            value: format!("{} bytes", text.len()),
            expected: format!("a file of at most {LONGEST_FILE} bytes; import it here, every host gets it"),
        });
    }
    let call = Call::of("import").with("config", &text).with("prune", &prune).with("dry_run", &dry_run).patiently();
    let operation = |host: &_| operations::import(host, &config, prune, dry_run);
    done(target.show(&call, |here| operation(here.host()?), render::imported))
}

fn check(target: &Target, all_hosts: bool) -> Outcome {
    if all_hosts {
        let call = Call::of("check").with("all_hosts", &true);
        let reply: PoolCheckReply = target.show(
            &call,
            |here| operations::check_all_hosts(&here.root, &Caller::Root),
            render::check_all_hosts,
        )?;
        return Ok(status(reply.ok));
    }
    let reply: CheckReply = target.show(&Call::of("check"), |here| Ok(operations::check(&here.root)), render::check)?;
    Ok(status(reply.ok))
}

fn recover(target: &Target, dry_run: bool, yes: bool, force: bool) -> Outcome {
    let Some(here) = target.here() else {
        return Err(Error::InvalidParam {
            name: "--host".to_owned(),
            value: "recover".to_owned(),
            expected: "another command; run 'vgpu-admin recover' on the host whose database is damaged".to_owned(),
        });
    };
    if !dry_run && !yes {
        let planned = operations::recover(&here.root, force, true)?;
        let question = format!("{}\nMake this the database?", render::recovered(&planned));
        if let Some(code) = refused("recover", &question, "Nothing was changed.", yes)? {
            return Ok(code);
        }
    }
    let reply = operations::recover(&here.root, force, dry_run)?;
    print(target.format, &reply, render::recovered)?;
    Ok(status(reply.lost.is_empty()))
}
