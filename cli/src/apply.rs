//! `vgpu-admin apply`: shows which VMs would be rebooted, asks, and reboots them.

use vgpu_admin::arguments::Apply;
use vgpu_config::Error;
use vgpu_config::reply::{AppliedVm, ApplyReply, LeftAlone};
use vgpu_config::request::{ApplyTo, Reply, Request, VmSelector};

use crate::commands::{Outcome, mixed_up};
use crate::output::refused;
use crate::render;
use crate::target::Target;

pub fn run(target: &Target, options: Apply) -> Outcome {
    let hard = options.hard;
    let planned = plan(target, options.to.vms(), hard)?;
    if options.dry_run || planned.applied.is_empty() {
        return target.print(&Reply::Apply(planned));
    }
    let how = if hard {
        "Reboot them now, one after the other, and reset those without a guest agent?"
    } else {
        "Reboot them now, one after the other?"
    };
    let question = format!("{}\n{how}", render::applied(&planned));
    if let Some(code) = refused("apply", &question, "Nothing was rebooted.", options.yes)? {
        return Ok(code);
    }
    target.print(&Reply::Apply(reboot(target, planned, hard)))
}

/// Reboots only the VMs that were shown, even if others need it by now.
fn reboot(target: &Target, planned: ApplyReply, hard: bool) -> ApplyReply {
    let mut reply = ApplyReply { left_alone: planned.left_alone, notes: planned.notes, ..ApplyReply::default() };
    let total = planned.applied.len();
    let mut rest = planned.applied.iter();
    for (number, vm) in (1..).zip(&mut rest) {
        let what = format!("{number}/{total} {} ({}): rebooting", vm.vm_uuid, vm.vm_name);
        match reboot_one(target, vm, hard, &what) {
            Ok(of_vm) => {
                reply.applied.extend(of_vm.applied);
                reply.left_alone.extend(of_vm.left_alone);
                reply.notes.extend(of_vm.notes);
                reply.failed = of_vm.failed;
            }
            // The reply still has to list those that were rebooted before.
            Err(error) => reply.failed = Some(LeftAlone { vm_uuid: vm.vm_uuid, why: error.to_string() }),
        }
        if reply.failed.is_some() {
            break;
        }
    }
    reply.not_tried = rest.map(|vm| vm.vm_uuid).collect();
    reply
}

fn reboot_one(target: &Target, vm: &AppliedVm, hard: bool, what: &str) -> Result<ApplyReply, Error> {
    let to = ApplyTo::Vm(VmSelector::Uuid(vm.vm_uuid));
    reply_of(target.ask_showing(what, Request::Apply { to, hard, dry_run: false })?)
}

fn plan(target: &Target, to: ApplyTo, hard: bool) -> Result<ApplyReply, Error> {
    reply_of(target.ask_showing("Asking what the VMs run with", Request::Apply { to, hard, dry_run: true })?)
}

fn reply_of(reply: Reply) -> Result<ApplyReply, Error> {
    match reply {
        Reply::Apply(reply) => Ok(reply),
        _ => Err(mixed_up()),
    }
}
