//! A scratch root: dom0's folders in a temporary place, with the programs installed as the package installs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::programs;

/// A scratch root that goes away with the test.
#[derive(Debug)]
pub struct ScratchRoot {
    folder: TempDir,
}

impl Default for ScratchRoot {
    fn default() -> Self {
        Self::new()
    }
}

impl ScratchRoot {
    /// A root with the programs in it, without a database, a settings file or XAPI.
    #[must_use]
    pub fn new() -> Self {
        // A short path: a unix socket's may not be longer than 107 bytes.
        Self::new_in(Path::new("/tmp"))
    }

    /// The same below a folder whose path is as short.
    #[must_use]
    pub fn new_in(parent: &Path) -> Self {
        let root = Self { folder: TempDir::with_prefix_in("vgpu-", parent).unwrap() };
        let built = programs::folder();
        root.install(&built.join("vgpu-admin"), "usr/bin/vgpu-admin");
        root.install(&built.join("vgpu"), "etc/xapi.d/plugins/vgpu");
        root.install(&built.join("vgpu-hook"), "usr/libexec/vgpu/vgpu-hook");
        root.install(&built.join("qemu-wrapper"), "usr/libexec/vgpu/qemu-wrapper");
        root.install(&programs::workspace().join("hooks/vm-pre-start/50vgpu"), "etc/xapi.d/vm-pre-start/50vgpu");
        root.write("usr/libexec/vgpu/package/sha256sums", digests());
        root
    }

    fn install(&self, from: &Path, to: &str) {
        let to = self.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        // A link is quick; a file that a test may write over is copied.
        if from.starts_with(programs::workspace().join("hooks")) || fs::hard_link(from, &to).is_err() {
            fs::copy(from, &to).unwrap();
        }
    }

    /// Replaces an installed file by a copy of its own, which a test may change.
    pub fn unlink(&self, below: &str) {
        let path = self.path(below);
        let content = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts a script in the place of an installed program. Another process writes it: a file that this one has open for
    /// writing at the moment in which another test starts a program stays open there for a while, and cannot be run (ETXTBSY).
    pub fn replace_program(&self, below: &str, script: &str) {
        let path = self.path(below);
        fs::remove_file(&path).unwrap();
        let line = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
        let ran = Ran::of(Command::new("sh").args(["-c", line, "sh", script]).arg(&path));
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    /// The root's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path below the root.
    #[must_use]
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// The database's path.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path("etc/vgpu/vgpu_config.db")
    }

    /// Writes a file, with the folders that it needs.
    pub fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Writes the settings file.
    pub fn settings(&self, toml: &str) {
        self.write("etc/vgpu/vgpu.toml", toml);
    }

    /// Sets a file's permissions.
    pub fn chmod(&self, below: &str, mode: u32) {
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Runs vgpu-admin, without a terminal.
    #[must_use]
    pub fn admin(&self, arguments: &[&str]) -> Ran {
        self.run("usr/bin/vgpu-admin", arguments)
    }

    /// Runs vgpu-admin, which has to succeed, and gives what it prints.
    pub fn admin_ok(&self, arguments: &[&str]) -> String {
        let ran = self.admin(arguments);
        assert_eq!(ran.code, Some(0), "vgpu-admin {arguments:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Runs vgpu-admin with `--format json`, which has to succeed, and gives what it answers.
    #[must_use]
    pub fn admin_json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.admin_ok(&[arguments, &["--format", "json"]].concat())).unwrap()
    }

    /// Runs vgpu-admin, which has to fail, and gives what it complains.
    #[must_use]
    pub fn admin_fails(&self, arguments: &[&str]) -> String {
        let ran = self.admin(arguments);
        assert_eq!(ran.code, Some(1), "vgpu-admin {arguments:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stdout, "", "vgpu-admin {arguments:?}");
        ran.stderr
    }

    /// Registers a VM on the database alone.
    pub fn register(&self, vm_uuid: &str, name: &str, pool: &str, priority: &str) {
        let options = [("vm-uuid", vm_uuid), ("vm-name", name), ("pool", pool), ("priority", priority)];
        let options = options.map(|(option, value)| format!("--{option}={value}"));
        let arguments = [&["register-vm"], options.each_ref().map(String::as_str).as_slice()].concat();
        let _ = self.admin_ok(&arguments);
    }

    /// Runs the hook as an administrator would.
    #[must_use]
    pub fn hook(&self, vm_uuid: &str) -> Ran {
        self.run("etc/xapi.d/vm-pre-start/50vgpu", &["-vmuuid", vm_uuid, "-reason", "none"])
    }

    /// Runs the plugin as xapi would, with these bytes as its argument.
    #[must_use]
    pub fn plugin(&self, argument: &[u8]) -> Ran {
        use std::os::unix::ffi::OsStrExt;
        Ran::of(self.command("etc/xapi.d/plugins/vgpu").arg(std::ffi::OsStr::from_bytes(argument)))
    }

    /// Runs a program of the root.
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(program).args(arguments))
    }

    /// A program of the root, in the environment that dom0's daemons give.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command.env_clear().env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin").current_dir("/").stdin(Stdio::null());
        command
    }
}

/// The digests of what is installed, as packaging/build-rpm.sh lists them. Computed once: the programs are large.
fn digests() -> &'static str {
    static DIGESTS: OnceLock<String> = OnceLock::new();
    DIGESTS.get_or_init(|| {
        let built = programs::folder();
        let files = [
            (built.join("vgpu"), "/etc/xapi.d/plugins/vgpu"),
            (built.join("vgpu-hook"), "/usr/libexec/vgpu/vgpu-hook"),
            (built.join("qemu-wrapper"), "/usr/libexec/vgpu/qemu-wrapper"),
            (programs::workspace().join("hooks/vm-pre-start/50vgpu"), "/etc/xapi.d/vm-pre-start/50vgpu"),
        ];
        let line = |(file, path): &(PathBuf, &str)| {
            let ran = Ran::of(Command::new("sha256sum").arg(file));
            format!("{}  {path}\n", ran.stdout.split(' ').next().unwrap())
        };
        files.iter().map(line).collect()
    })
}

/// What a program printed, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Its status; none where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Ran {
    /// Runs a command to its end.
    pub fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("programs print UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
