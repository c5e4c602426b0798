//! Where everything is. Every path derives from one root: `/` in dom0, a scratch folder in a test or the demo.

use std::path::{Path, PathBuf};

/// The folder below which dom0's files are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// The root that a program was installed below, told from its own place in it: `/srv/x/usr/bin/vgpu-admin`,
    /// installed as `usr/bin/vgpu-admin`, works below `/srv/x`. A program found anywhere else works below `/`.
    ///
    /// XAPI and xenopsd give their children no environment but `PATH`, so a variable could not carry it.
    #[must_use]
    pub fn of_program(installed_as: &str) -> Self {
        let root = std::env::current_exe().ok().filter(|program| program.ends_with(installed_as)).and_then(|program| {
            program.ancestors().nth(Path::new(installed_as).components().count()).map(PathBuf::from)
        });
        Self(root.unwrap_or_else(|| PathBuf::from("/")))
    }

    /// A root at a given place, for tests.
    #[must_use]
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    fn join(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }

    /// The folder of the database and the settings file.
    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        self.join("etc/vgpu")
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.join("etc/vgpu/vgpu_config.db")
    }

    /// The file whose byte ranges are the locks of VMs. It holds nothing, and a reboot of the host takes it away.
    #[must_use]
    pub fn vm_locks(&self) -> PathBuf {
        self.join("var/run/vgpu/vm-locks")
    }

    /// The file whose time says when this host last knew what all hosts have.
    #[must_use]
    pub fn last_contact(&self) -> PathBuf {
        self.join("var/run/vgpu/last-contact")
    }

    /// The settings file.
    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.join("etc/vgpu/vgpu.toml")
    }

    /// The plugin.
    #[must_use]
    pub fn plugin(&self) -> PathBuf {
        self.join("etc/xapi.d/plugins/vgpu")
    }

    /// The hook: the script that xenopsd runs.
    #[must_use]
    pub fn hook(&self) -> PathBuf {
        self.join("etc/xapi.d/vm-pre-start/50vgpu")
    }

    /// The program behind the hook.
    #[must_use]
    pub fn hook_program(&self) -> PathBuf {
        self.join("usr/libexec/vgpu/vgpu-hook")
    }

    /// The digests of the files that the package installed.
    #[must_use]
    pub fn digests(&self) -> PathBuf {
        self.join("usr/libexec/vgpu/package/sha256sums")
    }

    /// The path by which dom0 knows one of its files, without the root.
    #[must_use]
    pub fn name_in_dom0(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.0).unwrap_or(path);
        format!("/{}", below.display())
    }

    /// XAPI's socket (xapi-project/xen-api, `ocaml/xapi/api_server.ml`).
    #[must_use]
    pub fn xapi_socket(&self) -> PathBuf {
        self.join("var/lib/xcp/xapi")
    }

    /// message-switch's socket, behind which xenopsd is found (xapi-project/message-switch, `core/protocol.ml`).
    #[must_use]
    pub fn message_switch_socket(&self) -> PathBuf {
        self.join("var/run/message-switch/sock")
    }

    /// The system log's socket.
    #[must_use]
    pub fn syslog_socket(&self) -> PathBuf {
        self.join("dev/log")
    }

    /// The file in which an XCP-ng installation notes, among other things, its host's UUID.
    #[must_use]
    pub fn inventory(&self) -> PathBuf {
        self.join("etc/xensource-inventory")
    }

    /// The files in which xenopsd finds its settings, in the order in which it reads them, later ones counting more:
    /// those of XCP-ng 8.2, then those of 8.3 (xapi-project/xen-api, `ocaml/xapi-idl/lib/xcp_service.ml`).
    #[must_use]
    pub fn xenopsd_settings(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for name in ["xenopsd-xc", "xenopsd"] {
            files.push(self.join(&format!("etc/{name}.conf")));
            let folder = std::fs::read_dir(self.join(&format!("etc/{name}.conf.d")));
            let mut fragments: Vec<_> = folder.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            fragments.sort();
            files.extend(fragments);
        }
        files
    }

    /// One of Xen's programs, by its name or its path on this host.
    #[must_use]
    pub fn xen_program(&self, name: &str) -> PathBuf {
        match name.strip_prefix('/') {
            Some(path) => self.join(path),
            None => self.join("usr/lib64/xen/bin").join(name),
        }
    }

    /// The UUID of the host this runs on, as its inventory has it; `None` on a machine that is no XCP-ng host.
    #[must_use]
    pub fn host_uuid(&self) -> Option<String> {
        let inventory = std::fs::read_to_string(self.inventory()).ok()?;
        let line = inventory.lines().find_map(|line| line.strip_prefix("INSTALLATION_UUID="))?;
        Some(line.trim().trim_matches(['\'', '"']).to_owned()).filter(|uuid| !uuid.is_empty())
    }
}
