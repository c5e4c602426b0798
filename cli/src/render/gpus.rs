//! Physical GPUs.

use vgpu_admin::arguments::GPUS;
use vgpu_config::reply::ScannedGpu;

use crate::screen::Shade;
use crate::table::Cell;

/// A GPU among all of them.
pub fn row(gpu: &ScannedGpu, all: &[ScannedGpu]) -> [Cell; GPUS.len()] {
    [
        Cell::or_nothing(gpu.pool),
        Cell::new(name(gpu, all)).whole(),
        Cell::or_nothing(gpu.vendor.as_ref()),
        Cell::or_nothing(gpu.device.as_ref()),
        note(gpu),
        Cell::or_nothing(gpu.host_name.as_ref()),
        Cell::new(gpu.pci_address.to_string()),
        Cell::new(gpu.host_uuid.to_string()),
    ]
}

/// As commands take it: by the host's name, if no other host has it.
fn name(gpu: &ScannedGpu, all: &[ScannedGpu]) -> String {
    let is_clear = |name: &&String| {
        all.iter().all(|other| other.host_uuid == gpu.host_uuid || other.host_name.as_ref() != Some(*name))
    };
    match gpu.host_name.as_ref().filter(is_clear) {
        Some(host) => format!("{host}:{}", gpu.pci_address),
        None => gpu.gpu.to_string(),
    }
}

fn note(gpu: &ScannedGpu) -> Cell {
    let doubtful =
        |text: String| if gpu.pool.is_some() { Cell::new(text).shaded(Shade::Doubtful) } else { text.into() };
    if gpu.vanished {
        return doubtful("vanished".to_owned());
    }
    let vms: Vec<_> = gpu.passed_through_to.iter().map(|vm| vm.vm_name.as_str()).collect();
    match (vms.as_slice(), gpu.is_system_display) {
        ([], false) => Cell::default(),
        ([], true) => "shows the host's console".into(),
        (vms, _) => doubtful(format!("passed through to {}", vms.join(", "))),
    }
}
