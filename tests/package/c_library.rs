//! The C library's two packages: what is in them, what the library needs of a host, and programs that are built and run with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use vgpu_tests::root::Ran;
use vgpu_tests::{VM, programs};

use crate::built::{ok, packages, query};
use crate::dom0::Installed;

const LIBRARY: &str = "usr/lib64/libvgpu_config.so.0";

fn files(package: &Path) -> BTreeMap<String, String> {
    let format = "[%{FILENAMES}\t%{FILEMODES:octal} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}\n]";
    let told = query(package, &["--queryformat", format]);
    let lines = told.lines().map(|line| line.split_once('\t').expect("a tab"));
    lines.map(|(name, about)| (name.to_owned(), about.trim().to_owned())).collect()
}

/// The packages that were built with one of the programs.
fn beside(programs: &Path) -> [PathBuf; 2] {
    let name = programs.file_name().expect("a name").to_string_lossy();
    ["vgpu-config-libs-", "vgpu-config-devel-"]
        .map(|start| programs.with_file_name(name.replace("vgpu-config-", start)))
}

fn install(root: &Installed) {
    let [libs, devel] = beside(&packages().this);
    root.dnf(&["install", &libs.display().to_string(), &devel.display().to_string()]);
}

#[test]
fn they_have_the_library_and_what_is_needed_to_build_with_it() {
    let expected = [
        ("/usr/lib64/libvgpu_config.so.0", "100755 root:root"),
        ("/usr/share/doc/vgpu-config-libs/LICENSE", "100644 root:root d"),
    ];
    let [libs, devel] = beside(&packages().this);
    assert_eq!(files(&libs), expected.map(|(name, about)| (name.to_owned(), about.to_owned())).into());
    let expected = [
        ("/usr/include/vgpu_config.h", "100644 root:root"),
        ("/usr/lib64/libvgpu_config.a", "100644 root:root"),
        ("/usr/lib64/libvgpu_config.so", "100644 root:root"),
        ("/usr/lib64/pkgconfig/vgpu_config.pc", "100644 root:root"),
        ("/usr/share/doc/vgpu-config-devel/LICENSE", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config-devel/c-library.md", "100644 root:root d"),
        ("/usr/share/doc/vgpu-config-devel/watch.c", "100644 root:root d"),
    ];
    assert_eq!(files(&devel), expected.map(|(name, about)| (name.to_owned(), about.to_owned())).into());
}

#[test]
fn they_belong_to_one_version_of_the_programs() {
    let version = query(&packages().this, &["--queryformat", "%{VERSION}-%{RELEASE}"]);
    let requires = |package: &Path| -> Vec<String> {
        let told = query(package, &["--requires"]);
        let lines = told.lines().map(|line| line.trim().to_owned());
        lines.filter(|line| line != "/bin/sh" && !line.starts_with("rpmlib(")).collect()
    };
    let [libs, devel] = beside(&packages().this);
    assert_eq!(requires(&libs), [format!("vgpu-config = {version}")]);
    assert_eq!(requires(&devel), [format!("vgpu-config-libs = {version}")]);
    // What a package with a program that uses the library asks for.
    let provides = query(&libs, &["--provides"]);
    for name in ["libvgpu_config.so.0()(64bit)", "libvgpu_config.so.0(VGPU_CONFIG_0)(64bit)"] {
        assert!(provides.lines().any(|line| line.trim() == name), "{provides}");
    }
    for package in [&libs, &devel] {
        let ran = Ran::of(Command::new("rpm").args(["--checksig", "--verbose"]).arg(package));
        assert!(ran.code == Some(0) && ran.stdout.contains("MD5 digest: OK"), "{ran:?}");
    }
}

/// 2.17 is greater than 2.4.
fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn the_library_needs_nothing_that_dom0s_glibc_2_17_does_not_have() {
    let root = Installed::new();
    install(&root);
    let read = ok(Command::new("readelf").args(["--wide", "--dynamic", "--dyn-syms"]).arg(root.path(LIBRARY)));
    let needed: Vec<_> = read
        .lines()
        .filter_map(|line| line.split_once("Shared library: ["))
        .map(|(_, name)| name.trim_end_matches(']'))
        .collect();
    for library in &needed {
        let of_glibc =
            ["libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2"];
        assert!(of_glibc.contains(library), "{library}");
    }
    let mut newest = Vec::new();
    for symbol in read.lines().filter(|line| line.contains(" UND ") && line.contains('@')) {
        let (_, needs) = symbol.split_once('@').expect("a version");
        let needs = needs.trim_start_matches('@').split(' ').next().expect("a word");
        let number = needs.strip_prefix("GLIBC_").unwrap_or_else(|| panic!("{symbol}"));
        newest = newest.max(version(number));
    }
    assert!(!newest.is_empty() && newest <= version("2.17"), "{newest:?}");
    // The static library has no versions: every name that it needs must be one of glibc 2.17's, or be weak.
    let symbols =
        ok(Command::new("readelf").args(["--wide", "--symbols"]).arg(root.path("usr/lib64/libvgpu_config.a")));
    for name in ["fcntl64", "__isoc23_strtol", "__isoc23_sscanf", "gettid", "getrandom", "statx", "copy_file_range"] {
        let strong =
            |line: &&str| line.contains("GLOBAL") && line.contains("UND") && line.ends_with(&format!(" {name}"));
        assert_eq!(symbols.lines().find(strong), None);
    }
    for file in [LIBRARY, "usr/lib64/libvgpu_config.a"] {
        let bytes = std::fs::read(root.path(file)).expect("it is there");
        let place = programs::workspace().display().to_string();
        assert!(!bytes.windows(place.len()).any(|window| window == place.as_bytes()), "{file} names {place}");
    }
}

/// Compiles a program with what is installed, and runs it on the root's database.
fn run(root: &Installed, source: &str, how: &[&str], arguments: &[&str]) -> Ran {
    let program = root.path("program");
    ok(Command::new("gcc")
        .args(["-std=c99", "-D_GNU_SOURCE", "-o"])
        .arg(&program)
        .arg("-I")
        .arg(root.path("usr/include"))
        .arg(programs::workspace().join(source))
        .arg(format!("-L{}", root.path("usr/lib64").display()))
        .args(how));
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", root.path("usr/lib64")).arg(root.path("etc/vgpu/vgpu_config.db")).args(arguments);
    Ran::of(&mut command)
}

const SHARED: &[&str] = &["-lvgpu_config"];
const STATIC: &[&str] = &["-l:libvgpu_config.a", "-lpthread", "-ldl", "-lm"];

#[test]
fn programs_that_are_built_with_them_run_on_the_hosts_database() {
    let root = Installed::new();
    install(&root);
    assert_eq!(root.rpm(&["--verify", "vgpu-config-libs", "vgpu-config-devel"]).stdout, "");
    for (how, pool) in [(SHARED, "A"), (STATIC, "B")] {
        let register = if pool == "A" { "register" } else { "update" };
        let ran = run(&root, "tests/capi/call.c", how, &["0", register, VM, pool, "2"]);
        assert!(ran.code == Some(0) && ran.stdout.starts_with("changed=1 xapi=4"), "{ran:?}");
    }
    assert!(root.inside_ok("vgpu-admin list-vms").contains("B     high      1170751909"));
    let everything = Installed::new();
    install(&everything);
    std::fs::remove_file(everything.path("etc/vgpu/vgpu_config.db")).expect("it is there");
    assert_eq!(run(&everything, "tests/capi/everything.c", SHARED, &[]).stdout, "done\n");
}

#[test]
fn they_are_upgraded_with_the_programs_and_removed_with_them() {
    let root = Installed::new();
    install(&root);
    root.inside_ok(&format!("vgpu-admin register-vm --vm-uuid={VM} --vm-name=web01 --pool=A --priority=high"));
    let next = packages().next.display().to_string();
    let [libs, devel] = beside(&packages().next).map(|package| package.display().to_string());
    // The programs alone would migrate the database that the library could then not read: rpm refuses.
    let alone = root.rpm(&["--upgrade", "--test", "--nosignature", &next]);
    assert!(alone.code != Some(0) && alone.stderr.contains("vgpu-config-libs"), "{alone:?}");
    root.dnf(&["upgrade", &next, &libs, &devel]);
    let ran = run(&root, "tests/capi/call.c", SHARED, &["3", "get", VM]);
    assert!(ran.stdout.contains("A 2 vm_id=1170751909"), "{ran:?}");
    root.dnf(&["remove", "vgpu-config"]);
    for gone in [LIBRARY, "usr/include/vgpu_config.h", "usr/lib64/libvgpu_config.so", "usr/bin/vgpu-admin"] {
        assert!(!root.path(gone).exists(), "{gone} is still there");
    }
    assert!(root.path("etc/vgpu/vgpu_config.db").exists());
}

#[test]
fn rpmlint_is_content_with_them() {
    let config = programs::workspace().join("packaging/rpmlint.toml");
    let ran = Ran::of(Command::new("rpmlint").arg("--config").arg(config).args(beside(&packages().this)));
    assert!(
        ran.code == Some(0) && ran.stdout.contains("2 packages and 0 specfiles checked; 0 errors, 0 warnings"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}
