//! `vgpu-admin apply`: says what would be rebooted, asks, and shows how far it is.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use vgpu_admin::arguments::{Apply, Format};
use vgpu_config::Error;
use vgpu_config::operations::{self, ApplyTo, VmSelector};
use vgpu_config::reply::{AppliedVm, ApplyReply, LeftAlone};

use crate::commands::status;
use crate::output::{print, refused};
use crate::render;
use crate::target::{Call, Target};

/// Plans, asks, reboots.
pub fn run(target: &Target, options: Apply) -> Result<ExitCode, Error> {
    let to = match options.to.vm_uuid.map(VmSelector::Uuid).or(options.to.vm_name.map(VmSelector::Name)) {
        Some(vm) => ApplyTo::Vm(vm),
        None => ApplyTo::Pending,
    };
    let planned = ask(target, &to, options.hard, true)?;
    if options.dry_run || planned.applied.is_empty() {
        print(target.format, &planned, render::applied)?;
        return Ok(status(planned.left_alone.is_empty()));
    }
    let how = if options.hard {
        "Reboot them now, one after the other, and reset those without an agent?"
    } else {
        "Reboot them now, one after the other?"
    };
    let question = format!("{}\n{how}", render::applied(&planned));
    if let Some(code) = refused("apply", &question, "Nothing was rebooted.", options.yes)? {
        return Ok(code);
    }
    let reply = reboot(target, planned, options.hard);
    print(target.format, &reply, render::applied)?;
    Ok(status(reply.failed.is_none() && reply.left_alone.is_empty()))
}

/// Reboots the VMs that were shown, and no other, whatever has changed since.
fn reboot(target: &Target, planned: ApplyReply, hard: bool) -> ApplyReply {
    let mut reply = ApplyReply { left_alone: planned.left_alone, notes: planned.notes, ..ApplyReply::default() };
    let total = planned.applied.len();
    let mut progress = Progress::new(target.format);
    let mut rest = planned.applied.iter();
    for (number, vm) in (1..).zip(&mut rest) {
        progress.begins(number, total, vm);
        match ask(target, &ApplyTo::Vm(VmSelector::Uuid(vm.vm_uuid)), hard, false) {
            Ok(of_vm) => {
                reply.applied.extend(of_vm.applied);
                reply.left_alone.extend(of_vm.left_alone);
                reply.notes.extend(of_vm.notes);
                reply.failed = of_vm.failed;
            }
            // Those before it have been rebooted, and that is not to be lost.
            Err(error) => reply.failed = Some(LeftAlone { vm_uuid: vm.vm_uuid, why: error.to_string() }),
        }
        if reply.failed.is_some() {
            break;
        }
    }
    progress.end();
    reply.not_tried = rest.map(|vm| vm.vm_uuid).collect();
    reply
}

fn ask(target: &Target, to: &ApplyTo, hard: bool, dry_run: bool) -> Result<ApplyReply, Error> {
    let call = Call::of("apply").with("dry_run", &dry_run).patiently();
    // An older plugin on another host knows no "hard".
    let call = if hard { call.with("hard", &true) } else { call };
    let call = match to {
        ApplyTo::Vm(vm) => call.vm(vm),
        ApplyTo::Pending => call.with("pending", &true),
    };
    target.ask(&call, |here| operations::apply(here.host()?, to, hard, dry_run))
}

/// How far it is: a line that moves on a terminal, a line for each VM elsewhere. On standard error, beside the answer.
struct Progress {
    bar: Option<ProgressBar>,
    format: Format,
}

impl Progress {
    fn new(format: Format) -> Self {
        let bar = io::stderr().is_terminal().then(ProgressBar::new_spinner);
        Self { bar, format }
    }

    fn begins(&mut self, number: usize, total: usize, vm: &AppliedVm) {
        let text = format!("{number}/{total} {} ({}): rebooting", vm.vm_uuid, render::printable(&vm.vm_name));
        match &self.bar {
            Some(bar) => {
                bar.enable_steady_tick(Duration::from_millis(100));
                bar.set_message(text);
            }
            // What a program reads is the answer alone.
            None if self.format == Format::Json => {}
            None => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
