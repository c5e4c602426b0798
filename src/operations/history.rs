//! This host's history.

use super::Host;
use crate::error::Error;
use crate::model::VmUuid;
use crate::reply::HistoryEntry;
use crate::store::Through;

/// The newest changes first: of one VM or of all, at most `limit`.
///
/// # Errors
/// The database cannot be read.
pub fn history(host: &Host, vm: Option<VmUuid>, limit: Option<u32>) -> Result<Vec<HistoryEntry>, Error> {
    let here = host.root.host_uuid();
    let changes = host.store.read().history(vm.as_ref(), limit)?;
    Ok(changes
        .into_iter()
        .map(|change| HistoryEntry {
            host_uuid: here.clone().filter(|_| change.through != Through::AnotherHost.as_str()),
            changed_at: change.changed_at,
            vm_uuid: change.vm_uuid,
            vm_name: change.vm_name,
            from: change.from.map(Into::into),
            to: change.to.map(Into::into),
            through: change.through,
            changed_by: change.changed_by,
        })
        .collect())
}
