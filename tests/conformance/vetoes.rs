//! What a hook's veto leaves behind, wherever it comes, and what a hard operation does to one in progress. No recording
//! shows it: each test names the lines of the real sources that say so.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::lifecycle::stat;
use crate::support::{Lab, VM, VM_REF};

/// A VM that runs, and a hook of that point that vetoes.
fn vetoed(point: &str) -> Lab {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    veto(&lab, point);
    lab
}

fn veto(lab: &Lab, point: &str) {
    fs::create_dir_all(lab.path(&format!("etc/xapi.d/{point}"))).unwrap();
    lab.install(&format!("etc/xapi.d/{point}/10"), "#!/bin/sh\nexit 2\n");
}

/// XAPI's power state, and xenopsd's where it knows the VM.
fn states(lab: &Lab) -> (String, Option<String>) {
    let known = !lab.host.xenopsd_metadata(VM).is_null();
    (lab.host.power_state(VM), known.then(|| stat(lab).0))
}

fn both(state: &str) -> (String, Option<String>) {
    (state.to_owned(), Some(state.to_owned()))
}

fn only_xapi(state: &str) -> (String, Option<String>) {
    (state.to_owned(), None)
}

/// `VM_poweroff` and `VM_check_state` in `ocaml/xenopsd/lib/xenops_server.ml`; `shutdown` in
/// `ocaml/xapi/xapi_xenops.ml` waits for xenopsd's events after a failure too.
#[test]
fn a_vetoed_shutdown_leaves_a_vm_running_or_halted_by_whether_its_domain_is_gone() {
    for (point, left) in [("vm-pre-shutdown", both("Running")), ("vm-post-destroy", only_xapi("Halted"))] {
        let lab = vetoed(point);
        assert_eq!(lab.host.shutdown(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
        assert_eq!(states(&lab), left, "{point}");
    }
}

/// `VM_suspend` in `xenops_server.ml` saves the VM between its first two hooks. A domain that has suspended is ended by
/// `VM_check_state`, and `suspend` in `xapi_xenops.ml` then halts the VM.
#[test]
fn a_vetoed_suspension_leaves_a_vm_running_until_it_has_been_saved_and_halted_after() {
    for (point, left) in [
        ("vm-pre-suspend", both("Running")),
        ("vm-pre-shutdown", only_xapi("Halted")),
        ("vm-post-destroy", only_xapi("Halted")),
    ] {
        let lab = vetoed(point);
        assert_eq!(lab.host.suspend(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
        assert_eq!(states(&lab), left, "{point}");
    }
}

/// `VM_resume` clears the action that ends a domain before vm-post-resume; `VM_remove` refuses to forget a paused VM;
/// `verify_power_state` refuses to resume it again, or to start it, and `start` in `xapi_xenops.ml` finds it then.
#[test]
fn a_resume_that_is_vetoed_at_its_end_leaves_a_paused_domain_that_xapi_does_not_know_of() {
    let lab = vetoed("vm-post-resume");
    lab.host.suspend(VM).unwrap();
    assert_eq!(lab.host.resume(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
    assert_eq!(states(&lab), ("Suspended".to_owned(), Some("Paused".to_owned())));
    let refused = lab.host.resume(VM).unwrap_err();
    assert_eq!((refused.code.as_str(), &refused.params[1..]), ("VM_BAD_POWER_STATE", strings(["Suspended", "Paused"])));
    lab.json("VM.hard_shutdown", &[&format!("\"{VM_REF}\"")]);
    assert_eq!(states(&lab), ("Halted".to_owned(), Some("Paused".to_owned())));
    let refused = lab.host.vm_start(VM).unwrap_err();
    assert_eq!((refused.code.as_str(), &refused.params[1..]), ("VM_BAD_POWER_STATE", strings(["Paused", "Halted"])));
    assert_eq!(states(&lab), both("Paused"));
}

fn strings<const N: usize>(words: [&str; N]) -> &'static [String] {
    words.map(str::to_owned).to_vec().leak()
}

/// `VM_reboot` in `xenops_server.ml` lets the guest shut down before its first hook, and `VM_check_state` reboots a
/// domain that has shut down for that. A guest's own reboot is `VM_check_state` already, which has no cleanup.
#[test]
fn a_vetoed_clean_reboot_is_tried_again_by_force_as_long_as_the_old_domain_is_there() {
    let lab = vetoed("vm-pre-shutdown");
    assert_eq!(lab.host.clean_reboot(VM).unwrap_err().params[1], "clean-reboot");
    assert_eq!(states(&lab), both("Running"));
    assert_eq!(lab.host.guest_reboot(VM).unwrap_err().params[1], "hard-reboot");
    lab.json("VM.hard_reboot", &[&format!("\"{VM_REF}\"")]);
    let reasons: Vec<_> = lab.host.hook_runs(VM).into_iter().map(|run| run.args[3].clone()).collect();
    assert_eq!(reasons, ["clean-reboot", "hard-reboot", "hard-reboot", "hard-reboot"]);
    // A hook that minds only the clean one lets the other through.
    lab.install("etc/xapi.d/vm-pre-shutdown/10", "#!/bin/sh\n[ \"$4\" = hard-reboot ] || exit 2\n");
    assert_eq!(lab.host.clean_reboot(VM).unwrap_err().code, "XAPI_HOOK_FAILED");
    assert_eq!((states(&lab), lab.host.boots(VM).len()), (both("Running"), 2));
}

/// `is_allowed_concurrently` in `ocaml/xapi/xapi_vm_lifecycle.ml`, `cancel` in `message_forwarding.ml`, and
/// `check_cancelling` between xenopsd's steps: a hook that runs goes on, the step after it does not come.
#[test]
fn a_hard_shutdown_waits_for_the_hook_that_runs_and_cancels_the_reboot_that_it_belongs_to() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    let wait = "while [ ! -e \"${0%/etc/*}/may-end\" ]; do sleep 0.01; done\n";
    lab.hook_file("10-lab", &format!("#!/bin/sh\n: > \"${{0%/etc/*}}/runs\"\n{wait}"));
    let vm = format!("\"{VM_REF}\"");
    thread::scope(|scope| {
        let reboot = scope.spawn(|| lab.host.clean_reboot(VM));
        let until = Instant::now() + Duration::from_secs(20);
        while !lab.path("runs").exists() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let shutdown = scope.spawn(|| lab.json("VM.hard_shutdown", &[&vm]));
        while !lab.json("VM.get_current_operations", &[&vm]).contains("hard_shutdown") && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!shutdown.is_finished());
        fs::write(lab.path("may-end"), "").unwrap();
        assert_eq!(reboot.join().unwrap().unwrap_err().code, "TASK_CANCELLED");
        assert!(shutdown.join().unwrap().contains(r#""result":"""#));
    });
    assert_eq!((states(&lab), lab.host.boots(VM).len()), (only_xapi("Halted"), 1));
}
