//! What works on many VMs takes its time, and other programs go on meanwhile: what it saw at its beginning is no reason to
//! overwrite what was changed since.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use simulated_host::{Fault, Service};
use vgpu_config::entry::Entry;
use vgpu_config::model::{Priority, VmSettings};
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{ResourcePool, uuid};

const PATIENCE: Duration = Duration::from_mins(1);

/// Two hosts and two VMs that both know, in the order in which they are worked on.
fn two_hosts_and_two_vms() -> (ResourcePool, [String; 2]) {
    let pool = ResourcePool::new(2);
    let vms = [uuid(1), uuid(2)];
    for vm in &vms {
        pool.host(0).create_vm_with_uuid(vm, "vm");
        pool.on(0).register(vm, "A", "low");
    }
    pool.on(1).plugin("sync", &[]);
    (pool, vms)
}

/// Carries an operation out on the first host, whose first change takes five seconds, and something else meanwhile.
fn meanwhile(
    pool: &ResourcePool,
    function: &str,
    arguments: &[(&str, &str)],
    something: impl FnOnce(),
) -> serde_json::Value {
    let first = || pool.host(0).pool_other_config().get(&format!("vgpu:{}", uuid(1))).cloned();
    let before = first();
    pool.on(0).set_fault_in(Service::Xapi, "VM.remove_from_platform", Fault::Slow(Duration::from_secs(5))).unwrap();
    thread::scope(|scope| {
        let operation = scope.spawn(|| pool.on(0).plugin(function, arguments));
        let began = Instant::now();
        while first() == before || first().is_none() {
            assert!(began.elapsed() < PATIENCE, "{function} changes nothing");
            thread::sleep(Duration::from_millis(5));
        }
        something();
        assert!(!operation.is_finished(), "{function} was to take longer");
        let reply = operation.join().unwrap();
        pool.on(0).clear_faults().unwrap();
        reply
    })
}

#[test]
fn a_sync_does_not_overwrite_what_another_host_has_changed_since_it_began() {
    let (pool, [first, second]) = two_hosts_and_two_vms();
    // As vgpu-admin does it while XAPI is away.
    let change = "UPDATE vms SET priority = 1; UPDATE history SET through = 'vgpu-admin'";
    sql_ok(&pool.on(0).root.database(), change);
    let reply = meanwhile(&pool, "sync", &[], || {
        for to in ["high", "low", "high"] {
            pool.on(1).plugin("set_priority", &[("vm_uuid", &second), ("priority", to)]);
        }
    });
    assert_eq!(reply["pushed"], json!([first]), "{reply}");
    for host in [0, 1] {
        let shown = pool.on(host).plugin("show_vm", &[("vm_uuid", &second)]);
        assert_eq!((&shown["priority"], &shown["revision"]), (&json!("high"), &json!(4)), "host {host}");
    }
    assert!(pool.on(1).start(&second).unwrap().contains("priority=high"));
}

#[test]
fn adopt_does_not_register_again_what_another_host_has_registered_since_it_began() {
    let pool = ResourcePool::new(2);
    let vms = [uuid(1), uuid(2)];
    for (vm, number) in vms.iter().zip([1, 2]) {
        pool.host(0).create_vm_with_uuid(vm, "vm");
        let argument = format!("-device vgpu-stub,priority=1,pool_id=A,vm_id={number}");
        pool.host(0).set_platform_key(vm, "device-model-args", Some(&argument)).unwrap();
    }
    let reply = meanwhile(&pool, "adopt", &[], || pool.on(1).register(&vms[1], "B", "high"));
    let adopted = reply["adopted"].as_array().unwrap();
    assert_eq!(adopted.iter().map(|vm| &vm["vm_uuid"]).collect::<Vec<_>>(), [&json!(vms[0])], "{reply}");
    let shown = pool.on(0).plugin("show_vm", &[("vm_uuid", &vms[1])]);
    assert_eq!((&shown["pool"], &shown["priority"]), (&json!("B"), &json!("high")));
    assert!(pool.on(0).start(&vms[1]).unwrap().contains("pool_id=B,priority=high"));
}

#[test]
fn adopt_takes_the_argument_that_a_vm_has_when_it_is_its_turn() {
    let pool = ResourcePool::new(1);
    let vms = [uuid(1), uuid(2)];
    let argument =
        |pool_id: &str, number: u32| format!("-device vgpu-stub,priority=1,pool_id={pool_id},vm_id={number}");
    for (vm, number) in vms.iter().zip([1, 2]) {
        pool.host(0).create_vm_with_uuid(vm, "vm");
        pool.host(0).set_platform_key(vm, "device-model-args", Some(&argument("A", number))).unwrap();
    }
    meanwhile(&pool, "adopt", &[], || {
        pool.host(0).set_platform_key(&vms[1], "device-model-args", Some(&argument("B", 2))).unwrap();
    });
    assert_eq!(pool.on(0).plugin("show_vm", &[("vm_uuid", &vms[1])])["pool"], "B");
}

#[test]
fn prune_forgets_no_more_than_it_was_told_to() {
    let (pool, [shown, later]) = two_hosts_and_two_vms();
    pool.host(0).destroy(&shown).unwrap();
    let planned = pool.on(0).plugin("prune", &[("dry_run", "true")]);
    assert_eq!(planned["pruned"], json!([shown]));
    // Destroyed while an administrator reads the question.
    pool.host(0).destroy(&later).unwrap();
    let reply = pool.on(0).plugin("prune", &[("vm_uuids", &shown)]);
    assert_eq!(reply["pruned"], json!([shown]));
    assert_eq!(pool.on(0).plugin("show_vm", &[("vm_uuid", &later)])["pool"], "A");
    for not_a_list in ["web01", ""] {
        let refused = pool.on(0).call_plugin("vgpu", "prune", &[("vm_uuids", not_a_list)]).unwrap_err();
        assert!(refused.params.concat().contains("VMs' UUIDs, separated by commas"), "{refused:?}");
    }
    assert_eq!(pool.on(0).plugin("show_vm", &[("vm_uuid", &later)])["pool"], "A");
}

#[test]
fn prune_keeps_a_vm_that_another_host_has_changed_since_it_began() {
    let (pool, [first, second]) = two_hosts_and_two_vms();
    let changed = uuid(3);
    pool.host(0).create_vm_with_uuid(&changed, "vm");
    pool.on(0).register(&changed, "A", "low");
    pool.on(1).plugin("sync", &[]);
    for vm in [&first, &second, &changed] {
        pool.host(0).destroy(vm).unwrap();
    }
    pool.on(0)
        .set_fault_in(Service::Xapi, "pool.remove_from_other_config", Fault::Slow(Duration::from_secs(5)))
        .unwrap();
    thread::scope(|scope| {
        let prune = scope.spawn(|| pool.on(0).plugin("prune", &[]));
        let began = Instant::now();
        while pool.host(0).pool_other_config().contains_key(&format!("vgpu:{first}")) {
            assert!(began.elapsed() < PATIENCE, "prune forgets nothing");
            thread::sleep(Duration::from_millis(5));
        }
        // What another host writes: one change more.
        let key = format!("vgpu:{changed}");
        let entry = Entry::parse(&pool.host(0).pool_other_config()[&key]).unwrap();
        let settings = entry.settings.map(|settings| VmSettings { priority: Priority::High, ..settings });
        let newer = Entry { settings, revision: entry.revision + 1, ..entry };
        pool.host(0).set_pool_other_config(&key, Some(&newer.to_text()));
        assert_eq!(prune.join().unwrap()["pruned"], json!([first, second]));
    });
    pool.on(0).clear_faults().unwrap();
    assert_eq!(pool.on(0).plugin("show_vm", &[("vm_uuid", &changed)])["priority"], "high");
}

#[test]
fn an_import_that_is_told_to_end_puts_back_what_it_has_written() {
    for signal in ["INT", "TERM", "HUP"] {
        end_an_import(signal, |import| import);
    }
}

#[test]
fn so_does_one_that_shows_its_progress_on_a_terminal() {
    end_an_import("INT", |import| {
        let mut terminal = Command::new("script");
        let line = format!("echo $$ >import.pid; exec {import:?}").replace('"', "'");
        terminal.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env("SHELL", "/bin/sh");
        terminal
    });
}

/// Ends an import while it writes to XAPI. `run` may run its command by another one, which names its process in a file.
fn end_an_import(signal: &str, run: impl FnOnce(Command) -> Command) {
    let (pool, [first, second]) = two_hosts_and_two_vms();
    let third = uuid(3);
    pool.host(0).create_vm_with_uuid(&third, "vm");
    let vm = |uuid: &str| json!({"vm_uuid": uuid, "pool": "B", "priority": "high"});
    let file = json!({"version": 1, "vm": [vm(&first), vm(&second), vm(&third)]}).to_string();
    let host = pool.on(0);
    host.root.write("settings.json", &file);
    let state = || {
        let args = [&first, &second, &third].map(|vm| pool.host(0).platform(vm).get("device-model-args").cloned());
        (args, pool.host(0).pool_other_config(), sql_ok(&host.root.database(), ".dump"))
    };
    let before = state();
    host.set_fault_in(Service::Xapi, "VM.remove_from_platform", Fault::Slow(Duration::from_secs(5))).unwrap();
    let mut command = Command::new(host.root.path("usr/bin/vgpu-admin"));
    command.arg("import").arg(host.root.path("settings.json"));
    let mut import = run(command).current_dir(host.root.folder()).stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while pool.host(0).pool_other_config() == before.1 {
        assert!(began.elapsed() < PATIENCE, "import changes nothing");
        thread::sleep(Duration::from_millis(5));
    }
    let pid = std::fs::read_to_string(host.root.path("import.pid")).unwrap_or_else(|_| import.id().to_string());
    let sent = Command::new("kill").args([&format!("-{signal}"), pid.trim()]).status().unwrap();
    assert!(sent.success());
    // Not before: without the fault, the import may be done when the signal comes.
    host.clear_faults().unwrap();
    let ended = import.wait().unwrap();
    assert!(ended.signal().is_some() || ended.code() == Some(128 + 2), "{signal}: {ended}");
    assert_eq!(state(), before, "{signal}");
}

#[test]
fn an_import_under_nohup_goes_on_when_its_terminal_goes() {
    let (pool, [first, second]) = two_hosts_and_two_vms();
    let vm = |uuid: &str| json!({"vm_uuid": uuid, "pool": "B", "priority": "high"});
    let host = pool.on(0);
    host.root.write("settings.json", json!({"version": 1, "vm": [vm(&first), vm(&second)]}).to_string());
    host.set_fault_in(Service::Xapi, "VM.remove_from_platform", Fault::Slow(Duration::from_secs(5))).unwrap();
    let before = pool.host(0).pool_other_config();
    let program = host.root.path("usr/bin/vgpu-admin");
    let mut command = Command::new("nohup");
    command.arg(program).arg("import").arg(host.root.path("settings.json")).stdout(Stdio::null()).stderr(Stdio::null());
    let mut import = command.spawn().unwrap();
    let began = Instant::now();
    while pool.host(0).pool_other_config() == before {
        assert!(began.elapsed() < PATIENCE, "import changes nothing");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-HUP", &import.id().to_string()]).status().unwrap().success());
    assert!(import.wait().unwrap().success());
    for vm in [&first, &second] {
        assert_eq!(host.plugin("show_vm", &[("vm_uuid", vm)])["pool"], "B");
    }
}
