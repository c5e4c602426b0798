//! `docs/troubleshooting.md`: each section begins with the trouble that it is about.

use std::any::Any;
use std::fs;
use std::thread;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rusqlite::Connection;
use simulated_host::{Fault, Release, Role, Service};
use vgpu_tests::{Dom0, ResourcePool, VM, VM_ARGUMENT, shared_key, uuid};

use crate::examples::{Shell, sections};

const DOCUMENT: &str = "docs/troubleshooting.md";

/// What must live as long as a section runs.
type Kept = Vec<Box<dyn Any>>;

/// A host with web01.
fn registered() -> Dom0 {
    let dom0 = crate::host();
    register(&dom0);
    dom0
}

fn register(dom0: &Dom0) {
    dom0.create_vm_with_uuid(VM, "web01");
    dom0.register(VM, "A", "high");
}

/// The same, running.
fn running() -> Dom0 {
    let dom0 = registered();
    dom0.start(VM);
    dom0
}

/// A stock host on which web01 runs through the stock qemu-wrapper.
fn stock() -> Dom0 {
    let dom0 = Dom0::stock(Release::V8_3);
    register(&dom0);
    dom0.start(VM);
    dom0
}

fn trouble(section: &str) -> (Shell, Kept) {
    if let Some((shell, hosts)) = trouble_elsewhere(section) {
        return (shell, vec![hosts]);
    }
    let dom0 = match section {
        "show-vm says \"no vGPU\"" => stock(),
        "show-vm says \"NOT as configured\"" | "apply leaves a VM alone" | "A setting gets lost on the way to QEMU" => {
            running()
        }
        _ => registered(),
    };
    let shell = Shell::on(dom0.root.folder());
    let mut kept: Kept = Vec::new();
    let no_trouble = [
        "What does the hook do for a VM?",
        "The VM is already registered",
        "show-vm says \"no vGPU\"",
        "A setting gets lost on the way to QEMU",
    ];
    assert!(
        no_trouble.contains(&section)
            || trouble_with_vms(section, &dom0)
            || trouble_with_files(section, &dom0, &mut kept),
        "{DOCUMENT}: no trouble for the section '{section}'"
    );
    kept.push(Box::new(dom0));
    (shell, kept)
}

/// On other hosts than that of most sections.
fn trouble_elsewhere(section: &str) -> Option<(Shell, Box<dyn Any>)> {
    match section {
        "FAILED_TO_START_EMULATOR after the package was removed by force" => {
            let dom0 = Dom0::with_our_wrapper(Release::V8_3);
            register(&dom0);
            fs::remove_file(dom0.root.path("usr/libexec/vgpu/qemu-wrapper")).unwrap();
            Some((Shell::on(dom0.root.folder()), Box::new(dom0)))
        }
        "A host is \"not installed\"" => {
            let pool = ResourcePool::new(2);
            fs::remove_file(pool.on(1).root.path("etc/xapi.d/plugins/vgpu")).unwrap();
            Some((Shell::on(pool.on(0).root.folder()), Box::new(pool)))
        }
        _ => None,
    }
}

/// With VMs, XAPI and xenopsd. Returns whether the section is about such a trouble.
fn trouble_with_vms(section: &str, dom0: &Dom0) -> bool {
    let set_pool = || drop(dom0.plugin("set_pool", &[("vm_uuid", VM), ("pool", "B")]));
    match section {
        "3rd party xapi hook failed: 50vgpu" => {
            dom0.sql("UPDATE vms SET pool_id = 'B'");
            dom0.root.settings("on_error = \"block\"");
            dom0.set_fault(Service::Xenopsd, Fault::error("Internal_error", &["no"])).unwrap();
        }
        "show-vm says \"NOT as configured\"" => set_pool(),
        "apply leaves a VM alone" => {
            set_pool();
            dom0.set_guest_agent(VM, false).unwrap();
        }
        "A clone has no vGPU" => dom0.clone_vm_with_uuid(VM, "web01 copy", &uuid(1)).unwrap(),
        "The VM is not found" => [1, 2].into_iter().for_each(|number| dom0.create_vm_with_uuid(&uuid(number), "twin")),
        "XAPI does not answer" => dom0.set_fault(Service::Xapi, Fault::Absent).unwrap(),
        "VGPU_NEWER_FORMAT" => dom0.set_pool_other_config(&shared_key(VM), Some("2 something new")),
        "The arguments would be too long" => {
            dom0.set_args_in_xapi(VM, Some(&format!("{VM_ARGUMENT} {}", "x".repeat(1990))));
        }
        _ => return false,
    }
    true
}

/// With files of the host, the same.
fn trouble_with_files(section: &str, dom0: &Dom0, kept: &mut Kept) -> bool {
    let root = &dom0.root;
    match section {
        "3rd party xapi hook failed: another file" => root.write("etc/xapi.d/vm-pre-start/50vgpu.bak", "a copy"),
        LOCKED => {
            let connection = Connection::open(root.database()).unwrap();
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            kept.push(Box::new(connection));
        }
        "The database is damaged, missing or empty" => fs::write(root.database(), "no database").unwrap(),
        "The database is newer than the program" => drop(dom0.sql("PRAGMA user_version = 99")),
        "The settings file is not valid" => root.settings("deadline = 5\npriority = \"high\"\n"),
        "A file \"is not what vgpu-config installed\"" => {
            root.unlink("usr/libexec/vgpu/vgpu-hook");
            root.write("usr/libexec/vgpu/vgpu-hook", "#!/bin/sh\n");
        }
        BUSY => kept.push(Box::new(lock_of_all_vms(dom0))),
        _ => return false,
    }
    true
}

/// As another program has it in the middle of a change.
fn lock_of_all_vms(dom0: &Dom0) -> fs::File {
    let file = fs::File::options().write(true).open(dom0.root.path("var/run/vgpu/vm-locks")).unwrap();
    let everything = libc::flock {
        l_type: libc::F_WRLCK.try_into().unwrap(),
        l_whence: libc::SEEK_SET.try_into().unwrap(),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&everything)).unwrap();
    file
}

/// The commands wait 15 seconds for a lock: these two at the same time.
const LOCKED: &str = "The database is locked";
const BUSY: &str = "Another program is changing the VM";

fn titles() -> Vec<String> {
    sections(DOCUMENT).into_iter().map(|section| section.title).collect()
}

fn run(title: &str) {
    let (shell, _kept) = trouble(title);
    // Read again: SNAPSHOTS=overwrite has moved the lines.
    let section = sections(DOCUMENT).into_iter().find(|section| section.title == title).unwrap();
    shell.run_all(DOCUMENT, &section.examples);
}

#[test]
fn every_message_in_troubleshooting_is_the_real_one() {
    assert!(titles().len() >= 18, "{:?}", titles());
    titles().iter().filter(|title| ![LOCKED, BUSY].contains(&title.as_str())).for_each(|title| run(title));
}

#[test]
fn the_messages_after_waiting_for_a_lock_are_the_real_ones() {
    thread::scope(|scope| {
        scope.spawn(|| run(LOCKED));
        scope.spawn(|| run(BUSY));
    });
}

#[test]
fn the_error_of_a_role_that_may_only_read_is_the_real_one() {
    let dom0 = running();
    let session = dom0.open_session(Role::VmOperator);
    let error = dom0.call_plugin_in(&session, "vgpu", "set_pool", &[("vm_uuid", VM), ("pool", "B")]).unwrap_err();
    let text = fs::read_to_string(crate::examples::path_of(DOCUMENT)).unwrap();
    let (code, params) = (&error.code, error.params.join(", "));
    assert!(text.contains(&format!("\n    {code}: {params}\n")), "{DOCUMENT} lacks:\n{code}: {params}");
}
