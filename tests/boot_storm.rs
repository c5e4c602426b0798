//! Many VMs start at once, all of them in need of repair, with XAPI as slow as it is where it carries a thousand VMs: every one
//! gets what it is to have, and every start is noted.

use std::thread;
use std::time::Duration;

use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, uuid};

/// As many as xenopsd starts at once (`ocaml/xenopsd/lib/xenopsd.ml`, `worker-pool-size` as 8.3 sets it).
const AT_ONCE: usize = 25;
const VMS: u32 = 75;
/// What XAPI takes to read the settings of a thousand VMs, and for one half of a change (docs/resource-pools.md).
const TO_READ: Duration = Duration::from_millis(8);
const TO_CHANGE: Duration = Duration::from_millis(22);

/// A host whose XAPI is slow and whose hooks have time, for the machine may be slow too.
fn slow_host(settings: &str) -> Dom0 {
    let dom0 = Dom0::new();
    dom0.root.settings(&format!("deadline = 60\n{settings}"));
    dom0
}

fn slow_down(dom0: &Dom0) {
    dom0.set_fault_in(Service::Xapi, "pool.get_other_config", Fault::Slow(TO_READ)).unwrap();
    for method in ["pool.add_to_other_config", "pool.remove_from_other_config"] {
        dom0.set_fault_in(Service::Xapi, method, Fault::Slow(TO_CHANGE)).unwrap();
    }
}

/// Starts all of them, and gives what each got.
fn start_at_once(dom0: &Dom0, vms: &[String]) -> Vec<(String, Option<String>)> {
    slow_down(dom0);
    thread::scope(|scope| {
        let share = |some: &[String]| some.iter().map(|vm| (vm.clone(), dom0.start(vm))).collect::<Vec<_>>();
        let workers: Vec<_> =
            vms.chunks(vms.len().div_ceil(AT_ONCE)).map(|some| scope.spawn(move || share(some))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

/// Each has its own argument with this GPU pool and priority, in XAPI too, and its start is noted.
fn assert_all_right(dom0: &Dom0, got: &[(String, Option<String>)], settings: &str) {
    for (vm, args) in got {
        let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", vm]);
        assert_eq!(shown["device_argument"].as_str(), args.as_deref(), "{vm}");
        assert!(args.as_deref().is_some_and(|args| args.contains(settings)), "{vm}: {args:?}");
        assert_eq!((&shown["last_start"]["is_current"], dom0.args_in_xapi(vm)), (&true.into(), args.clone()), "{vm}");
    }
    let problems: Vec<_> = dom0.hook_log().into_iter().filter(|line| line.contains("could not")).collect();
    assert_eq!(problems, Vec::<String>::new());
}

#[test]
fn registered_vms_that_lost_their_arguments_all_get_them_and_are_noted() {
    let dom0 = slow_host("");
    let vms: Vec<_> = (0..VMS).map(uuid).collect();
    for vm in &vms {
        dom0.create_vm_with_uuid(vm, "vm");
        dom0.register(vm, "B", "high");
        dom0.set_args_in_xapi(vm, None);
    }
    assert_all_right(&dom0, &start_at_once(&dom0, &vms), "pool_id=B,priority=high");
}

#[test]
fn new_vms_all_get_the_defaults() {
    let dom0 = slow_host("unregistered = \"default\"\ndefaults = { pool = \"B\", priority = \"low\" }");
    let vms: Vec<_> = (0..VMS).map(uuid).collect();
    for vm in &vms {
        dom0.create_vm_with_uuid(vm, "vm");
    }
    assert_all_right(&dom0, &start_at_once(&dom0, &vms), "pool_id=B,priority=low");
}

#[test]
fn clones_all_inherit_and_get_numbers_of_their_own() {
    let dom0 = slow_host("unregistered = \"inherit\"");
    let origin = dom0.create_vm("origin");
    dom0.register(&origin, "B", "high");
    let clones: Vec<_> = (0..VMS).map(|number| dom0.clone_vm(&origin, &format!("clone{number}")).unwrap()).collect();
    let got = start_at_once(&dom0, &clones);
    assert_all_right(&dom0, &got, "pool_id=B,priority=high");
    let mut all: Vec<_> = got.into_iter().filter_map(|(_, args)| args).chain(dom0.argument(&origin)).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), clones.len() + 1, "no two share a number");
}
