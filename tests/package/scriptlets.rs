//! The scriptlets under the shells that they may meet, and where everything goes wrong.

use std::fs;

use vgpu_tests::root::Ran;

use crate::built::packages;
use crate::dom0::Installed;

const POST: &str = include_str!("../../packaging/scriptlets/post.sh");
const PREUN: &str = include_str!("../../packaging/scriptlets/preun.sh");
const POSTUN: &str = include_str!("../../packaging/scriptlets/postun.sh");
const POSTTRANS: &str = include_str!("../../packaging/scriptlets/posttrans.sh");
/// Every scriptlet, with every count that rpm gives it.
const ALL: [(&str, &str); 7] =
    [(POST, "1"), (POST, "2"), (POSTTRANS, "1"), (PREUN, "1"), (POSTUN, "1"), (PREUN, "0"), (POSTUN, "0")];
const SHELLS: [&str; 3] = ["/bin/bash --posix", "/bin/dash", "/bin/busybox sh"];

fn run(root: &Installed, shell: &str, scriptlet: &str, count: &str) -> Ran {
    fs::write(root.path("scriptlet"), scriptlet).unwrap();
    root.inside(&format!("{shell} /scriptlet {count}"))
}

fn calls(root: &Installed) -> String {
    fs::read_to_string(root.path("var/log/systemctl-calls")).unwrap_or_default()
}

#[test]
fn every_scriptlet_succeeds_without_complaints_under_every_shell() {
    let root = Installed::new();
    for shell in SHELLS {
        for (scriptlet, count) in ALL {
            let says = match (scriptlet, count) {
                (POST, "1") => "register-vm",
                (PREUN, "0") => "/etc/vgpu",
                _ => "",
            };
            let ran = run(&root, shell, scriptlet, count);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell} {count}: {ran:?}");
            assert_eq!(ran.stdout.is_empty(), says.is_empty(), "{shell} {count}: {ran:?}");
            assert!(ran.stdout.contains(says), "{shell} {count}: {ran:?}");
        }
    }
}

#[test]
fn rsyslog_is_restarted_only_where_it_runs_and_only_when_its_rules_change() {
    let root = Installed::new();
    assert_eq!(calls(&root), "try-restart rsyslog.service\n", "installed");
    fs::remove_file(root.path("var/log/systemctl-calls")).unwrap();
    run(&root, "/bin/sh", POSTUN, "1");
    assert_eq!(calls(&root), "", "the older version of an upgrade is removed");
    root.dnf(&["remove", "vgpu-config"]);
    assert_eq!(calls(&root), "try-restart rsyslog.service\n", "removed");
}

#[test]
fn every_scriptlet_ends_with_0_whatever_fails() {
    for shell in SHELLS {
        let root = Installed::new();
        fs::write(root.path("etc/vgpu/vgpu_config.db"), "no database").unwrap();
        fs::write(root.path("usr/bin/systemctl"), "#!/bin/sh\nexit 1\n").unwrap();
        fs::remove_file(root.path("usr/bin/rmdir")).unwrap();
        let ran = run(&root, shell, POST, "1");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("not ready") && ran.stdout.contains("check"), "{ran:?}");
        // Without the program, the tools, and anywhere to write.
        fs::remove_file(root.path("usr/bin/vgpu-admin")).unwrap();
        fs::remove_file(root.path("usr/bin/rm")).unwrap();
        fs::remove_file(root.path("usr/bin/systemctl")).unwrap();
        for (scriptlet, count) in ALL {
            assert_eq!(run(&root, shell, scriptlet, count).code, Some(0));
            assert_eq!(run(&root, shell, &format!("exec >&- 2>&-\n{scriptlet}"), count).code, Some(0), "closed output");
        }
    }
}

#[test]
fn settings_that_rpm_has_put_aside_are_told_by_the_installation() {
    let root = Installed::new();
    let settings = root.path("etc/vgpu/vgpu.toml");
    fs::write(&settings, "deadline = 7\n").unwrap();
    root.dnf(&["remove", "vgpu-config"]);
    let said = root.dnf(&["install", &packages().this.display().to_string()]);
    assert!(said.contains("/etc/vgpu/vgpu.toml.rpmsave and have no effect"), "{said}");
    let said = root.inside("vgpu-admin check").stdout;
    assert!(said.contains("WRONG  settings") && said.contains("vgpu.toml.rpmsave"), "{said}");
    fs::rename(root.path("etc/vgpu/vgpu.toml.rpmsave"), root.path("etc/vgpu/vgpu.toml.rpmnew")).unwrap();
    let said = root.dnf(&["reinstall", &packages().this.display().to_string()]);
    assert!(said.contains("defaults of this version are in /etc/vgpu/vgpu.toml.rpmnew"), "{said}");
}
