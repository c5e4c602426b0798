//! `vgpu-admin apply`: says what would be rebooted, asks, and shows how far it is.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::ProgressBar;
use vgpu_admin::arguments::{Apply, Format};
use vgpu_config::Error;
use vgpu_config::reply::{AppliedVm, ApplyReply, LeftAlone};
use vgpu_config::request::{ApplyTo, Reply, Request, VmSelector};

use crate::commands::{Outcome, mixed_up};
use crate::output::refused;
use crate::render;
use crate::target::Target;

/// Plans, asks, reboots.
pub fn run(target: &Target, options: Apply) -> Outcome {
    let hard = options.hard;
    let planned = ask(target, options.to.vms(), hard, true)?;
    if options.dry_run || planned.applied.is_empty() {
        return target.print(&Reply::Apply(planned));
    }
    let how = if hard {
        "Reboot them now, one after the other, and reset those without an agent?"
    } else {
        "Reboot them now, one after the other?"
    };
    let question = format!("{}\n{how}", render::applied(&planned));
    if let Some(code) = refused("apply", &question, "Nothing was rebooted.", options.yes)? {
        return Ok(code);
    }
    target.print(&Reply::Apply(reboot(target, planned, hard)))
}

/// Reboots the VMs that were shown, and no other, whatever has changed since.
fn reboot(target: &Target, planned: ApplyReply, hard: bool) -> ApplyReply {
    let mut reply = ApplyReply { left_alone: planned.left_alone, notes: planned.notes, ..ApplyReply::default() };
    let total = planned.applied.len();
    let mut progress = Progress::new(target.format);
    let mut rest = planned.applied.iter();
    for (number, vm) in (1..).zip(&mut rest) {
        progress.begins(number, total, vm);
        match ask(target, ApplyTo::Vm(VmSelector::Uuid(vm.vm_uuid)), hard, false) {
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

fn ask(target: &Target, to: ApplyTo, hard: bool, dry_run: bool) -> Result<ApplyReply, Error> {
    match target.ask(Request::Apply { to, hard, dry_run })? {
        Reply::Apply(reply) => Ok(reply),
        _ => Err(mixed_up()),
    }
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
