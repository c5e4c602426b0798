//! dom0's files, as far as an add-on meets them.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// A qemu-wrapper that passes the arguments on, as a GPU vendor's does, and a QEMU that has the device.
const QEMU_WRAPPER: &str = "#!/usr/bin/python3\n\
    # Stands for a GPU vendor's, which hands the arguments to QEMU.\n\
    qemu_dm = '/usr/lib64/xen/bin/qemu-system-i386'\n\
    extra_arguments = '/local/domain/%d/platform/device-model-args'\n";
const QEMU: &str = "#!/bin/sh\n\
    # Knows nothing but to name its devices.\n\
    [ \"$*\" = '-device help' ] && printf 'Misc devices:\\nname \"vgpu-stub\", bus PCI, desc \"a share of a GPU\"\\n'\n";

const DIRECTORIES: [&str; 9] = [
    "dev",
    "etc/xapi.d/plugins",
    "etc/xapi.d/vm-pre-start",
    "usr/bin",
    "usr/lib64/xen/bin",
    "var/lib/xcp",
    "var/log",
    "var/run/message-switch",
    "var/run/simulated-host",
];

/// Creates the directories and the inventory below a root, which may have been used before.
pub fn create(root: &Path, host_uuid: &str) -> io::Result<()> {
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    let alias = root.join("var/xapi");
    if alias.symlink_metadata().is_err() {
        symlink("lib/xcp", alias)?;
    }
    for (program, text) in [("qemu-wrapper", QEMU_WRAPPER), ("qemu-system-i386", QEMU)] {
        let path = root.join("usr/lib64/xen/bin").join(program);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    fs::write(root.join("etc/xensource-inventory"), inventory(host_uuid, "8.3.0"))
}

/// The text of the host's inventory.
pub fn inventory(host_uuid: &str, version: &str) -> String {
    format!(
        "PRODUCT_BRAND='XCP-ng'\nPRODUCT_NAME='xenenterprise'\nPRODUCT_VERSION='{version}'\nPLATFORM_NAME='XCP'\n\
         INSTALLATION_UUID='{host_uuid}'\n"
    )
}
