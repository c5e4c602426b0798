//! From its installation to its removal, the package never removes the qemu-wrapper while xenopsd may still start it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vgpu_tests::VM_ARGUMENT;

use crate::built::{ok, packages};
use crate::dom0::Installed;

const OURS: &str = "/usr/libexec/vgpu/qemu-wrapper";
const STOCK: &str = "/usr/lib64/xen/bin/qemu-wrapper";
const ARGUMENTS: &str = "5 --syslog -xen-domid 5";

/// A host with xenopsd: a process in the root's own /proc, which reads its settings when it starts.
struct Host {
    root: Installed,
    wrapper: String,
    starts: u32,
}

impl Host {
    fn new() -> Self {
        let root = Installed::without_the_package();
        fs::create_dir_all(root.path("proc/4711")).unwrap();
        fs::write(root.path("proc/4711/cmdline"), "/usr/sbin/xenopsd-xc\0--config\0/etc/xenopsd.conf\0").unwrap();
        fs::create_dir_all(root.path("etc/xenopsd.conf.d")).unwrap();
        let mut host = Self { root, wrapper: String::new(), starts: 0 };
        host.restart_toolstack();
        host
    }

    fn restart_toolstack(&mut self) {
        self.starts += 1;
        let before = "0 ".repeat(18);
        fs::write(self.root.path("proc/4711/stat"), format!("4711 (xenopsd-xc) S {before}{}00", self.starts)).unwrap();
        let fragments = fs::read_dir(self.root.path("etc/xenopsd.conf.d")).unwrap();
        let texts = fragments.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
        let setting = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("upstream-compat-qemu-dm-wrapper="))?;
            Some(line.to_owned())
        };
        self.wrapper = texts.filter_map(setting).last().unwrap_or_else(|| STOCK.to_owned());
    }

    /// Starts a VM as xenopsd would now, and returns what QEMU got in addition to xenopsd's arguments.
    fn start(&self, step: &str) -> String {
        let from_outside = self.root.run(&self.wrapper[1..], &ARGUMENTS.split(' ').collect::<Vec<_>>());
        let from_inside = self.root.inside(&format!("exec {} {ARGUMENTS}", self.wrapper));
        for ran in [&from_outside, &from_inside] {
            assert_eq!(ran.code, Some(0), "{step}: {ran:?}");
        }
        let given = |printed: &str| {
            let rest = printed.trim_end().strip_prefix(&format!("stock {ARGUMENTS}"));
            rest.unwrap_or_else(|| panic!("{step}: {printed}")).trim_start().to_owned()
        };
        assert_eq!(given(&from_outside.stdout), given(&from_inside.stdout), "{step}");
        given(&from_outside.stdout)
    }

    fn status(&self) -> String {
        self.root.inside_ok("vgpu-admin qemu-wrapper status")
    }
}

#[test]
fn a_vm_starts_between_any_two_steps_of_the_documented_sequence() {
    let (this, next) = (packages().this.display().to_string(), packages().next.display().to_string());
    let mut host = Host::new();
    assert_eq!(host.start("stock"), "");

    let said = host.root.dnf(&["install", &this]);
    assert!(said.contains("vgpu-admin qemu-wrapper enable"), "{said}");
    assert_eq!(host.start("installed"), "");

    host.root.inside_ok("vgpu-admin qemu-wrapper enable");
    assert_eq!(host.start("enabled"), "");
    host.restart_toolstack();
    assert!(host.status().starts_with("Enabled and in effect"), "{}", host.status());
    assert_eq!(host.start("in effect"), VM_ARGUMENT);

    for (verb, package) in [("upgrade", &next), ("reinstall", &next), ("downgrade", &this), ("upgrade", &next)] {
        host.root.dnf(&[verb, package]);
        assert!(host.status().starts_with("Enabled and in effect"), "{verb}: {}", host.status());
        assert_eq!(host.start(verb), VM_ARGUMENT);
    }

    host.root.inside_ok("vgpu-admin qemu-wrapper disable");
    assert_eq!(host.start("disabled"), VM_ARGUMENT, "until xenopsd is restarted");
    host.root.inside_ok("vgpu-admin qemu-wrapper enable");
    assert_eq!(host.start("enabled again"), VM_ARGUMENT);

    let said = host.root.dnf(&["remove", "vgpu-config"]);
    assert!(said.contains("becomes a link to the stock qemu-wrapper"), "{said}");
    assert_eq!(host.start("removed"), "");
    assert_eq!(host.root.listing("etc/xenopsd.conf.d").len(), 0, "the next xenopsd starts the stock one");

    host.root.dnf(&["install", &this]);
    assert!(host.status().contains("Disabled, but not in effect yet"), "{}", host.status());
    assert_eq!(host.start("installed again"), VM_ARGUMENT);
    host.root.dnf(&["remove", "vgpu-config"]);
    assert_eq!(host.start("removed again"), "");
    host.restart_toolstack();
    assert_eq!(host.start("restarted"), "");
    // As docs/installation.md says.
    host.root.inside_ok("rm -r /usr/libexec/vgpu");
    assert_eq!(host.start("all removed"), "");
}

/// What happens to a host before the package is removed.
type Step<'a> = &'a dyn Fn(&mut Host);

/// What a removal leaves of our programs.
fn only_a_link_is_left(host: &Host) {
    assert_eq!(host.root.listing("usr/libexec/vgpu").into_iter().collect::<Vec<_>>(), ["qemu-wrapper"]);
    let link = fs::read_link(host.root.path("usr/libexec/vgpu/qemu-wrapper")).unwrap();
    assert_eq!(link, Path::new("../../lib64/xen/bin/qemu-wrapper"));
}

#[test]
fn a_removal_leaves_a_link_to_the_stock_qemu_wrapper_whatever_xenopsd_was_told() {
    let this = packages().this.display().to_string();
    let site = "etc/xenopsd.conf.d/site.conf";
    let steps: [(&str, Step<'_>); 4] = [
        ("never enabled", &|_| {}),
        ("enabled, and not in effect yet", &|host| {
            host.root.inside_ok("vgpu-admin qemu-wrapper enable");
        }),
        ("in effect, and the file removed by hand", &|host| {
            host.root.inside_ok("vgpu-admin qemu-wrapper enable");
            host.restart_toolstack();
            fs::remove_file(host.root.path("etc/xenopsd.conf.d/zzz-vgpu-qemu-wrapper.conf")).unwrap();
            let _ = fs::remove_file(host.root.path("var/run/vgpu/qemu-wrapper"));
        }),
        ("named by another file", &|host| {
            fs::write(host.root.path(site), format!("upstream-compat-qemu-dm-wrapper={OURS}\n")).unwrap();
            host.restart_toolstack();
        }),
    ];
    for (step, prepare) in steps {
        let mut host = Host::new();
        host.root.dnf(&["install", &this]);
        prepare(&mut host);
        host.root.dnf(&["remove", "vgpu-config"]);
        only_a_link_is_left(&host);
        assert_eq!(host.start(step), "");
        host.restart_toolstack();
        assert_eq!(host.start(step), "");
    }
}

#[test]
fn after_an_iso_upgrade_neither_the_package_nor_the_setting_is_left() {
    let host = Host::new();
    assert_eq!(host.start("a new root"), "");
    host.root.dnf(&["install", &packages().this.display().to_string()]);
    assert!(host.status().starts_with("Disabled: xenopsd starts /usr/lib64/xen/bin/qemu-wrapper"), "{}", host.status());
    assert_eq!(host.start("installed"), "");
}

#[test]
fn no_start_fails_while_the_package_is_replaced() {
    let mut host = Host::new();
    host.root.dnf(&["install", &packages().this.display().to_string()]);
    host.root.inside_ok("vgpu-admin qemu-wrapper enable");
    host.restart_toolstack();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let starts = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(host.start("while rpm is running"), VM_ARGUMENT);
                count += 1;
            }
            count
        });
        for _ in 0..5 {
            for package in [&packages().next, &packages().this] {
                replace(&host.root, package);
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let count = starts.join().unwrap();
        println!("{count} starts");
        assert!(count > 20, "hardly any start fell into the transactions");
    });
}

fn replace(root: &Installed, package: &Path) {
    let mut rpm = std::process::Command::new("rpm");
    ok(rpm.arg("--root").arg(root.path("")).args(["-U", "--oldpackage", "--replacepkgs"]).arg(package));
}
