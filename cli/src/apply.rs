//! `vgpu-admin apply`: says what would be rebooted, asks, and shows how far it is.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use vgpu_admin::arguments::{Apply, Format};
use vgpu_config::Error;
use vgpu_config::operations::{self, ApplyStep, ApplyTo, VmSelector};

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
    let plan = |here: &crate::target::Here| operations::apply(here.host()?, &to, true, &mut |_| {});
    let planned = target.ask(&call(&to, true), plan)?;
    if options.dry_run || planned.applied.is_empty() {
        print(target.format, &planned, render::applied)?;
        return Ok(status(planned.left_alone.is_empty()));
    }
    let question = format!("{}\nReboot them now, one after the other?", render::applied(&planned));
    if let Some(code) = refused("apply", &question, "Nothing was rebooted.", options.yes)? {
        return Ok(code);
    }
    let mut progress = Progress::new(target.format);
    let reply = target.show(
        &call(&to, false).patiently(),
        |here| {
            let outcome = operations::apply(here.host()?, &to, false, &mut |step| progress.begins(step));
            progress.end();
            outcome
        },
        render::applied,
    )?;
    Ok(status(reply.failed.is_none() && reply.left_alone.is_empty()))
}

fn call(to: &ApplyTo, dry_run: bool) -> Call {
    let call = Call::of("apply").with("dry_run", &dry_run);
    match to {
        ApplyTo::Vm(vm) => call.vm(vm),
        ApplyTo::Pending => call.with("pending", &true),
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

    fn begins(&mut self, step: ApplyStep<'_>) {
        let ApplyStep { number, total, vm } = step;
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
