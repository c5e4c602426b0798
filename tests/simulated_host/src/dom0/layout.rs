//! dom0's files, as far as an add-on meets them.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

const DIRECTORIES: [&str; 8] = [
    "dev",
    "etc/xapi.d/plugins",
    "etc/xapi.d/vm-pre-start",
    "usr/bin",
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
    fs::write(root.join("etc/xensource-inventory"), inventory(host_uuid))
}

fn inventory(host_uuid: &str) -> String {
    format!(
        "PRODUCT_BRAND='XCP-ng'\nPRODUCT_NAME='xenenterprise'\nPRODUCT_VERSION='8.3.0'\nPLATFORM_NAME='XCP'\n\
         INSTALLATION_UUID='{host_uuid}'\n"
    )
}
