//! Rebuilds a damaged database from what can be read of the file, and the rest from the shared copy.

use std::collections::HashSet;

use crate::deadline::Deadline;
use crate::device_args;
use crate::entry::{GpuContent, GpuSubject, News, Subject};
use crate::error::Error;
use crate::model::{VmSettings, VmUuid};
use crate::paths::Root;
use crate::reply::{LeftAlone, RecoverReply};
use crate::settings::Settings;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::store::{Damaged, Rebuilt, Registration, StoreError, Writing};
use crate::xenapi::{self, Reference, Session, VmRecord, XapiError};

struct FromXapi {
    shared: SharedCopy,
    records: Vec<(Reference, VmRecord)>,
}

/// Makes a new database on this host, as root, and keeps the damaged file. XAPI is asked before the database is locked, and
/// nothing is written to it.
///
/// # Errors
/// The database is healthy (without `force`), nothing can be read from it and XAPI is away, or the new one cannot be
/// written. Nothing has changed then.
pub fn recover(root: &Root, force: bool, dry_run: bool) -> Result<RecoverReply, Error> {
    let settings = Settings::load(&root.settings())?;
    let xapi = ask(root);
    let path = root.database();
    let damaged = Damaged::hold(&path, force)?;
    let rebuilt = damaged.rebuild(settings.history.get())?;
    let mut reply = RecoverReply {
        dry_run,
        database: path.display().to_string(),
        problems: damaged.problems().to_vec(),
        ..RecoverReply::default()
    };
    describe(&rebuilt, &mut reply)?;
    if let Err(error) = &xapi
        && reply.is_empty()
        && !force
    {
        return Err(StoreError::NothingLeft { path, reason: error.to_string() }.into());
    }
    complete(&rebuilt, &settings, &xapi, &mut reply)?;
    if !dry_run {
        reply.kept_as = damaged.replace(&rebuilt)?.map(|kept| kept.display().to_string());
    }
    Ok(reply)
}

fn ask(root: &Root) -> Result<FromXapi, XapiError> {
    let mut session = Session::log_in(&root.xapi_socket(), Deadline::after(xenapi::XAPI_TIMEOUT))?;
    // In the reverse order of a change, which writes the shared copy first.
    let records = session.vm_records()?;
    Ok(FromXapi { shared: SharedCopy::load(&mut session)?, records })
}

fn describe(rebuilt: &Rebuilt, reply: &mut RecoverReply) -> Result<(), StoreError> {
    let saved = rebuilt.saved();
    reply.from_file = rebuilt.store().read().counts()?.total();
    reply.removals = saved.removals;
    reply.history = saved.history;
    reply.last_starts = saved.last_starts;
    reply.gpu_pools = saved.gpu_pools;
    reply.from_history.clone_from(&saved.from_history);
    if saved.unreadable_pages > 0 {
        reply.notes.push(format!("{} pages of the tables cannot be read", saved.unreadable_pages));
    }
    reply.notes.extend(saved.rejected.iter().map(|row| format!("a row of vms was skipped: {row}")));
    Ok(())
}

/// Restores lost settings from XAPI, and lists those that it does not have either.
fn complete(
    rebuilt: &Rebuilt,
    settings: &Settings,
    xapi: &Result<FromXapi, XapiError>,
    reply: &mut RecoverReply,
) -> Result<(), Error> {
    let writing = rebuilt.store().write()?;
    match xapi {
        Ok(xapi) => {
            keep_newer_rows(&writing, &xapi.shared, &rebuilt.saved().without_revision, reply)?;
            keep_newer_gpu_rows(&writing, &xapi.shared, &rebuilt.saved().gpu_pools_without_revision, reply)?;
            take_over(&writing, &xapi.shared, reply)?;
            for (_, record) in &xapi.records {
                if let Ok(uuid) = record.uuid.parse() {
                    writing.set_name(&uuid, &record.name_label)?;
                }
            }
            reply.notes.extend(unregistered(&writing, settings, &xapi.records)?);
        }
        Err(error) => reply.notes.push(format!(
            "{error}: lost settings were not restored from XAPI; run 'vgpu-admin sync' when XAPI answers"
        )),
    }
    writing.complete_all()?;
    for vm_uuid in &rebuilt.saved().lost {
        if let Registration::Unknown = writing.read().registration(vm_uuid)? {
            let why = "it was registered, but its settings are neither in the file nor in the shared copy".to_owned();
            reply.lost.push(LeftAlone { vm_uuid: *vm_uuid, why });
        }
    }
    for subject in &rebuilt.saved().gpus_lost {
        if writing.read().gpu_entry(subject)?.is_none() {
            reply.notes.push(format!("{} served a GPU pool, but which is lost: assign it again", subject.shown()));
        }
    }
    reply.vms = writing.read().counts()?.total();
    Ok(writing.commit()?)
}

/// A row without a known revision is overridden by the shared copy, unless both have the VM registered and the row was changed
/// later, which means that this change was not written to XAPI yet. A removed VM stays removed.
fn keep_newer_rows(
    writing: &Writing<'_>,
    shared: &SharedCopy,
    vms: &[VmUuid],
    reply: &mut RecoverReply,
) -> Result<(), StoreError> {
    for uuid in vms {
        let (Some(here), Comparison::CopyIsNewer(there)) = (writing.read().entry(uuid)?, shared.compare(uuid, None))
        else {
            continue;
        };
        let (Some(ours), Some(theirs)) = (here.settings, there.settings) else { continue };
        if here.changed_at > there.changed_at && content(ours) != content(theirs) {
            writing.count_after(uuid, &here, &there)?;
            reply.notes.push(format!("VM {uuid} has a change on this host that was not written to XAPI, and keeps it"));
        }
    }
    Ok(())
}

/// The same for GPU pools and GPUs.
fn keep_newer_gpu_rows(
    writing: &Writing<'_>,
    shared: &SharedCopy,
    subjects: &[GpuSubject],
    reply: &mut RecoverReply,
) -> Result<(), StoreError> {
    for subject in subjects {
        let (Some(here), Comparison::CopyIsNewer(there)) =
            (writing.read().gpu_entry(subject)?, shared.compare(subject, None))
        else {
            continue;
        };
        let is_removed = there.content == GpuContent::Gpu(None);
        if here.changed_at > there.changed_at && here.content != there.content && !is_removed {
            writing.count_gpu_after(subject, &here, &there)?;
            let what = subject.shown();
            reply.notes.push(format!("{what} has a change on this host that was not written to XAPI, and keeps it"));
        }
    }
    Ok(())
}

/// The settings to compare, without the number: it may be chosen anew.
fn content(settings: VmSettings) -> impl PartialEq {
    (settings.pool, settings.priority)
}

fn take_over(writing: &Writing<'_>, shared: &SharedCopy, reply: &mut RecoverReply) -> Result<(), Error> {
    let News { entries, gpu_pools, .. } = &shared.news(writing.read())?;
    for (uuid, entry) in entries {
        match (writing.read().entry(uuid)?, entry.settings) {
            (None, Some(_)) => reply.filled_in.push(*uuid),
            (None, None) => {}
            // The file had only lost the revision.
            (Some(here), there) if here.settings.map(content) == there.map(content) => {}
            (Some(_), _) => reply.newer_in_xapi.push(*uuid),
        }
    }
    for (subject, entry) in gpu_pools {
        let here = writing.read().gpu_entry(subject)?.map(|here| here.content);
        if here.as_ref() != Some(&entry.content) {
            reply.notes.push(format!("{} has newer settings in the shared copy, which were used", subject.shown()));
        }
    }
    for uuid in shared.vms() {
        if let Some(error) = shared.written_by_newer(&uuid) {
            reply.notes.push(format!("VM {uuid}: the shared copy's entry {error}"));
        }
    }
    for subject in shared.gpu_pools() {
        if let Some(error) = shared.written_by_newer(&subject) {
            reply.notes.push(format!("{}: the shared copy's entry {error}", subject.shown()));
        }
    }
    Ok(writing.take_over(&shared.news(writing.read())?)?)
}

/// VMs that have a vGPU argument but are not registered: their settings were lost, or never existed.
fn unregistered(
    writing: &Writing<'_>,
    settings: &Settings,
    records: &[(Reference, VmRecord)],
) -> Result<Option<String>, StoreError> {
    let here: HashSet<_> = writing.read().entries()?.into_iter().map(|(uuid, _)| uuid).collect();
    let has_argument = |record: &VmRecord| {
        record.stored_args().is_some_and(|args| device_args::find(&settings.device, args).is_some())
    };
    let is_unknown = |record: &VmRecord| record.uuid.parse().is_ok_and(|uuid: VmUuid| !here.contains(&uuid));
    let is_meant = |record: &&VmRecord| record.is_a_vm() && is_unknown(record) && has_argument(record);
    let count = records.iter().map(|(_, record)| record).filter(is_meant).count();
    Ok((count > 0).then(|| {
        let vms = if count == 1 { "1 VM has".to_owned() } else { format!("{count} VMs have") };
        format!("{vms} a vGPU argument in XAPI but no settings: see 'vgpu-admin adopt --dry-run'")
    }))
}
