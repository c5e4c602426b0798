//! `vgpu-admin apply`: shows which VMs would be rebooted, asks, and reboots them.

use vgpu_admin::arguments::{Apply, GivenVms};
use vgpu_config::Error;
use vgpu_config::reply::{AppliedVm, ApplyReply, LeftAlone};
use vgpu_config::request::{ApplyTo, Reply, Request, VmSelector};

use crate::commands::{Outcome, mixed_up};
use crate::output::refused;
use crate::target::Target;
use crate::{progress, render, vms};

pub fn run(target: &Target, options: Apply) -> Outcome {
    let hard = options.hard;
    let mut planned = ApplyReply::default();
    for to in vms(options.to.given())? {
        add(&mut planned, plan(target, to, hard)?);
    }
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

fn vms(given: Option<GivenVms>) -> Result<Vec<ApplyTo>, Error> {
    let Some(given) = given else { return Ok(vec![ApplyTo::Pending]) };
    Ok(vms::selectors(given)?.as_slice().iter().cloned().map(ApplyTo::Vm).collect())
}

/// Adds the plan for a VM, which may have been named twice.
fn add(planned: &mut ApplyReply, of_vm: ApplyReply) {
    let ApplyReply { dry_run, applied, left_alone, notes, .. } = of_vm;
    planned.dry_run = dry_run;
    let is_new = |uuid| !planned.applied.iter().any(|vm| vm.vm_uuid == uuid);
    let applied: Vec<_> = applied.into_iter().filter(|vm| is_new(vm.vm_uuid)).collect();
    planned.applied.extend(applied);
    let left_alone: Vec<_> = left_alone.into_iter().filter(|left| !planned.left_alone.contains(left)).collect();
    planned.left_alone.extend(left_alone);
    let notes: Vec<_> = notes.into_iter().filter(|note| !planned.notes.contains(note)).collect();
    planned.notes.extend(notes);
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
        // What was done so far stays on the screen, whatever happens to the connection.
        progress::done(&format!("{number}/{total} {} ({}): rebooted", vm.vm_uuid, vm.vm_name));
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
