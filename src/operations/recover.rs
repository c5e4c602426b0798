//! Makes a whole database of a damaged one: what can be read of the file, and the rest from the pool-wide copy.

use std::collections::HashSet;

use crate::deadline::Deadline;
use crate::device_args::{self, PLATFORM_KEY};
use crate::entry::News;
use crate::error::Error;
use crate::model::{VmSettings, VmUuid};
use crate::paths::Root;
use crate::reply::{LeftAlone, RecoverReply};
use crate::settings::Settings;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::store::{Damaged, Rebuilt, Registration, StoreError, Writing};
use crate::xenapi::{self, Reference, Session, VmRecord, XapiError};

/// What XAPI has of all VMs.
struct FromXapi {
    shared: SharedCopy,
    records: Vec<(Reference, VmRecord)>,
}

/// Makes a new database, on this host and by its root alone, and keeps the damaged file aside. XAPI is asked before anything is
/// held, and told nothing. A dry run says what would be saved.
///
/// # Errors
/// The database is healthy and `force` does not say that it is to be made anew all the same, nothing can be read of it and
/// XAPI is away, or the new one cannot be written; nothing has changed then.
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
    let mut session = Session::log_in(&root.xapi_socket(), Deadline::after(xenapi::TIMEOUT))?;
    // In the order opposite to the one in which they are written.
    let records = session.vm_records()?;
    Ok(FromXapi { shared: SharedCopy::load(&mut session)?, records })
}

/// What the file had.
fn describe(rebuilt: &Rebuilt, reply: &mut RecoverReply) -> Result<(), StoreError> {
    let saved = rebuilt.saved();
    reply.from_file = rebuilt.store().read().counts()?.total();
    reply.removals = saved.removals;
    reply.history = saved.history;
    reply.last_starts = saved.last_starts;
    reply.from_history.clone_from(&saved.from_history);
    if saved.unreadable_pages > 0 {
        reply.notes.push(format!("{} pages of the tables cannot be read", saved.unreadable_pages));
    }
    reply.notes.extend(saved.rejected.iter().map(|row| format!("a row of vms was left out: {row}")));
    Ok(())
}

/// Fills in what the file has lost, as far as XAPI has it, and says what nobody has.
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
            take_over(&writing, &xapi.shared, reply)?;
            for (_, record) in &xapi.records {
                if let Ok(uuid) = record.uuid.parse() {
                    writing.set_name(&uuid, &record.name_label)?;
                }
            }
            reply.notes.extend(unregistered(&writing, settings, &xapi.records)?);
        }
        Err(error) => reply.notes.push(format!(
            "{error}: what the file has lost could not be filled in; run 'vgpu-admin sync' when XAPI answers"
        )),
    }
    writing.complete_all()?;
    for vm_uuid in &rebuilt.saved().lost {
        if let Registration::Unknown = writing.read().registration(vm_uuid)? {
            let why = "it was registered, and its settings are neither in the file nor in XAPI's copy".to_owned();
            reply.lost.push(LeftAlone { vm_uuid: *vm_uuid, why });
        }
    }
    reply.vms = writing.read().counts()?.total();
    Ok(writing.commit()?)
}

/// A row of which it is not known how often it was changed gives way to what XAPI has, unless both have the VM registered and
/// the row was changed later: XAPI was not told of that yet. What was removed stays removed.
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
            reply.notes.push(format!("VM {uuid} was changed on this host after XAPI was told last, and keeps that"));
        }
    }
    Ok(())
}

/// What two places can disagree about, however the number is to be chosen.
fn content(settings: VmSettings) -> impl PartialEq {
    (settings.pool, settings.priority)
}

fn take_over(writing: &Writing<'_>, shared: &SharedCopy, reply: &mut RecoverReply) -> Result<(), Error> {
    let News { entries, .. } = &shared.news(writing.read())?;
    for (uuid, entry) in entries {
        match (writing.read().entry(uuid)?, entry.settings) {
            (None, Some(_)) => reply.filled_in.push(*uuid),
            (None, None) => {}
            // The file had lost no more than how often it was changed.
            (Some(here), there) if here.settings.map(content) == there.map(content) => {}
            (Some(_), _) => reply.newer_in_xapi.push(*uuid),
        }
    }
    for uuid in shared.vms() {
        if let Comparison::NotForUs(error) = shared.compare(&uuid, None) {
            reply.notes.push(format!("VM {uuid}: what the resource pool has of it {error}"));
        }
    }
    Ok(writing.take_over(&shared.news(writing.read())?)?)
}

/// VMs that have an argument of ours and are not registered: their settings were lost, or never there.
fn unregistered(
    writing: &Writing<'_>,
    settings: &Settings,
    records: &[(Reference, VmRecord)],
) -> Result<Option<String>, StoreError> {
    let here: HashSet<_> = writing.read().entries()?.into_iter().map(|(uuid, _)| uuid).collect();
    let has_argument = |record: &VmRecord| {
        let args = record.platform.get(PLATFORM_KEY).map(String::as_str).unwrap_or_default();
        device_args::find(&settings.device, args).is_some()
    };
    let is_unknown = |record: &VmRecord| record.uuid.parse().is_ok_and(|uuid: VmUuid| !here.contains(&uuid));
    let is_meant = |record: &&VmRecord| record.is_a_vm() && is_unknown(record) && has_argument(record);
    let count = records.iter().map(|(_, record)| record).filter(is_meant).count();
    Ok((count > 0).then(|| {
        let vms = if count == 1 { "1 VM has".to_owned() } else { format!("{count} VMs have") };
        format!("{vms} a vGPU argument in XAPI and no settings: see 'vgpu-admin adopt --dry-run'")
    }))
}
