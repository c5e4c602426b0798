//! What is in the package: files, modes, flags, dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::built::{ok, packages, query};
use crate::dom0::Installed;

/// The features of rpm 4.11.3 that a package may ask for (lib/rpmds.c).
const KNOWN_FEATURES: [&str; 7] = [
    "rpmlib(CompressedFileNames) <= 3.0.4-1",
    "rpmlib(FileDigests) <= 4.6.0-1",
    "rpmlib(PayloadFilesHavePrefix) <= 4.0-1",
    "rpmlib(PartialHardlinkSets) <= 4.0.4-1",
    "rpmlib(VersionedDependencies) <= 3.0.3-1",
    "rpmlib(ScriptletInterpreterArgs) <= 4.0.3-1",
    "rpmlib(FileCaps) <= 4.6.1-1",
];

/// Mode, owner, flags and digest of every file.
fn files() -> BTreeMap<String, String> {
    let format = "[%{FILENAMES}\t%{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}\n]";
    let told = query(&packages().this, &["--queryformat", format]);
    told.lines()
        .map(|line| line.split_once('\t').expect("a tab"))
        .map(|(name, about)| (name.to_owned(), about.trim().to_owned()))
        .collect()
}

#[test]
fn every_file_is_where_the_host_looks_for_it_with_its_mode_and_flags() {
    let files = files();
    let expected = [
        ("/etc/xapi.d/plugins/vgpu", "100755 root:root"),
        ("/usr/libexec/vgpu/package/50vgpu", "100755 root:root"),
        ("/usr/libexec/vgpu/package/vgpu-hook", "100755 root:root"),
        ("/usr/libexec/vgpu/package/qemu-wrapper", "100755 root:root"),
        ("/usr/libexec/vgpu/package/sha256sums", "100644 root:root"),
        ("/usr/libexec/vgpu/put-hook", "100755 root:root"),
        ("/usr/bin/vgpu-admin", "100755 root:root"),
        ("/etc/vgpu/vgpu.toml", "100644 root:root cn"),
        ("/etc/vgpu/init_db.sql", "100644 root:root"),
        ("/etc/rsyslog.d/10-vgpu.conf", "100644 root:root cn"),
        ("/etc/logrotate.d/vgpu-config", "100644 root:root cn"),
        ("/etc/xensource/bugtool/vgpu.xml", "100644 root:root"),
        ("/etc/xensource/bugtool/vgpu/any.xml", "100644 root:root"),
        ("/usr/share/man/man5/vgpu.toml.5.gz", "100644 root:root d"),
        ("/usr/share/man/man8/vgpu-admin.8.gz", "100644 root:root d"),
        ("/usr/share/man/man8/vgpu-admin-register-vm.8.gz", "100644 root:root d"),
        ("/usr/share/man/man8/vgpu-plugin.8.gz", "100644 root:root d"),
        ("/usr/share/bash-completion/completions/vgpu-admin", "100644 root:root"),
        ("/usr/share/zsh/site-functions/_vgpu-admin", "100644 root:root"),
        ("/usr/share/fish/vendor_completions.d/vgpu-admin.fish", "100644 root:root"),
        ("/usr/share/doc/vgpu-config/LICENSE", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config/README.md", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config/CHANGELOG.md", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config/CONTRIBUTING.md", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config/SECURITY.md", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config/docs/installation.md", "100644 root:root d"),
    ];
    for (name, about) in expected {
        assert_eq!(files.get(name).map(String::as_str), Some(about), "{name}");
    }
    // What is not listed above is more of the manual and the docs.
    let listed: BTreeSet<_> = expected.iter().map(|(name, _)| *name).collect();
    for (name, about) in files.iter().filter(|(name, _)| !listed.contains(name.as_str())) {
        let is_known =
            name.starts_with("/usr/share/man/man8/vgpu-admin-") || name.starts_with("/usr/share/doc/vgpu-config/docs/");
        assert!(is_known && about == "100644 root:root d", "{name} {about}");
    }
}

#[test]
fn nothing_is_packed_into_a_hooks_folder_nor_what_belongs_to_the_administrator() {
    for (name, about) in files() {
        // rpm has its files under other names for a moment, and xenopsd runs everything that lies in a hook's folder.
        assert!(!name.starts_with("/etc/xapi.d/") || name == "/etc/xapi.d/plugins/vgpu", "{name} {about}");
        assert!(!(name.starts_with("/etc/xapi.d/") && about.contains(" c")), "{name} {about}");
        assert!(!name.starts_with("/usr/local/") && !name.contains(".db"), "{name}");
    }
}

#[test]
fn the_package_asks_for_nothing_but_a_shell_and_features_that_rpm_4_11_knows() {
    let version = query(&packages().this, &["--queryformat", "%{VERSION}-%{RELEASE}"]);
    let mut asked = Vec::new();
    for require in query(&packages().this, &["--requires"]).lines().map(str::trim) {
        if require.starts_with("rpmlib(") {
            assert!(KNOWN_FEATURES.contains(&require), "{require}");
        } else {
            asked.push(require.to_owned());
        }
    }
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["/bin/sh".to_owned(), format!("config(vgpu-config) = {version}")]);
}

#[test]
fn the_payload_is_a_gzipped_cpio_archive() {
    let format = "%{PAYLOADFORMAT} %{PAYLOADCOMPRESSOR}";
    assert_eq!(query(&packages().this, &["--queryformat", format]), "cpio gzip");
}

#[test]
fn the_package_is_named_after_its_version_and_says_what_it_is() {
    let format = "%{NAME} %{RELEASE} %{ARCH} %{LICENSE} %{SUMMARY}";
    let told = query(&packages().this, &["--queryformat", format]);
    assert!(told.starts_with("vgpu-config 1 x86_64 LGPL-2.1-or-later Per-VM vGPU settings"), "{told}");
    let version = query(&packages().this, &["--queryformat", "%{VERSION}"]);
    assert_eq!(version, vgpu_config::VERSION);
    assert!(packages().this.ends_with(format!("vgpu-config-{version}-1.x86_64.rpm")));
}

#[test]
fn the_scriptlets_are_those_of_the_tree_and_no_others() {
    let told = query(&packages().this, &["--scripts"]);
    let heads: Vec<_> = told.lines().filter(|line| line.contains("scriptlet (using")).collect();
    let kinds = ["postinstall", "preuninstall", "postuninstall", "posttrans"];
    assert_eq!(heads, kinds.map(|kind| format!("{kind} scriptlet (using /bin/sh):")));
    for (tag, source) in [
        ("%{POSTIN}", include_str!("../../packaging/scriptlets/post.sh")),
        ("%{PREUN}", include_str!("../../packaging/scriptlets/preun.sh")),
        ("%{POSTUN}", include_str!("../../packaging/scriptlets/postun.sh")),
        ("%{POSTTRANS}", include_str!("../../packaging/scriptlets/posttrans.sh")),
    ] {
        assert_eq!(query(&packages().this, &["--queryformat", tag]).trim(), source.trim());
        assert_eq!(source.trim().lines().last(), Some("exit 0"));
    }
}

#[test]
fn the_programs_are_static_and_stripped_and_know_nothing_of_the_machine_that_built_them() {
    let root = Installed::new();
    for program in ["etc/xapi.d/plugins/vgpu", "usr/libexec/vgpu/vgpu-hook", "usr/bin/vgpu-admin"] {
        let path = root.path(program);
        let headers =
            ok(Command::new("readelf").args(["--wide", "--program-headers", "--dynamic", "--symbols"]).arg(&path));
        assert!(!headers.contains("INTERP") && !headers.contains("(NEEDED)"), "{program} is not static");
        assert!(
            !headers.contains("GLIBC_") && !headers.contains("Symbol table '.symtab'"),
            "{program} is not stripped"
        );
        let bytes = std::fs::read(&path).expect("it is there");
        for place in [
            std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned()) + "/.cargo",
            vgpu_tests::programs::workspace().display().to_string(),
        ] {
            assert!(!bytes.windows(place.len()).any(|window| window == place.as_bytes()), "{program} names {place}");
        }
    }
}

#[test]
fn rpmlint_is_content() {
    let config = vgpu_tests::programs::workspace().join("packaging/rpmlint.toml");
    let ran = vgpu_tests::root::Ran::of(Command::new("rpmlint").arg("--config").arg(config).arg(&packages().this));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("1 packages and 0 specfiles checked; 0 errors, 0 warnings"), "{}", ran.stdout);
}
