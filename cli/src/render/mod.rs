//! Replies as text for people.

mod change;
mod gpu_pool;
mod gpus;
mod health;
mod pool;
mod running;
mod sheet;
mod status;
mod wrapper;

use std::fmt::Write;

use vgpu_config::Error;
use vgpu_config::reply::{CheckedReply, OneOrMore, PoolReply, PoolsReply, ShowReply, VmReply};
use vgpu_config::request::Reply;
use vgpu_config::store::Verdict;
use vgpu_config::text::one_line;

use crate::screen::{self, Shade};
use crate::table::{Cell, TooWide, layout};
use change::changes;
use health::{check, check_all_hosts, check_vm};
use pool::{adopted, imported, sync};
use status::status;

pub use change::question_before_removal;
pub use health::recovered;
pub use pool::{applied, pruned};
pub use sheet::Sheet;
pub use wrapper::qemu_wrapper;

pub fn reply(reply: &Reply) -> Result<String, Error> {
    Ok(match reply {
        Reply::RegisterVm(reply) => changes("registered", reply),
        Reply::SetPool(reply) | Reply::SetPriority(reply) | Reply::UpdateVm(reply) => changes("changed", reply),
        Reply::RemoveVm(reply) => changes("removed", reply),
        Reply::ShowVm(reply) => each(reply, "\n\n", shown),
        Reply::ListVms(reply) if reply.vms.is_empty() => {
            "No registered VM matches. Register one with 'vgpu-admin register-vm'.".to_owned()
        }
        Reply::History(entries) if entries.is_empty() => "The history of this host is empty.".to_owned(),
        Reply::ScanGpus(gpus) if gpus.is_empty() => "XAPI knows no physical GPU on any host.".to_owned(),
        Reply::ListVms(_) | Reply::ScanVms(_) | Reply::ScanGpus(_) | Reply::History(_) => list(reply),
        Reply::ListPools(reply) => pools(reply),
        Reply::SetGpuPool(reply) => gpu_pool::changed(reply),
        Reply::ShowPool(reply) => gpu_pool::shown(reply),
        Reply::AssignGpu(reply) | Reply::UnassignGpu(reply) => gpu_pool::assigned(reply),
        Reply::Adopt(reply) => adopted(reply),
        Reply::Sync(reply) => sync(reply),
        Reply::Prune(reply) => pruned(reply),
        Reply::Import(reply) => imported(reply),
        Reply::Apply(reply) => applied(reply),
        Reply::Status(reply) => status(reply),
        Reply::Metrics(reply) => reply.text.trim_end().to_owned(),
        Reply::Check(CheckedReply::Vm(reply)) => check_vm(reply),
        Reply::Check(CheckedReply::ThisHost(reply)) => check(reply),
        Reply::Check(CheckedReply::AllHosts(reply)) => check_all_hosts(reply),
        // Export writes a file; no command uses the others.
        Reply::Export(_)
        | Reply::CountByPool(_)
        | Reply::CountByPriority(_)
        | Reply::Running(_)
        | Reply::Version(_) => reply.to_json()?,
    })
}

/// Lines that begin with what they are about.
fn labelled<C: Into<Cell>>(rows: impl IntoIterator<Item = Vec<C>>) -> String {
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect();
    layout(&[], &rows, TooWide::Wrap, screen::width())
}

/// The outcome of a check.
fn verdict(verdict: Verdict) -> Cell {
    match verdict {
        Verdict::Ok => Cell::new("ok").shaded(Shade::Good),
        Verdict::Warning => Cell::new("warn").shaded(Shade::Doubtful),
        Verdict::Failed => Cell::new("WRONG").shaded(Shade::Bad),
    }
}

/// The outcome of a check that warns of nothing.
fn right_or_wrong(ok: bool) -> Cell {
    verdict(if ok { Verdict::Ok } else { Verdict::Failed })
}

/// A list as a table.
fn list(reply: &Reply) -> String {
    Sheet::of(reply).map(|sheet| sheet.to_table(false)).unwrap_or_default()
}

/// The replies of a request about several VMs, one after the other.
fn each<T>(replies: &OneOrMore<T>, between: &str, one: impl FnMut(&T) -> String) -> String {
    replies.as_slice().iter().map(one).collect::<Vec<_>>().join(between)
}

fn name(vm: &VmReply) -> &str {
    vm.vm_name.as_deref().unwrap_or("-")
}

fn shown(ShowReply { vm, notes }: &ShowReply) -> String {
    let in_xapi = if vm.in_xapi {
        "yes"
    } else {
        "no: XAPI is updated at the VM's next start or change, or does not know the VM (xe vm-list)"
    };
    let rows = [
        ("VM", vm.vm_uuid.to_string()),
        ("Name", name(vm).to_owned()),
        ("GPU pool", vm.pool.to_string()),
        ("Priority", vm.priority.to_string()),
        ("vm_id", vm.vm_id.to_string()),
        ("Configured", vm.device_argument.clone()),
        ("Runs with", vm.runs_with.as_ref().map_or_else(|| "-".to_owned(), running::in_full)),
        ("Last start", running::last_start(vm.last_start.as_ref())),
        ("In XAPI", in_xapi.to_owned()),
        ("Registered", format!("{} UTC", vm.created_at)),
        ("Changed", format!("{} UTC (revision {})", vm.updated_at, vm.revision)),
    ];
    let mut text = labelled(rows.map(|(label, value)| vec![label.to_owned(), value]));
    add_notes(&mut text, notes);
    text
}

pub fn add_notes(text: &mut String, notes: &[String]) {
    for note in notes {
        // Writing to a string does not fail.
        let _ = write!(text, "\nNote: {}", one_line(note));
    }
}

/// Pool A: X VMs (Y high, Z medium, W low); what else is known of it
fn pools(reply: &PoolsReply) -> String {
    let line = |pool: &PoolReply| {
        let vms = if pool.vms == 1 { "VM" } else { "VMs" };
        let counts = format!("{} {vms} ({} high, {} medium, {} low)", pool.vms, pool.high, pool.medium, pool.low);
        let room = match (pool.max_vms, pool.free) {
            (Some(max_vms), Some(free)) => Some(format!("{free} of {max_vms} free")),
            _ => None,
        };
        let gpus = match pool.gpus {
            0 => None,
            1 => Some("1 GPU".to_owned()),
            gpus => Some(format!("{gpus} GPUs")),
        };
        let name = pool.name.as_ref().map(ToString::to_string);
        let parts: Vec<_> = [Some(counts), room, gpus, name].into_iter().flatten().collect();
        one_line(&format!("Pool {}: {}", pool.pool, parts.join("; ")))
    };
    reply.pools.iter().map(line).collect::<Vec<_>>().join("\n")
}
