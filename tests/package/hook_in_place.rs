//! The hook is in its place, whole, at every moment of a transaction, and however one ends.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;
use vgpu_tests::root::Ran;
use vgpu_tests::{VM, programs};

use crate::built::{ok, packages};
use crate::dom0::Installed;

const FOLDER: &str = "etc/xapi.d/vm-pre-start";
const PROGRAM: &str = "usr/libexec/vgpu/vgpu-hook";

/// What xenopsd does before a start: it runs every entry of the hook's folder. Here there has to be ours alone, it has to let
/// the VM start, and it has to find its program.
fn start(root: &Installed) -> Result<(), String> {
    let names: Vec<_> = root.listing(FOLDER).into_iter().collect();
    if names != ["50vgpu"] {
        return Err(format!("in the hook's folder: {names:?}"));
    }
    let mut hook = root.command(&format!("{FOLDER}/50vgpu"));
    let output = hook.args(["-vmuuid", VM, "-reason", "none"]).output().map_err(|error| error.to_string())?;
    let ran = Ran::from(output);
    let is_our_programs_answer = ran.stdout.contains(VM) && !ran.stdout.contains(PROGRAM);
    if matches!(ran.code, Some(0 | 1)) && is_our_programs_answer { Ok(()) } else { Err(format!("{ran:?}")) }
}

/// rpm in the root, in a process group of its own.
fn rpm(root: &Installed, package: &Path) -> Command {
    let mut command = Command::new("rpm");
    command.arg("--root").arg(root.path("")).args(["-U", "--oldpackage", "--replacepkgs"]).arg(package);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command
}

/// The files of which rpm has made one under a name of its own, and not renamed it.
fn leftovers(root: &Installed) -> String {
    ok(Command::new("find").arg(root.path("")).args(["-name", "*;*"]))
}

#[test]
fn no_start_is_refused_while_the_package_is_upgraded_downgraded_and_reinstalled() {
    let root = Installed::new();
    let is_over = AtomicBool::new(false);
    let wrong = thread::scope(|scope| {
        let starts = scope.spawn(|| {
            let mut all = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                all.push(start(&root));
            }
            all
        });
        for _ in 0..5 {
            for package in [&packages().next, &packages().next, &packages().this, &packages().this] {
                ok(&mut rpm(&root, package));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        let all = starts.join().unwrap();
        println!("{} starts", all.len());
        assert!(all.len() > 20, "hardly any start fell into the transactions");
        all.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    });
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(root.changed(), "");
}

#[test]
fn wherever_a_transaction_is_killed_vms_start_and_the_next_one_cleans_up() {
    let root = Installed::new();
    let packages = [&packages().next, &packages().this];
    let began = Instant::now();
    ok(&mut rpm(&root, packages[1]));
    // Every twentieth of the time that a transaction takes.
    let step = began.elapsed() / 20;
    let mut killed = 0;
    for turn in 0..20 {
        let mut transaction = rpm(&root, packages[turn % 2]).spawn().unwrap();
        let wait = step * u32::try_from(turn).unwrap();
        thread::sleep(wait);
        if transaction.try_wait().unwrap().is_some() {
            continue;
        }
        let group = format!("-{}", transaction.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).stderr(Stdio::null()).status();
        transaction.wait().unwrap();
        killed += 1;
        assert_eq!(start(&root), Ok(()), "killed after {wait:?}");
    }
    assert!(killed > 3, "hardly any transaction was killed");
    ok(&mut rpm(&root, packages[0]));
    assert_eq!(leftovers(&root), "");
    assert_eq!(root.changed(), "");
    let ours = |name: &str| fs::read(root.path(name)).unwrap();
    assert!(ours(PROGRAM) == ours("usr/libexec/vgpu/package/vgpu-hook"), "the program is the last transaction's");
}

#[test]
fn what_killed_transactions_left_of_our_files_is_removed_and_nothing_else() {
    let root = Installed::new();
    let files = root.rpm(&["-ql", "vgpu-config"]).stdout;
    let temporary = |name: &str| root.path(&format!("{};6561e0aa", &name[1..]));
    for name in files.lines().chain(["/etc/xapi.d/vm-pre-start/50vgpu"]) {
        fs::write(temporary(name), "").unwrap();
    }
    let others = ["/etc/xapi.d/plugins/echo", "/etc/xapi.d/vm-pre-start/60other", "/usr/share/man/man8/other.8.gz"];
    for name in others {
        fs::write(temporary(name), "").unwrap();
    }
    ok(&mut rpm(&root, &packages().next));
    let left: Vec<_> = leftovers(&root).lines().map(str::to_owned).collect();
    assert_eq!(left.len(), others.len(), "{left:?}");
    assert!(others.iter().all(|name| temporary(name).exists()), "{left:?}");
}

#[test]
fn an_older_package_that_owned_the_hook_itself_does_not_take_it_away() {
    let root = Installed::without_the_package();
    let copies = TempDir::with_prefix("vgpu-first-").unwrap();
    let program = programs::folder().join("vgpu-hook");
    fs::copy(program, copies.path().join("vgpu-hook")).unwrap();
    fs::copy(programs::workspace().join("hooks/vm-pre-start/50vgpu"), copies.path().join("50vgpu")).unwrap();
    ok(Command::new("rpmbuild")
        .args(["-bb", "--quiet", "--define", &format!("_topdir {}", copies.path().display())])
        .args(["--define", &format!("copies {}", copies.path().display())])
        .arg(programs::workspace().join("tests/package/first.spec")));
    let first = copies.path().join("RPMS/x86_64/vgpu-config-0.0.1-1.x86_64.rpm");
    ok(&mut rpm(&root, &first));
    assert!(root.changed().is_empty() && root.path(PROGRAM).exists());

    root.dnf(&["upgrade", &packages().this.display().to_string()]);
    assert_eq!(start(&root), Ok(()));
    assert_eq!(root.changed(), "");
    ok(&mut rpm(&root, &first));
    assert_eq!(start(&root), Ok(()), "downgraded to it");
    ok(&mut rpm(&root, &packages().this));
    assert_eq!(start(&root), Ok(()));
}

#[test]
fn a_removal_takes_the_hook_first_and_leaves_nothing_that_could_be_run() {
    let root = Installed::new();
    fs::write(root.path("etc/xapi.d/vm-pre-start/50vgpu;6561e0aa"), "").unwrap();
    // What the programs see that rpm calls when the hook is gone and everything else is still there.
    let notes = "#!/bin/sh\nls /etc/xapi.d/vm-pre-start /usr/libexec/vgpu > /var/log/seen\n";
    fs::write(root.path("usr/bin/systemctl"), notes).unwrap();
    root.dnf(&["remove", "vgpu-config"]);
    assert_eq!(root.listing(FOLDER).len(), 0);
    assert_eq!(root.inside_ok("cat /var/log/seen | grep -c 50vgpu || true"), "0\n");
    for gone in [
        "usr/libexec/vgpu/vgpu-hook",
        "usr/libexec/vgpu/package",
        "etc/xapi.d/50vgpu.new",
        "etc/xapi.d/plugins/vgpu",
        "usr/bin/vgpu-admin",
    ] {
        assert!(!root.path(gone).exists(), "{gone} is still there");
    }
}

#[test]
fn where_the_hook_cannot_be_put_in_place_the_old_one_stays_and_the_installation_says_so() {
    let root = Installed::new();
    let hook = root.path("etc/xapi.d/vm-pre-start/50vgpu");
    let before = fs::read_to_string(&hook).unwrap() + "# from before\n";
    fs::write(&hook, &before).unwrap();
    fs::write(root.path("usr/bin/dd"), "").unwrap();
    fs::remove_file(root.path("usr/bin/dd")).unwrap();
    let said = root.dnf(&["upgrade", &packages().next.display().to_string()]);
    assert!(said.contains("50vgpu could not be installed"), "{said}");
    assert_eq!(fs::read_to_string(&hook).unwrap(), before);
    assert_eq!(start(&root), Ok(()));
}
