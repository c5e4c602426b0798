//! The library in a program that stays, as the C library uses it: lookups by the device's number, lists of any length, and what
//! tells that something has changed.

use std::fs;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::path::Path;

use vgpu_config::Error;
use vgpu_config::model::{DeviceVmId, PoolId, VmUuid};
use vgpu_config::operations::{Caller, Guest, Resident, ThisHost};
use vgpu_config::paths::Root;
use vgpu_config::request::{Request, VmSelector};
use vgpu_config::store::Filter;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ScratchRoot, VM, uuid};

fn host(root: &ScratchRoot) -> ThisHost {
    ThisHost::new(Root::at(root.folder()), Caller::RootWithoutXapi).inside(Guest { reads_only: false })
}

fn reader(root: &ScratchRoot) -> ThisHost {
    ThisHost::new(Root::at(root.folder()), Caller::RootWithoutXapi).inside(Guest { reads_only: true })
}

fn number(number: i64) -> DeviceVmId {
    number.try_into().unwrap()
}

#[test]
fn a_vm_is_found_by_its_devices_number_also_before_a_program_has_stored_it() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    let host = reader(&root);
    assert_eq!(host.show_device(number(1_170_751_909)).unwrap().vm_uuid.to_string(), VM);
    let other: VmUuid = uuid(7).parse().unwrap();
    sql_ok(&root.database(), &format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{other}', 'B', 0)"));
    let derived = DeviceVmId::derived_from(&other);
    assert_eq!(host.show_device(derived).unwrap().vm_uuid, other);
    assert!(matches!(host.show_device(number(5)), Err(Error::NoSuchDevice(vm_id)) if vm_id == number(5)));
    root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", VM]);
    assert!(matches!(host.show_device(number(1_170_751_909)), Err(Error::NoSuchDevice(_))));
}

#[test]
fn a_list_of_any_length_is_visited_by_uuid_and_each_vm_once() {
    let root = ScratchRoot::new();
    root.admin_ok(&["list-vms"]);
    let row = |number| format!("('{}', '{}', {})", uuid(number), ["A", "B"][number as usize % 2], number % 3);
    // More than two pages.
    let rows: Vec<_> = (0..250).rev().map(row).collect();
    sql_ok(&root.database(), &format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES {}", rows.join(", ")));
    let host = host(&root);
    let visited = |filter, most: usize| {
        let mut seen = Vec::new();
        host.visit_vms(filter, &mut |vm| {
            // Others may write meanwhile.
            if seen.len() == 1 {
                sql_ok(&root.database(), "UPDATE vms SET priority = priority");
            }
            seen.push(vm.vm_uuid.to_string());
            Ok(if seen.len() == most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .unwrap();
        seen
    };
    let all: Vec<_> = (0..250).map(uuid).collect();
    assert_eq!(visited(Filter::default(), usize::MAX), all);
    assert_eq!(visited(Filter::default(), 101), all[..101]);
    let of_b: Vec<_> = (0..250).filter(|number| number % 2 == 1).map(uuid).collect();
    assert_eq!(visited(Filter { pool: Some(PoolId::B), priority: None }, usize::MAX), of_b);
}

#[test]
fn every_change_of_any_program_makes_the_generation_larger() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    let mut resident = Resident::new(reader(&root));
    let mut last = resident.generation().unwrap();
    assert_eq!(resident.generation().unwrap(), last, "nothing has changed");
    let database = root.database();
    let backup = root.path("etc/vgpu/backup.db");
    let changes: [&dyn Fn(); 6] = [
        &|| drop(root.admin_ok(&["set-pool", "--vm-uuid", VM, "--pool=B"])),
        &|| drop(sql_ok(&database, "UPDATE vms SET priority = 0")),
        &|| drop(sql_ok(&database, "PRAGMA journal_mode = persist; UPDATE vms SET priority = 1")),
        &|| drop(sql_ok(&database, "PRAGMA journal_mode = truncate; UPDATE vms SET priority = 2")),
        &|| {
            fs::copy(&database, &backup).unwrap();
            fs::rename(&backup, &database).unwrap();
        },
        &|| drop(root.admin_ok(&["recover", "--force", "--yes"])),
    ];
    for (index, change) in changes.iter().enumerate() {
        change();
        let now = resident.generation().unwrap();
        assert!(now > last, "change {index}");
        assert_eq!(resident.generation().unwrap(), now, "change {index}");
        last = now;
    }
    fs::rename(&database, &backup).unwrap();
    assert!(resident.generation().is_err(), "there is no database");
    fs::rename(&backup, &database).unwrap();
    assert!(resident.generation().unwrap() > last);
}

/// Whether a descriptor is readable now.
fn is_readable(resident: &mut Resident) -> bool {
    let descriptor = resident.descriptor().unwrap();
    let mut descriptors = [nix::poll::PollFd::new(descriptor.as_fd(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut descriptors, nix::poll::PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn the_descriptor_wakes_up_once_for_a_change_and_not_for_reading() {
    let root = ScratchRoot::new();
    root.register(VM, "web01", "A", "high");
    let mut resident = Resident::new(reader(&root));
    assert!(!is_readable(&mut resident));
    resident.generation().unwrap();
    resident.host().show_device(number(1_170_751_909)).unwrap();
    sql_ok(&root.database(), "SELECT count(*) FROM vms");
    assert!(!is_readable(&mut resident), "reading is no change");
    for sql in ["UPDATE vms SET priority = 0", "PRAGMA journal_mode = persist; UPDATE vms SET priority = 1"] {
        sql_ok(&root.database(), sql);
        assert!(is_readable(&mut resident), "{sql}");
        resident.generation().unwrap();
        assert!(!is_readable(&mut resident), "{sql}");
    }
    // Another folder in the place of the old one.
    let (folder, aside) = (root.path("etc/vgpu"), root.path("etc/aside"));
    fs::rename(&folder, &aside).unwrap();
    assert!(is_readable(&mut resident));
    copy_folder(&aside, &folder);
    resident.generation().unwrap();
    while is_readable(&mut resident) {
        resident.generation().unwrap();
    }
    sql_ok(&root.database(), "UPDATE vms SET priority = 2");
    assert!(is_readable(&mut resident), "the new folder is watched");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_guest_that_only_reads_neither_creates_nor_migrates_nor_changes_a_database() {
    let root = ScratchRoot::new();
    assert!(Resident::new(reader(&root)).generation().is_err());
    assert!(!root.path("etc/vgpu").exists());
    root.register(VM, "web01", "A", "high");
    let before = fs::read(root.database()).unwrap();
    let vm = VmSelector::Uuid(VM.parse().unwrap());
    let refused = reader(&root)
        .execute(Request::SetPool { vm: vm.into(), pool: PoolId::B, force: false, dry_run: false })
        .unwrap_err();
    assert_eq!(refused.code(), "VGPU_DB_ERROR");
    assert!(refused.to_string().contains("read-only"), "{refused}");
    assert_eq!(fs::read(root.database()).unwrap(), before);
}

#[test]
fn a_database_anywhere_has_its_locks_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("my.db");
    let root = Root::of_database(&database);
    assert!(root.has_other_database());
    assert_eq!((root.database(), root.vm_locks()), (database.clone(), folder.path().join("my.db-vm-locks")));
    let of_a_host = Root::of_database(Path::new("/srv/x/etc/vgpu/vgpu_config.db"));
    assert_eq!(of_a_host, Root::at("/srv/x"));
    assert_eq!(Root::of_database(Path::new("/etc/vgpu/vgpu_config.db")), Root::at("/"));
}
