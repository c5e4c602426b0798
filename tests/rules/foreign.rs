//! What an administrator has written beside our argument is never lost, whatever is cut off when.

use simulated_host::{Fault, Service};
use vgpu_tests::ResourcePool;

use crate::support::{HOSTS, args, known_vm, pool_with_vm, set_args, started, sync_all};

/// More calls than any change makes.
const MANY: usize = 40;
/// What stands before and after our argument, and a property of it that is not ours.
const BEFORE: &str = "-vga std -name 'two words' ";
const AFTER: &str = ",bus=pci.0 -device foo,admin=1";

/// A VM with arguments of the administrator's around ours; says what they are.
fn vm_with_foreign_arguments(pool: &ResourcePool) -> (String, String) {
    let vm = known_vm(pool);
    let all = format!("{BEFORE}{}{AFTER}", args(pool, &vm).unwrap());
    set_args(pool, &vm, Some(&all));
    (vm, all)
}

/// Lets an operation lose XAPI after so many calls, and says whether it succeeded all the same.
fn cut(pool: &ResourcePool, host: usize, calls: usize, operation: impl FnOnce() -> bool) -> bool {
    pool.on(host).set_fault_after_any(Service::Xapi, calls, Fault::Absent);
    let succeeded = operation();
    pool.on(host).clear_faults().unwrap();
    succeeded
}

fn put_aside(pool: &ResourcePool, vm: &str) -> Option<String> {
    pool.host(0).other_config(vm).get("vgpu:device-model-args").cloned()
}

/// Whatever becomes of the GPU pool, every other byte is what it was.
fn assert_whole(found: Option<&str>, all: &str, why: &str) {
    assert_eq!(found.map(|args| args.replace("pool_id=B", "pool_id=A")).as_deref(), Some(all), "{why}");
}

/// Cuts a change off after every one of its calls. What comes next on whatever host puts back what is missing.
fn cut_everywhere(what_next: &str, next: impl Fn(&ResourcePool, usize, &str)) {
    let (pool, _) = pool_with_vm();
    let mut missing = 0;
    for calls in 0..MANY {
        let (vm, all) = vm_with_foreign_arguments(&pool);
        let (broken, mended) = (calls % HOSTS, (calls / 2) % HOSTS);
        let set_pool = || pool.on(broken).call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).is_ok();
        let succeeded = cut(&pool, broken, calls, set_pool);
        missing += usize::from(args(&pool, &vm).is_none());
        let why = format!("{what_next} on host {mended} after {calls} calls on host {broken}");
        next(&pool, mended, &vm);
        assert_whole(args(&pool, &vm).as_deref(), &all, &why);
        assert_whole(started(&pool, mended, &vm).as_deref(), &all, &why);
        assert_eq!(put_aside(&pool, &vm), None, "{why}");
        if succeeded {
            assert!(missing > 0, "not cut where it hurts");
            return;
        }
    }
    panic!("it never succeeded");
}

#[test]
fn the_next_start_puts_back_what_a_change_has_taken_out() {
    cut_everywhere("start", |pool, host, vm| {
        let got = started(pool, host, vm).unwrap();
        assert!(got.starts_with(BEFORE) && got.ends_with(AFTER), "this very boot: {got}");
    });
}

#[test]
fn the_next_change_puts_back_what_a_change_has_taken_out() {
    cut_everywhere("change", |pool, host, vm| {
        pool.on(host).plugin("set_priority", &[("vm_uuid", vm), ("priority", "high")]);
    });
}

#[test]
fn the_next_sync_puts_back_what_a_change_has_taken_out() {
    cut_everywhere("sync", |pool, host, _| drop(pool.on(host).plugin("sync", &[])));
}

#[test]
fn a_repair_before_a_start_that_is_cut_off_loses_nothing() {
    let (pool, _) = pool_with_vm();
    let mut missing = 0;
    for calls in 0..MANY {
        let (vm, all) = vm_with_foreign_arguments(&pool);
        let by_hand = all.replace("pool_id=A", "pool_id=B");
        set_args(&pool, &vm, Some(&by_hand));
        let (broken, mended) = (calls % HOSTS, (calls / 2) % HOSTS);
        cut(&pool, broken, calls, || pool.on(broken).start(&vm).is_some());
        pool.on(broken).shutdown(&vm).unwrap();
        let why = format!("on host {mended} after {calls} calls on host {broken}");
        missing += usize::from(args(&pool, &vm).is_none());
        let is_finished = args(&pool, &vm).as_deref() == Some(&all) && put_aside(&pool, &vm).is_none();
        assert_eq!(started(&pool, mended, &vm).as_deref(), Some(all.as_str()), "{why}");
        assert_eq!((args(&pool, &vm).as_deref(), put_aside(&pool, &vm)), (Some(all.as_str()), None), "{why}");
        if is_finished && calls > 0 {
            assert!(missing > 0, "not cut where it hurts");
            return;
        }
    }
    panic!("it never succeeded");
}

#[test]
fn a_removal_that_is_cut_off_loses_nothing_but_our_argument() {
    let (pool, _) = pool_with_vm();
    for calls in 0..MANY {
        let (vm, all) = vm_with_foreign_arguments(&pool);
        let (broken, mended) = (calls % HOSTS, (calls / 2) % HOSTS);
        let remove = || pool.on(broken).call_plugin("vgpu", "remove_vm", &[("vm_uuid", &vm)]).is_ok();
        let succeeded = cut(&pool, broken, calls, remove);
        let rest = format!("{} -device foo,admin=1", BEFORE.trim_end());
        let got = started(&pool, mended, &vm).unwrap();
        assert!(got == rest || got == all, "on host {mended} after {calls} calls on host {broken}: {got}");
        assert_eq!((args(&pool, &vm), put_aside(&pool, &vm)), (Some(got), None));
        if succeeded {
            return;
        }
    }
    panic!("it never succeeded");
}

#[test]
fn a_reboot_gets_them_although_xenopsd_was_told_of_the_record_without_them() {
    let (pool, _) = pool_with_vm();
    let (vm, all) = vm_with_foreign_arguments(&pool);
    pool.on(1).start(&vm);
    pool.on(1).hold_events(true);
    set_args(&pool, &vm, None);
    pool.on(1).pass_on_events();
    // Whoever was cut off there, another has put them back since.
    set_args(&pool, &vm, Some(&all));
    assert_eq!(pool.on(1).reboot_from_inside(&vm), Some(all));
    // The same where our argument was taken out for good.
    pool.on(0).plugin("remove_vm", &[("vm_uuid", &vm)]);
    sync_all(&pool);
    let rest = args(&pool, &vm);
    set_args(&pool, &vm, None);
    pool.on(1).pass_on_events();
    set_args(&pool, &vm, rest.as_deref());
    assert!(rest.is_some());
    assert_eq!(pool.on(1).reboot_from_inside(&vm), rest);
}
