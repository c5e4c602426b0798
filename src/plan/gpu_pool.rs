//! What XAPI must be told of a GPU pool or a GPU.

use crate::entry::{GpuEntry, GpuSubject, Subject};
use crate::error::Error;
use crate::shared_copy::{Comparison, SharedCopy};
use crate::xenapi::MapChange;

/// Plans what XAPI must be told of a GPU pool or a GPU. `shared` is `None` if XAPI is away. What was pruned is not told again.
///
/// # Errors
/// A newer program has written its entry in the shared copy.
pub fn plan_gpu_pool(
    shared: Option<&SharedCopy>,
    subject: &GpuSubject,
    here: &GpuEntry,
    is_pruned: bool,
) -> Result<Option<MapChange>, Error> {
    let Some(shared) = shared else { return Ok(None) };
    Ok(match shared.compare(subject, Some(here)) {
        Comparison::NotForUs(error) => return Err(Error::NewerFormat { subject: subject.shown(), error }),
        Comparison::HostIsNewer if !is_pruned => shared.change(subject, here),
        Comparison::HostIsNewer | Comparison::Same | Comparison::CopyIsNewer(_) => None,
    })
}
