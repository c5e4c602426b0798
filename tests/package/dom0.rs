//! A root like dom0's, with a base package in it, in which dnf and rpm work.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use vgpu_tests::root::Ran;
use vgpu_tests::{programs, tools};

use crate::built::{ok, packages};

/// Notes what it is asked, as an installed systemd would be asked.
const SYSTEMCTL: &str = "#!/bin/sh\necho \"$*\" >> /var/log/systemctl-calls\n";
const TOOLS: &str = "cat chmod cp dd echo grep head ln ls mkdir mv rm rmdir sed sleep timeout touch true false";
/// A stock qemu-wrapper that prints its arguments.
const STOCK_WRAPPER: &str = "#!/bin/sh\necho stock \"$@\"\n";
/// Only knows our argument for domain 5.
const XENSTORE_READ: &str = "#!/bin/sh\n[ \"$1\" = /local/domain/5/platform/device-model-args ] && \
    echo '-device vgpu-stub,pool_id=A,priority=high,vm_id=1170751909'\n";
/// A plugin and a hook of others, log rules that end with discarding everything, and what the qemu-wrapper needs.
const OTHERS: [(&str, &str, u32); 9] = [
    ("usr/bin/systemctl", SYSTEMCTL, 0o755),
    ("etc/xapi.d/plugins/echo", "#!/bin/sh\n", 0o755),
    ("etc/xapi.d/host-post-declare-dead/10resetvdis", "#!/bin/sh\n", 0o755),
    ("etc/rsyslog.d/xenserver.conf", "daemon.* /var/log/daemon.log\n*.* ~\n", 0o644),
    ("usr/lib64/xen/bin/qemu-wrapper", STOCK_WRAPPER, 0o755),
    ("usr/bin/xenstore-read", XENSTORE_READ, 0o755),
    ("etc/xensource-inventory", "PRODUCT_VERSION='8.3.0'\n", 0o644),
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644),
    ("etc/group", "root:x:0:\n", 0o644),
];

/// The base package, built once. Kept in memory: a static would leave its folder behind.
fn base() -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    BASE.get_or_init(|| {
        let folder = TempDir::with_prefix("vgpu-base-").expect("a temporary folder");
        let tree = folder.path().join("tree");
        lay_out(&tree);
        let spec = programs::workspace().join("tests/package/base.spec");
        ok(Command::new("rpmbuild")
            .args(["-bb", "--quiet", "--define", &format!("_topdir {}", folder.path().join("build").display())])
            .args(["--define", &format!("tree {}", tree.display())])
            .arg(spec));
        fs::read(folder.path().join("build/RPMS/x86_64/dom0-base-8.3-1.x86_64.rpm")).expect("rpmbuild has made it")
    })
}

fn lay_out(tree: &Path) {
    for folder in ["usr/bin", "usr/lib", "etc/xapi.d/plugins", "var/log"] {
        fs::create_dir_all(tree.join(folder)).expect("a folder");
    }
    symlink("usr/bin", tree.join("bin")).expect("a link");
    for program in [Path::new("/bin/bash"), Path::new("/bin/dash"), tools::sqlite_3_7_17()] {
        with_libraries(tree, program);
    }
    // As in dom0, where sh is bash.
    symlink("bash", tree.join("usr/bin/sh")).expect("a link");
    fs::copy("/bin/busybox", tree.join("usr/bin/busybox")).expect("busybox is there");
    for tool in TOOLS.split(' ') {
        symlink("busybox", tree.join("usr/bin").join(tool)).expect("a link");
    }
    for (name, content, mode) in OTHERS {
        let path = tree.join(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
}

fn with_libraries(tree: &Path, program: &Path) {
    let needed = ok(Command::new("ldd").arg(program));
    let libraries = needed.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries {
        let to = tree.join(library.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("it has one")).expect("a folder");
        fs::copy(library, to).expect("a library");
    }
    fs::copy(program, tree.join("usr/bin").join(program.file_name().expect("a name"))).expect("a program");
}

/// A root like dom0's; it goes away with the test.
pub struct Installed {
    folder: TempDir,
}

impl Installed {
    /// A root with the base and this version's package.
    pub fn new() -> Self {
        let root = Self::without_the_package();
        root.dnf(&["install", &packages().this.display().to_string()]);
        root
    }

    /// A root with the base alone.
    pub fn without_the_package() -> Self {
        // A short path: a unix socket's may not be longer than 107 bytes.
        let root = Self { folder: TempDir::with_prefix_in("vgpu-", "/tmp").expect("a temporary folder") };
        let package = root.path("dom0-base.rpm");
        fs::write(&package, base()).expect("a file");
        root.dnf(&["install", &package.display().to_string()]);
        fs::create_dir(root.path("dev")).expect("a folder");
        ok(Command::new("mknod").arg(root.path("dev/null")).args(["c", "1", "3"]));
        root
    }

    /// A path below the root.
    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    /// Runs dnf in the root, which has to succeed, and gives what it says.
    pub fn dnf(&self, arguments: &[&str]) -> String {
        let ran = Ran::of(
            Command::new("dnf")
                .args(["--assumeyes", "--nogpgcheck", "--releasever=7", "--disableplugin=*", "--setopt=keepcache=0"])
                .arg(format!("--installroot={}", self.folder.path().display()))
                .arg(format!("--setopt=reposdir={}", self.path("etc/yum.repos.d").display()))
                .args(arguments)
                .stdin(Stdio::null()),
        );
        let said = ran.stdout + &ran.stderr;
        assert_eq!(ran.code, Some(0), "dnf {arguments:?}: {said}");
        // What dnf says of a scriptlet that fails, or prints an error.
        for trouble in ["scriptlet failed", "Error in", "Non-fatal", "warning: %"] {
            assert!(!said.contains(trouble), "dnf {arguments:?}: {said}");
        }
        said
    }

    /// Runs rpm in the root.
    pub fn rpm(&self, arguments: &[&str]) -> Ran {
        Ran::of(Command::new("rpm").arg("--root").arg(self.folder.path()).args(arguments))
    }

    /// What rpm finds changed since the installation, a line for each file.
    pub fn changed(&self) -> String {
        self.rpm(&["--verify", "vgpu-config"]).stdout
    }

    /// Runs a program of the root as it is, from outside, in the environment that dom0's daemons give.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        Ran::of(self.command(program).args(arguments))
    }

    /// A program of the root, to be run from outside.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command.env_clear().env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin").current_dir("/").stdin(Stdio::null());
        command
    }

    /// Runs a command line inside the root, as an administrator of the host does.
    pub fn inside(&self, line: &str) -> Ran {
        let mut command = Command::new("chroot");
        command.arg(self.folder.path()).args(["/bin/sh", "-c", line]);
        Ran::of(command.env_clear().env("PATH", "/sbin:/usr/sbin:/bin:/usr/bin").stdin(Stdio::null()))
    }

    /// Runs a command line inside the root, which has to succeed, and gives what it prints.
    pub fn inside_ok(&self, line: &str) -> String {
        let ran = self.inside(line);
        assert_eq!(ran.code, Some(0), "{line}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Asks the database with dom0's own sqlite3.
    pub fn sql(&self, text: &str) -> String {
        tools::sql_ok(&self.path("etc/vgpu/vgpu_config.db"), text)
    }

    /// What lies in a folder.
    pub fn listing(&self, below: &str) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path(below)).expect("the folder is there");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }
}
