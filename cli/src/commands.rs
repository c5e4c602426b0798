//! The commands: each is a request, and some ask first.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use vgpu_admin::arguments::{
    Arguments, AssignGpu, Assignment, Change, Command, Format, OneGpu, PoolChange, RegisterVm, SetGpuPool, UpdateVm,
};
use vgpu_config::Error;
use vgpu_config::config_file::{ConfigFile, FileFormat};
use vgpu_config::operations;
use vgpu_config::paths::Root;
use vgpu_config::reply::CheckedReply;
use vgpu_config::request::{Reply, Request, VmSelector, VmSelectors};

use crate::output::{note_age, refused, say, say_json, unwritable};
use crate::target::Target;
use crate::{FAILED, apply, qemu_wrapper, render, schema, vms};

pub type Outcome = Result<ExitCode, Error>;

/// Returns the exit status.
#[allow(clippy::too_many_lines, reason = "a line or two for each command")]
pub fn run(root: Root, arguments: Arguments) -> Outcome {
    let list = arguments.command.list_style().unwrap_or_default();
    let target = Target::new(root, arguments.host, arguments.format, list);
    let show = |request| target.show(request);
    match arguments.command {
        Command::RegisterVm(RegisterVm { vms, pool, priority, vm_id, force, if_needed, dry_run }) => {
            let vm = vms::to_register(vms.given())?;
            show(Request::RegisterVm { vm, pool, priority, vm_id, force, if_needed, dry_run })
        }
        Command::SetPool(Assignment { vms, value: pool, force, dry_run }) => {
            show(Request::SetPool { vm: vms::selectors(vms)?, pool, force, dry_run })
        }
        Command::SetPriority(Assignment { vms, value: priority, dry_run, .. }) => {
            show(Request::SetPriority { vm: vms::selectors(vms)?, priority, dry_run })
        }
        Command::UpdateVm(UpdateVm { vms, change: Change { pool, priority, vm_id }, force, dry_run }) => {
            show(Request::UpdateVm { vm: vms::selectors(vms.given())?, pool, priority, vm_id, force, dry_run })
        }
        Command::ShowVm { vms } => show(Request::ShowVm { vm: vms::selectors(vms.given())? }),
        Command::ListVms { pool, priority, .. } => show(Request::ListVms { pool, priority }),
        Command::ListPools { .. } => show(Request::ListPools {}),
        Command::ShowPool { pool } => show(Request::ShowPool { pool: pool.given() }),
        Command::SetGpuPool(SetGpuPool { pool, change: PoolChange { name, description, max_vms }, dry_run }) => {
            show(Request::SetGpuPool { pool: pool.given(), name, description, max_vms, dry_run })
        }
        Command::AssignGpu(AssignGpu { pool, gpu: OneGpu { gpu, dry_run } }) => {
            show(Request::AssignGpu { pool: pool.given(), gpu, dry_run })
        }
        Command::UnassignGpu(OneGpu { gpu, dry_run }) => show(Request::UnassignGpu { gpu, dry_run }),
        Command::RemoveVm { vms, dry_run, yes } => remove_vms(&target, vms::selectors(vms.given())?, dry_run, yes),
        Command::ScanVms { .. } => show(Request::ScanVms {}),
        Command::ScanGpus { .. } => show(Request::ScanGpus {}),
        Command::Adopt { dry_run } => show(Request::Adopt { dry_run }),
        Command::Export { file } => export(&target, &file),
        Command::Import { file, prune, force, dry_run } => {
            show(Request::Import { config: ConfigFile::parse(&text_of(&file)?)?, prune, force, dry_run })
        }
        Command::Sync { dry_run } => show(Request::Sync { dry_run }),
        Command::Prune { dry_run: true, .. } => show(Request::Prune { vm_uuids: None, gpus: None, dry_run: true }),
        Command::Prune { dry_run: false, yes } => prune(&target, yes),
        Command::History { vm, limit, .. } => show(Request::History { vm: vm.selector(), limit }),
        Command::Apply(options) => apply::run(&target, options),
        Command::Status => show(Request::Status {}),
        Command::Metrics => show(Request::Metrics {}),
        Command::Check { vm, all_hosts, .. } => show(Request::Check { vm: vm.selector(), all_hosts }),
        Command::Recover { dry_run, yes, force } => recover(&target, dry_run, yes, force),
        Command::Schema { command } => schema::print(command.as_deref()),
        Command::QemuWrapper { what } => qemu_wrapper::run(&target, &what),
    }
}

/// The exit status for a reply.
pub fn status(reply: &Reply) -> ExitCode {
    let is_well = match reply {
        Reply::Adopt(reply) => reply.failed.is_empty(),
        Reply::Sync(reply) => reply.left_alone.is_empty() && reply.gpu_pools.left_alone.is_empty(),
        Reply::Apply(reply) => reply.failed.is_none() && reply.left_alone.is_empty(),
        Reply::Check(CheckedReply::Vm(reply)) => reply.ok,
        Reply::Check(CheckedReply::ThisHost(reply)) => reply.ok,
        Reply::Check(CheckedReply::AllHosts(reply)) => reply.ok,
        _ => true,
    };
    if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

pub fn mixed_up() -> Error {
    Error::Internal("the reply does not match the request".to_owned())
}

fn remove_vms(target: &Target, vm: VmSelectors, dry_run: bool, yes: bool) -> Outcome {
    if yes || dry_run {
        return target.show(Request::RemoveVm { vm, dry_run });
    }
    let Reply::ShowVm(shown) = target.ask(Request::ShowVm { vm: vm.clone() })? else { return Err(mixed_up()) };
    let question = render::question_before_removal(shown.as_slice());
    if let Some(code) = refused("remove-vm", &question, "Nothing was removed.", yes)? {
        return Ok(code);
    }
    // By UUID: another VM may have the name by now.
    let mut shown = shown.as_slice().iter().map(|reply| VmSelector::Uuid(reply.vm.vm_uuid));
    let vm = match (vm, shown.len(), shown.next()) {
        (VmSelectors::One(_), 1, Some(one)) => VmSelectors::One(one),
        (_, _, first) => VmSelectors::Several(first.into_iter().chain(shown).collect()),
    };
    target.show(Request::RemoveVm { vm, dry_run: false })
}

fn prune(target: &Target, yes: bool) -> Outcome {
    if yes {
        return target.show(Request::Prune { vm_uuids: None, gpus: None, dry_run: false });
    }
    let Reply::Prune(planned) = target.ask(Request::Prune { vm_uuids: None, gpus: None, dry_run: true })? else {
        return Err(mixed_up());
    };
    if planned.pruned.is_empty() && planned.pruned_gpus.is_empty() {
        return target.show(Request::Prune { vm_uuids: None, gpus: None, dry_run: true });
    }
    let question = format!("{}\nDelete these settings?", render::pruned(&planned));
    if let Some(code) = refused("prune", &question, "Nothing was removed.", yes)? {
        return Ok(code);
    }
    // What was shown, and nothing that has come to it since.
    let vm_uuids = (!planned.pruned.is_empty()).then(|| planned.pruned.into_iter().collect());
    let gpus = (!planned.pruned_gpus.is_empty()).then(|| planned.pruned_gpus.into_iter().collect());
    target.show(Request::Prune { vm_uuids, gpus, dry_run: false })
}

fn export(target: &Target, file: &Path) -> Outcome {
    let Reply::Export(config) = target.ask(Request::Export {})? else { return Err(mixed_up()) };
    let text = config.to_text(if target.format == Format::Json { FileFormat::Json } else { FileFormat::Toml })?;
    if file == Path::new("-") {
        io::stdout().write_all(text.as_bytes()).map_err(|error| unwritable(&error))?;
    } else {
        std::fs::write(file, text).map_err(|source| Error::File { path: file.to_owned(), source })?;
    }
    note_age(config.as_of.as_deref());
    Ok(ExitCode::SUCCESS)
}

fn text_of(file: &Path) -> Result<String, Error> {
    let text = if file == Path::new("-") { io::read_to_string(io::stdin()) } else { std::fs::read_to_string(file) };
    text.map_err(|source| Error::File { path: file.to_owned(), source })
}

fn recover(target: &Target, dry_run: bool, yes: bool, force: bool) -> Outcome {
    let Some(root) = target.root_of_this_host() else {
        return Err(Error::InvalidParam {
            name: "--host".to_owned(),
            value: "recover".to_owned(),
            expected: "a command other than recover, which has to run on the host with the damaged database".to_owned(),
        });
    };
    if !dry_run && !yes {
        let planned = operations::recover(root, force, true)?;
        let question = format!("{}\nReplace the database?", render::recovered(&planned));
        if let Some(code) = refused("recover", &question, "Nothing was changed.", yes)? {
            return Ok(code);
        }
    }
    let reply = operations::recover(root, force, dry_run)?;
    match target.format {
        Format::Table | Format::Csv => say(&render::recovered(&reply))?,
        Format::Json => say_json(serde_json::to_string(&reply).map_err(|error| Error::Reply(error.to_string()))?)?,
    }
    Ok(if reply.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}
