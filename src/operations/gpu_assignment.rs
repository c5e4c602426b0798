//! Which GPU serves which GPU pool.

use indexmap::IndexMap;

use super::Host;
use super::gpu_pools::{device_name_of, note_on_xapi};
use super::hosts::{find_host, host_of};
use crate::error::Error;
use crate::model::{Gpu, PoolId};
use crate::reply::{GpuChangeReply, XapiOutcome};
use crate::request::{GpuSelector, HostSelector};
use crate::store::Writing;
use crate::transaction::{Changed, Scope, Transaction};
use crate::xenapi::{HostRecord, Session, XapiError, XapiGpu};

/// Lets a GPU serve a GPU pool. XAPI must answer, and know the GPU.
///
/// # Errors
/// XAPI does not know the GPU, it serves the other GPU pool or is passed through to a VM, or the database or XAPI fails.
pub fn assign_gpu(host: &Host, pool: PoolId, gpu: &GpuSelector, dry_run: bool) -> Result<GpuChangeReply, Error> {
    let mut transaction = Transaction::begin_with_xapi(host, dry_run)?;
    let hosts = transaction.ask(Session::hosts)?.unwrap_or_default();
    let (gpu, host_name) = find_gpu(&hosts, gpu)?;
    let known = transaction.ask(Session::gpus)?.unwrap_or_default();
    let here = known.iter().find(|known| known.gpu == gpu).ok_or_else(|| unknown(gpu, &host_name, &known))?;
    refuse_passed_through(here)?;
    let device_name = device_name_of(here);
    let assign = |writing: &Writing<'_>| {
        let before = writing.read().pool_of_gpu(&gpu)?;
        if let Some(other) = before.filter(|before| *before != pool) {
            return Err(Error::GpuServesOther { gpu, pool: other });
        }
        writing.assign_gpu(&gpu, pool)?;
        writing.set_device_name(&gpu, &device_name)?;
        Ok(before)
    };
    let Changed { value: from, gpu_pools_told: xapi, .. } =
        transaction.change_or_rehearse(Scope::gpu_pools(), dry_run, &|writing, _| assign(writing))?;
    let names = (Some(host_name), Some(device_name.clone()));
    let mut reply = reply(gpu, names, (from, Some(pool)), xapi, transaction.away(), dry_run);
    if here.is_system_display {
        reply.notes.push("The GPU also shows the host's console.".to_owned());
    }
    Ok(reply)
}

/// Lets a GPU serve no GPU pool, also one that XAPI does not know any more. Root may do it without XAPI, by the host's UUID.
///
/// # Errors
/// Neither XAPI nor the database knows the GPU, or the database or XAPI fails.
pub fn unassign_gpu(host: &Host, gpu: &GpuSelector, dry_run: bool) -> Result<GpuChangeReply, Error> {
    let mut transaction = Transaction::begin(host, dry_run)?;
    let hosts = transaction.ask(Session::hosts)?;
    let (gpu, host_name) = match (&hosts, &gpu.host) {
        (_, HostSelector::Uuid(uuid)) => {
            let host = hosts.as_ref().and_then(|hosts| host_of(hosts, *uuid));
            (Gpu { host: *uuid, address: gpu.address }, host.map(|host| host.name_label.clone()))
        }
        (Some(hosts), HostSelector::Name(_)) => {
            let (gpu, name) = find_gpu(hosts, gpu)?;
            (gpu, Some(name))
        }
        (None, HostSelector::Name(name)) => return Err(unknown_without_xapi(name)),
    };
    let known = transaction.ask(Session::gpus)?;
    let unassign = |writing: &Writing<'_>| {
        let before = writing.read().pool_of_gpu(&gpu)?;
        // A mistyped one must not count as done.
        if let (None, Some(known)) = (before, &known)
            && !known.iter().any(|known| known.gpu == gpu)
        {
            return Err(unknown(gpu, host_name.as_deref().unwrap_or(&gpu.host.to_string()), known));
        }
        let stored = writing.read().gpus()?.into_iter().find(|stored| stored.gpu == gpu);
        writing.unassign_gpu(&gpu)?;
        Ok((before, stored.and_then(|stored| stored.device_name)))
    };
    let Changed { value: (from, device_name), gpu_pools_told: xapi, .. } =
        transaction.change_or_rehearse(Scope::gpu_pools(), dry_run, &|writing, _| unassign(writing))?;
    Ok(reply(gpu, (host_name, device_name), (from, None), xapi, transaction.away(), dry_run))
}

fn reply(
    gpu: Gpu,
    (host_name, device_name): (Option<String>, Option<String>),
    (from, to): (Option<PoolId>, Option<PoolId>),
    xapi: XapiOutcome,
    away: Option<&XapiError>,
    dry_run: bool,
) -> GpuChangeReply {
    let changed = from != to;
    if !dry_run {
        log::info!("GPU {gpu}: pool={} changed={changed} xapi={xapi:?}", to.map_or("none", PoolId::as_str));
    }
    let notes = away.filter(|_| changed).map(|why| note_on_xapi(why, dry_run)).into_iter().collect();
    GpuChangeReply { dry_run, changed, gpu, host_name, device_name, from, to, xapi, notes }
}

/// The GPU, and the name of its host.
fn find_gpu(hosts: &IndexMap<String, HostRecord>, gpu: &GpuSelector) -> Result<(Gpu, String), Error> {
    let (_, on) = find_host(hosts, &gpu.host.to_string())?;
    let host = on.uuid.parse().map_err(|invalid| Error::invalid("gpu", invalid))?;
    Ok((Gpu { host, address: gpu.address }, on.name_label.clone()))
}

fn unknown_without_xapi(host: &str) -> Error {
    let expected = "the UUID of the host instead of its name, because XAPI does not answer".to_owned();
    Error::InvalidParam { name: "gpu".to_owned(), value: host.to_owned(), expected }
}

fn unknown(gpu: Gpu, host: &str, known: &[XapiGpu]) -> Error {
    let known = known.iter().filter(|known| known.gpu.host == gpu.host).map(|known| known.gpu.address).collect();
    Error::UnknownGpu { host: host.to_owned(), address: gpu.address, known }
}

fn refuse_passed_through(gpu: &XapiGpu) -> Result<(), Error> {
    if gpu.passed_through_to.is_empty() {
        return Ok(());
    }
    let vms = gpu.passed_through_to.iter().map(|(uuid, name)| format!("VM {uuid} ({name})"));
    Err(Error::GpuPassedThrough { gpu: gpu.gpu, vms: vms.collect::<Vec<_>>().join(", ") })
}
