//! VMs in a pool: where they start, how they move, and their copies.

use serde_json::json;
use simulated_host::Outage;

use crate::support::{Lab, resident_on, running_args, set_args};

#[test]
fn a_vm_starts_on_the_host_that_is_asked_and_after_a_shutdown_on_another() {
    let (lab, vm) = Lab::with_vm(3);
    for index in [1, 2] {
        lab.install_hook(index);
        let boot = lab.host(index).vm_start(&vm).unwrap();
        assert_eq!(boot.hook_runs.len(), 1, "the hook of host {index}");
        assert_eq!(resident_on(lab.host(0), &vm), lab.host(index).host_ref());
        assert_eq!((lab.runs_on(&vm), lab.host(index).boots(&vm).len()), (Some(index), 1));
        assert_eq!(lab.host(0).vm_start(&vm).unwrap_err().code, "VM_BAD_POWER_STATE");
        // Whichever host is asked, it ends where it runs.
        lab.host(0).shutdown(&vm).unwrap();
        assert_eq!((lab.runs_on(&vm), lab.host(0).power_state(&vm).as_str()), (None, "Halted"));
    }
    assert_eq!(lab.host(0).boots(&vm), []);
}

#[test]
fn a_hook_finds_the_host_that_the_vm_is_scheduled_for() {
    let (lab, vm) = Lab::with_vm(2);
    let scheduled = || lab.host(0).vm_record(&vm).unwrap()["scheduled_to_be_resident_on"].clone();
    lab.install(1, "etc/xapi.d/vm-pre-start/10wait", "#!/bin/sh\nsleep 0.5\n");
    std::thread::scope(|scope| {
        let start = scope.spawn(|| lab.host(1).vm_start(&vm).unwrap());
        while scheduled() == "OpaqueRef:NULL" && !start.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(scheduled(), lab.host(1).host_ref());
    });
    assert_eq!(scheduled(), "OpaqueRef:NULL");
}

#[test]
fn a_start_on_the_socket_goes_where_the_vm_likes_to_be_or_where_start_on_says() {
    let (lab, vm) = Lab::with_vm(3);
    let (session, reference) = (lab.log_in(1), lab.host(0).vm_ref(&vm).unwrap());
    lab.ask(1, "VM.set_affinity", &json!([session, reference, lab.host(2).host_ref()]));
    lab.ask(1, "VM.start", &json!([session, reference, false, false]));
    assert_eq!(lab.runs_on(&vm), Some(2));
    lab.ask(1, "VM.clean_shutdown", &json!([session, reference]));
    lab.ask(2, "VM.start_on", &json!([session, reference, lab.host(1).host_ref(), false, false]));
    assert_eq!(lab.runs_on(&vm), Some(1));
}

#[test]
fn xe_starts_a_vm_on_a_host_and_migrates_it_from_any_root() {
    let (lab, vm) = Lab::with_vm(3);
    let xe = |root: usize, arguments: &[&str]| {
        let arguments: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        let output = simulated_host::xe(&lab.root(root), &arguments);
        assert_eq!(output.code, 0, "{}", String::from_utf8_lossy(&output.stderr));
    };
    xe(0, &["vm-start", &format!("uuid={vm}"), "on=xcp-ng-2"]);
    assert_eq!(lab.runs_on(&vm), Some(1));
    xe(2, &["vm-migrate", &format!("uuid={vm}"), &format!("host={}", lab.host(2).host_uuid())]);
    assert_eq!(lab.runs_on(&vm), Some(2));
}

#[test]
fn a_migrated_vm_keeps_its_qemus_arguments_until_the_new_hosts_hook_runs_before_its_next_boot() {
    let (lab, vm) = Lab::with_vm(3);
    lab.install_hook(0);
    lab.install_hook(1);
    lab.install(1, "etc/xapi.d/vm-post-migrate/10hook", "#!/bin/sh\nexit 0\n");
    set_args(lab.host(0), &vm, "-device first");
    lab.host(0).vm_start(&vm).unwrap();
    set_args(lab.host(0), &vm, "-device second");
    lab.migrate(&vm, 0, 1).unwrap();
    assert_eq!((lab.runs_on(&vm), resident_on(lab.host(2), &vm).as_str()), (Some(1), lab.host(1).host_ref()));
    assert_eq!(running_args(lab.host(1), &vm).unwrap(), "-device first");
    let ran = |index: usize| lab.host(index).hook_runs(&vm).into_iter().map(|run| run.hook_point).collect::<Vec<_>>();
    assert_eq!((ran(0), ran(1)), (vec!["vm-pre-start".to_owned()], vec!["vm-post-migrate".to_owned()]));
    assert_eq!(lab.host(0).guest_reboot(&vm).unwrap_err().code, "VM_BAD_POWER_STATE");
    let boot = lab.host(1).guest_reboot(&vm).unwrap();
    assert_eq!((boot.device_model_args.as_deref(), boot.hook_runs.len()), (Some("-device second"), 1));
    assert_eq!((ran(0).len(), ran(1).len()), (1, 2));
}

#[test]
fn a_migration_is_refused_where_the_vm_does_not_run_and_where_the_target_cannot_be_reached() {
    let (lab, vm) = Lab::with_vm(3);
    lab.host(0).vm_start(&vm).unwrap();
    assert_eq!(lab.migrate(&vm, 1, 2).unwrap_err().code, "VM_NOT_RESIDENT_HERE");
    lab.partition(1, Outage::Hangs);
    let refused = lab.migrate(&vm, 0, 1).unwrap_err();
    assert_eq!(
        (refused.code.as_str(), refused.params),
        ("CANNOT_CONTACT_HOST", vec![lab.host(1).host_ref().to_owned()])
    );
    assert_eq!(lab.runs_on(&vm), Some(0));
    let (session, reference) = (lab.log_in(2), lab.host(0).vm_ref(&vm).unwrap());
    let moved = lab.ask(2, "VM.pool_migrate", &json!([session, reference, lab.host(2).host_ref(), {}]));
    assert_eq!((&moved["result"], lab.runs_on(&vm)), (&json!(""), Some(2)));
}

/// `VM_migrate` and `VM_receive_memory` in `ocaml/xenopsd/lib/xenops_server.ml`.
#[test]
fn the_hooks_of_a_migration_run_at_its_source_at_its_target_and_again_at_its_source() {
    let (lab, vm) = Lab::with_vm(2);
    let log = lab.root(0).join("migration.log");
    for host in 0..2 {
        for point in ["vm-pre-migrate", "vm-post-migrate", "vm-pre-shutdown", "vm-post-destroy"] {
            let script = format!("#!/bin/sh\necho \"host {host} {point} ${{*#*-reason }}\" >> {}\n", log.display());
            std::fs::create_dir_all(lab.root(host).join("etc/xapi.d").join(point)).unwrap();
            lab.install(host, &format!("etc/xapi.d/{point}/10log"), &script);
        }
    }
    lab.host(0).vm_start(&vm).unwrap();
    lab.migrate(&vm, 0, 1).unwrap();
    let runs = "host 0 vm-pre-migrate source -vmdomid 1\nhost 1 vm-post-migrate destination -vmdomid 1\n\
                host 0 vm-pre-shutdown suspend -vmdomid 1\nhost 0 vm-post-destroy suspend\n";
    assert_eq!(std::fs::read_to_string(&log).unwrap(), runs);
}

#[test]
fn a_migration_that_a_hook_fails_after_the_move_leaves_a_vm_that_can_reboot_where_it_is() {
    let (lab, vm) = Lab::with_vm(2);
    set_args(lab.host(0), &vm, "-device first");
    lab.host(0).vm_start(&vm).unwrap();
    lab.install(1, "etc/xapi.d/vm-post-migrate/10veto", "#!/bin/sh\nexit 2\n");
    assert_eq!(lab.migrate(&vm, 0, 1).unwrap_err().code, "XAPI_HOOK_FAILED");
    assert_eq!((lab.runs_on(&vm), resident_on(lab.host(0), &vm).as_str()), (Some(1), lab.host(1).host_ref()));
    let boot = lab.host(1).guest_reboot(&vm).unwrap();
    assert_eq!(boot.device_model_args.as_deref(), Some("-device first"));
}

#[test]
fn a_vm_uuid_inside_platform_values_changes_on_the_way_to_another_host() {
    let (lab, vm) = Lab::with_vm(2);
    set_args(lab.host(0), &vm, &format!("-device x,vm={vm}"));
    lab.host(0).vm_start(&vm).unwrap();
    lab.migrate(&vm, 0, 1).unwrap();
    assert_eq!(running_args(lab.host(1), &vm).unwrap(), format!("-device x,vm={}000000000001", &vm[..24]));
}

#[test]
fn a_suspended_vm_comes_back_on_another_host_as_it_was() {
    let (lab, vm) = Lab::with_vm(2);
    set_args(lab.host(0), &vm, "-device first");
    lab.host(0).vm_start(&vm).unwrap();
    lab.host(1).suspend(&vm).unwrap();
    set_args(lab.host(0), &vm, "-device second");
    lab.host(1).resume(&vm).unwrap();
    assert_eq!(running_args(lab.host(1), &vm).unwrap(), "-device first");
}

#[test]
fn a_change_of_a_running_vm_is_pushed_to_the_host_where_it_runs() {
    let (lab, vm) = Lab::with_vm(3);
    lab.host(1).vm_start(&vm).unwrap();
    set_args(lab.host(2), &vm, "-device new");
    lab.host(1).pass_on_events();
    assert!(lab.host(1).xenopsd_metadata(&vm).to_string().contains("-device new"));
    assert!(lab.host(2).xenopsd_metadata(&vm).is_null());
}

#[test]
fn copies_snapshots_and_their_end_are_the_whole_pools() {
    let (lab, vm) = Lab::with_vm(2);
    set_args(lab.host(0), &vm, "-device first");
    let snapshot = lab.host(1).snapshot(&vm, "before").unwrap();
    let clone = lab.host(0).clone_vm(&vm, "copy").unwrap();
    set_args(lab.host(0), &vm, "-device second");
    lab.host(1).vm_start(&vm).unwrap();
    assert_eq!(lab.host(1).platform(&clone)["device-model-args"], "-device first");
    lab.host(0).revert(&snapshot).unwrap();
    assert_eq!((lab.runs_on(&vm), lab.host(1).platform(&vm)["device-model-args"].as_str()), (None, "-device first"));
    lab.host(1).destroy(&clone).unwrap();
    assert_eq!(lab.host(0).vm_ref(&clone).unwrap_err().code, "UUID_INVALID");
}
