//! All paths, relative to one root: `/` in dom0, or a scratch directory in a test or the demo.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    folder: PathBuf,
    /// A database in another place than `etc/vgpu`.
    other_database: Option<PathBuf>,
}

/// Below the root.
const DATABASE: &str = "etc/vgpu/vgpu_config.db";

impl Root {
    /// Derives the root from the program's own path: `/srv/x/usr/bin/vgpu-admin`, installed as `usr/bin/vgpu-admin`, uses the
    /// root `/srv/x`. A program in any other place uses `/`.
    ///
    /// An environment variable would not work, because XAPI and xenopsd only pass on `PATH`.
    #[must_use]
    pub fn of_program(installed_as: &str) -> Self {
        // If an upgrade has replaced the file in the meantime, the kernel appends this to its name.
        let installed = |program: PathBuf| match program.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
            Some(path) => PathBuf::from(path),
            None => program,
        };
        let program = std::env::current_exe().ok().map(installed).filter(|program| program.ends_with(installed_as));
        let root = program.and_then(|program| {
            program.ancestors().nth(Path::new(installed_as).components().count()).map(PathBuf::from)
        });
        Self::at(root.unwrap_or_else(|| PathBuf::from("/")))
    }

    /// Derives the root from the database's absolute path: `/srv/x/etc/vgpu/vgpu_config.db` is in the root `/srv/x`. A database in
    /// any other place is used with the settings of `/`, and its locks are beside it.
    #[must_use]
    pub fn of_database(database: &Path) -> Self {
        match database.ancestors().nth(Path::new(DATABASE).components().count()) {
            Some(folder) if database.ends_with(DATABASE) => Self::at(folder),
            _ => Self { folder: PathBuf::from("/"), other_database: Some(database.to_owned()) },
        }
    }

    /// Whether its database is not the one that the other programs use.
    #[must_use]
    pub fn has_other_database(&self) -> bool {
        self.other_database.is_some()
    }

    /// For tests.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), other_database: None }
    }

    fn join(&self, below: &str) -> PathBuf {
        self.folder.join(below)
    }

    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        self.join("etc/vgpu")
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.other_database.clone().unwrap_or_else(|| self.join(DATABASE))
    }

    /// An empty file whose byte ranges are the locks of VMs. It is gone after a reboot of the host.
    #[must_use]
    pub fn vm_locks(&self) -> PathBuf {
        match &self.other_database {
            Some(database) => {
                let mut name = database.as_os_str().to_owned();
                name.push("-vm-locks");
                PathBuf::from(name)
            }
            None => self.join("var/run/vgpu/vm-locks"),
        }
    }

    /// Its modification time is when this host last had the settings of all hosts.
    #[must_use]
    pub fn last_contact(&self) -> PathBuf {
        self.join("var/run/vgpu/last-contact")
    }

    /// How this host's last check ended, and by its modification time, when.
    #[must_use]
    pub fn last_check(&self) -> PathBuf {
        self.join("var/run/vgpu/last-check")
    }

    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.join("etc/vgpu/vgpu.toml")
    }

    #[must_use]
    pub fn plugin(&self) -> PathBuf {
        self.join("etc/xapi.d/plugins/vgpu")
    }

    /// The script that xenopsd runs.
    #[must_use]
    pub fn hook(&self) -> PathBuf {
        self.join("etc/xapi.d/vm-pre-start/50vgpu")
    }

    /// The program that the script runs.
    #[must_use]
    pub fn hook_program(&self) -> PathBuf {
        self.join("usr/libexec/vgpu/vgpu-hook")
    }

    /// Our qemu-wrapper, which xenopsd starts if it is enabled.
    #[must_use]
    pub fn qemu_wrapper(&self) -> PathBuf {
        self.join("usr/libexec/vgpu/qemu-wrapper")
    }

    /// What QEMU was found to know of the vGPU device.
    #[must_use]
    pub fn qemu_device(&self) -> PathBuf {
        self.join("etc/vgpu/qemu-device.json")
    }

    /// The stock qemu-wrapper.
    #[must_use]
    pub fn stock_qemu_wrapper(&self) -> PathBuf {
        self.join("usr/lib64/xen/bin/qemu-wrapper")
    }

    /// The program that reads xenstore.
    #[must_use]
    pub fn xenstore_read(&self) -> PathBuf {
        self.join("usr/bin/xenstore-read")
    }

    /// The digests of the installed files.
    #[must_use]
    pub fn digests(&self) -> PathBuf {
        self.join("usr/libexec/vgpu/package/sha256sums")
    }

    /// A file's path in dom0, without the root.
    #[must_use]
    pub fn name_in_dom0(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        format!("/{}", below.display())
    }

    /// XAPI's socket (xapi-project/xen-api, `ocaml/xapi/api_server.ml`).
    #[must_use]
    pub fn xapi_socket(&self) -> PathBuf {
        self.join("var/lib/xcp/xapi")
    }

    /// The socket of message-switch, which connects to xenopsd (xapi-project/message-switch, `core/protocol.ml`).
    #[must_use]
    pub fn message_switch_socket(&self) -> PathBuf {
        self.join("var/run/message-switch/sock")
    }

    /// The system log's socket.
    #[must_use]
    pub fn syslog_socket(&self) -> PathBuf {
        self.join("dev/log")
    }

    /// Has, among other things, the host's UUID.
    #[must_use]
    pub fn inventory(&self) -> PathBuf {
        self.join("etc/xensource-inventory")
    }

    /// xenopsd's settings file.
    #[must_use]
    pub fn xenopsd_settings(&self) -> PathBuf {
        self.join("etc/xenopsd.conf")
    }

    /// A folder with further settings files of xenopsd.
    #[must_use]
    pub fn xenopsd_folder(&self, name: &str) -> PathBuf {
        self.join("etc").join(name)
    }

    /// The kernel's information about processes.
    #[must_use]
    pub fn proc(&self) -> PathBuf {
        self.join("proc")
    }

    /// A note from when our qemu-wrapper was last enabled or disabled. A reboot of the host removes it.
    #[must_use]
    pub fn qemu_wrapper_note(&self) -> PathBuf {
        self.join("var/run/vgpu/qemu-wrapper")
    }

    /// The program that restarts xapi, xenopsd and the other services of the toolstack.
    #[must_use]
    pub fn toolstack_restart(&self) -> PathBuf {
        self.join("opt/xensource/bin/xe-toolstack-restart")
    }

    /// One of Xen's programs, by its name or its path on this host.
    #[must_use]
    pub fn xen_program(&self, name: &str) -> PathBuf {
        match name.strip_prefix('/') {
            Some(path) => self.join(path),
            None => self.join("usr/lib64/xen/bin").join(name),
        }
    }

    /// This host's UUID from its inventory; `None` if it is not an XCP-ng host.
    #[must_use]
    pub fn host_uuid(&self) -> Option<String> {
        self.in_inventory("INSTALLATION_UUID")
    }

    /// The version of XCP-ng.
    #[must_use]
    pub fn product_version(&self) -> Option<String> {
        self.in_inventory("PRODUCT_VERSION")
    }

    fn in_inventory(&self, name: &str) -> Option<String> {
        let inventory = std::fs::read_to_string(self.inventory()).ok()?;
        let line = inventory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches(['\'', '"']).to_owned()).filter(|value| !value.is_empty())
    }
}
