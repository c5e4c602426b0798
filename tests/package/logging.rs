//! The log: rsyslogd with the package's rules, and logrotate.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vgpu_tests::{VM, VM_ARGUMENT};

use crate::built::ok;
use crate::dom0::Installed;

/// An rsyslogd of the test's own, which listens on the root's /dev/log.
struct Rsyslogd<'a> {
    root: &'a Installed,
    process: Child,
}

impl Drop for Rsyslogd<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn below(root: &Installed, text: &str) -> String {
    ["/var/log", "/var/run", "/etc/rsyslog.d"]
        .iter()
        .fold(text.to_owned(), |text, folder| text.replace(folder, &root.path(&folder[1..]).display().to_string()))
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl<'a> Rsyslogd<'a> {
    /// Starts it with the rules of /etc/rsyslog.d in their order, as dom0's does.
    fn start(root: &'a Installed) -> Self {
        for folder in ["dev", "var/run", "var/log", "var/spool"] {
            fs::create_dir_all(root.path(folder)).unwrap();
        }
        for rules in root.listing("etc/rsyslog.d") {
            let path = root.path("etc/rsyslog.d").join(rules);
            fs::write(&path, below(root, &fs::read_to_string(&path).unwrap())).unwrap();
        }
        let socket = root.path("dev/log");
        let config = format!(
            "$WorkDirectory {}\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\" \
             CreatePath=\"on\")\n$FileCreateMode 0600\n$IncludeConfig {}/*.conf\n",
            root.path("var/spool").display(),
            socket.display(),
            root.path("etc/rsyslog.d").display()
        );
        fs::write(root.path("rsyslog.conf"), config).unwrap();
        let checked = Command::new("rsyslogd").arg("-N1").arg("-f").arg(root.path("rsyslog.conf")).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let process = Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(root.path("rsyslog.conf"))
            .arg("-i")
            .arg(root.path("var/run/rsyslogd.pid"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { root, process };
        eventually("rsyslogd listens", || socket.exists() && root.path("var/run/rsyslogd.pid").exists());
        daemon
    }

    fn log(&self) -> PathBuf {
        self.root.path("var/log/vgpu-vm-startup.log")
    }

    fn has(&self, text: &str) -> bool {
        fs::read_to_string(self.log()).unwrap_or_default().contains(text)
    }
}

fn hook(root: &Installed, vm: &str) {
    let ran = root.run("etc/xapi.d/vm-pre-start/50vgpu", &["-vmuuid", vm, "-reason", "none"]);
    assert!(matches!(ran.code, Some(0 | 1)), "{ran:?}");
}

#[test]
fn what_the_hook_and_the_plugin_log_is_in_the_file_and_nowhere_else_also_after_a_rotation() {
    let root = Installed::new();
    let daemon = Rsyslogd::start(&root);
    let registered = root
        .run("usr/bin/vgpu-admin", &["register-vm", "--vm-uuid", VM, "--vm-name=web01", "--pool=A", "--priority=high"]);
    assert_eq!(registered.code, Some(0), "{VM_ARGUMENT}: {registered:?}");

    hook(&root, VM);
    eventually("the hook's line is in the file", || daemon.has("vgpu-hook[") && daemon.has(VM));
    assert_eq!(root.run("etc/xapi.d/plugins/vgpu", &["nonsense"]).code, Some(0));
    eventually("the plugin's line is in the file", || daemon.has("vgpu-plugin[") && daemon.has("VGPU_INVALID_CALL"));
    ok(Command::new("logger").arg("--socket").arg(root.path("dev/log")).args([
        "-t",
        "vgpu-hooks",
        "-p",
        "daemon.info",
        "another's line",
    ]));
    let others = root.path("var/log/daemon.log");
    let read = || fs::read_to_string(&others).unwrap_or_default();
    eventually("another's line goes on to the rules of the host", || read().contains("another's line"));
    assert!(!daemon.has("another's line"));
    assert!(!read().contains("vgpu-hook[") && !read().contains("vgpu-plugin["), "{}", read());

    // Rotated, the file begins anew, and rsyslogd writes to the new one.
    let rules = root.path("logrotate.conf");
    fs::write(&rules, below(&root, &fs::read_to_string(root.path("etc/logrotate.d/vgpu-config")).unwrap())).unwrap();
    fs::set_permissions(&rules, fs::Permissions::from_mode(0o644)).unwrap();
    ok(Command::new("logrotate").arg("--force").arg("--state").arg(root.path("logrotate.state")).arg(&rules));
    let rotated = fs::read_to_string(root.path("var/log/vgpu-vm-startup.log.1")).unwrap();
    assert!(rotated.contains("vgpu-hook["), "{rotated}");
    let other = "7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48";
    eventually("a line after the rotation is in the new file", || {
        hook(&root, other);
        daemon.has(other)
    });
    assert!(!daemon.has(VM), "the new file has new lines only");
    let mode = fs::metadata(daemon.log()).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600);
}

/// The rules and what the host's own logrotate.conf says, with limits that are soon reached, and the nightly script.
fn with_small_limits(root: &Installed) {
    let rules = root.path("etc/rsyslog.d/10-vgpu.conf");
    let text = fs::read_to_string(&rules).unwrap();
    assert!(text.contains(",105000000,/etc/cron.daily/logrotate"), "{text}");
    let script = root.path("rotate").display().to_string();
    fs::write(&rules, text.replace("105000000", "21000").replace("/etc/cron.daily/logrotate", &script)).unwrap();
    let stanza = below(root, &fs::read_to_string(root.path("etc/logrotate.d/vgpu-config")).unwrap());
    let config = root.path("logrotate.conf");
    fs::write(&config, format!("weekly\ndateext\n{}", stanza.replace("maxsize 100M", "maxsize 20k"))).unwrap();
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    let state = root.path("logrotate.state");
    fs::write(&script, format!("#!/bin/sh\nexec logrotate --state {} {}\n", state.display(), config.display()))
        .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_log_that_has_grown_to_its_limit_is_rotated_at_once_and_no_line_is_dropped() {
    let root = Installed::new();
    with_small_limits(&root);
    let daemon = Rsyslogd::start(&root);
    let log = UnixDatagram::unbound().unwrap();
    let lines = 600;
    for number in 0..lines {
        let line = format!("<27>vgpu-hook: line {number}; {}", "x".repeat(80));
        log.send_to(line.as_bytes(), root.path("dev/log")).unwrap();
    }
    eventually("the last line is in the newest file", || daemon.has(&format!("line {};", lines - 1)));
    let all = ok(Command::new("sh").args(["-c", "zcat -f \"$1\"*", "sh"]).arg(daemon.log()));
    for number in 0..lines {
        assert!(all.contains(&format!("line {number};")), "line {number} is missing");
    }
    assert!(root.path("var/log/vgpu-vm-startup.log.1").exists(), "the bug tool looks for it under this name");
}

#[test]
fn the_rules_sort_before_the_ones_of_the_host() {
    let root = Installed::new();
    let rules: Vec<_> = root.listing("etc/rsyslog.d").into_iter().collect();
    assert_eq!(rules, ["10-vgpu.conf", "xenserver.conf"]);
}
