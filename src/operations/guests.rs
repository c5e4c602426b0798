//! Registered VMs that cannot have a vGPU: a PV or PVH guest has no QEMU.

use super::check::DATABASE_TIMEOUT;
use crate::error::Error;
use crate::paths::Root;
use crate::store::{CheckItem, Store};
use crate::text::one_line;
use crate::xenapi::VmRecord;

/// One item for each. Other items of `check` report an unreadable database.
pub(super) fn without_qemu(root: &Root, records: &[VmRecord]) -> Vec<CheckItem> {
    find(root, records).unwrap_or_default()
}

fn find(root: &Root, records: &[VmRecord]) -> Result<Vec<CheckItem>, Error> {
    let store = Store::open_existing(&root.database(), DATABASE_TIMEOUT)?;
    let mut items = Vec::new();
    for record in records {
        let Some(kind) = kind_without_qemu(&record.domain_type) else { continue };
        let is_registered = match record.uuid.parse() {
            Ok(uuid) => store.read().entry(&uuid)?.is_some_and(|entry| entry.settings.is_some()),
            Err(_) => false,
        };
        if is_registered {
            let name = one_line(&record.name_label);
            let wrong = format!(
                "VM {} ({name}) is a {kind} guest, which has no QEMU and so no vGPU: make it an HVM guest, or remove its settings \
                 with 'vgpu-admin remove-vm'",
                record.uuid
            );
            items.push(CheckItem::new("guest", Err(wrong)));
        }
    }
    Ok(items)
}

/// XAPI's `domain_type` (xapi-project/xen-api, `ocaml/idl/datamodel_vm.ml`).
pub(super) fn kind_without_qemu(domain_type: &str) -> Option<&'static str> {
    match domain_type {
        "pv" => Some("PV"),
        "pvh" | "pv_in_pvh" => Some("PVH"),
        _ => None,
    }
}
