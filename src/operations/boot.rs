//! What a running VM's boot was given: xenopsd has written its platform map to xenstore (xapi-project/xen-api,
//! `ocaml/xenopsd/xc/domain.ml`).

use std::path::Path;

use super::programs::streams_of;
use crate::device_args::PLATFORM_KEY;
use crate::paths::Root;
use crate::xenstore;

/// The device-model-args of a domain, if it has any, or why xenstore cannot be read; `None` on a host without xenstore-read.
pub(super) fn arguments(root: &Root, domid: i64) -> Option<Result<Option<String>, String>> {
    let program = root.xenstore_read();
    program.exists().then(|| read(&program, domid))
}

fn read(program: &Path, domid: i64) -> Result<Option<String>, String> {
    let path = format!("/local/domain/{domid}/platform/{PLATFORM_KEY}");
    let [output, errors] = streams_of(program, &[&path]).map_err(|error| format!("{}: {error}", program.display()))?;
    xenstore::value(&output, &errors)
}
