//! Switching it on and off, and what `status` and `check` say of it.

use std::fs;
use std::thread;
use std::time::Duration;

use simulated_host::Release;
use vgpu_tests::{Dom0, ScratchRoot};

use crate::stand_in::{STOCK, StandIn, WRAPPER};

const OURS: &str = "/usr/libexec/vgpu/qemu-wrapper";
const FRAGMENTS: [&str; 2] =
    ["etc/xenopsd.conf.d/zzz-vgpu-qemu-wrapper.conf", "etc/xenopsd-xc.conf.d/zzz-vgpu-qemu-wrapper.conf"];
const OTHERS: &str = "etc/xenopsd.conf.d/vendor.conf";

fn state(root: &ScratchRoot) -> (String, bool) {
    let reply = root.admin_json(&["qemu-wrapper", "status"]);
    (reply["state"].as_str().unwrap().to_owned(), reply["needs_restart"] == true)
}

/// What `check` says of the wrapper.
fn checked(root: &ScratchRoot) -> String {
    let said = root.admin(&["check"]).stdout;
    let line = said.lines().find(|line| line.contains("  qemu-wrapper  ")).unwrap();
    line.replace("  qemu-wrapper    ", ": ").replace(&root.folder().display().to_string(), "")
}

fn is(root: &ScratchRoot, expected: &str, needs_restart: bool) {
    assert_eq!(state(root), (expected.to_owned(), needs_restart));
}

#[test]
fn the_states_are_told_apart_from_off_to_on_to_off_again() {
    for release in [Release::V8_2, Release::V8_3] {
        let dom0 = Dom0::stock(release);
        let root = &dom0.root;
        is(root, "off", false);
        assert!(
            checked(root)
                .starts_with("WRONG: /usr/lib64/xen/bin/qemu-wrapper does not read platform/device-model-args")
        );
        assert!(checked(root).contains("run 'vgpu-admin qemu-wrapper enable'"), "{}", checked(root));

        let said = root.admin_ok(&["qemu-wrapper", "enable"]);
        assert!(said.contains("On, and not yet in force") && said.contains("xe-toolstack-restart"), "{said}");
        is(root, "not_yet_in_force", true);
        assert!(checked(root).contains("WRONG") && checked(root).contains("xenopsd was started before that"));
        assert_eq!(dom0.wrapper().unwrap(), root.path(STOCK), "{release:?}: xenopsd reads its settings when it starts");

        dom0.restart_toolstack().unwrap();
        is(root, "in_force", false);
        assert_eq!(dom0.wrapper().unwrap(), root.path(WRAPPER), "{release:?}");
        assert_eq!(
            checked(root).trim_end(),
            "ok: /usr/libexec/vgpu/qemu-wrapper hands QEMU platform/device-model-args, and the rest to /usr/lib64/xen/bin/qemu-wrapper"
        );

        let said = root.admin_ok(&["qemu-wrapper", "disable"]);
        assert!(said.contains("Off, and not yet in force"), "{said}");
        is(root, "off", true);
        assert_eq!(dom0.wrapper().unwrap(), root.path(WRAPPER), "and it is there");
        dom0.restart_toolstack().unwrap();
        is(root, "off", false);
        assert_eq!(dom0.wrapper().unwrap(), root.path(STOCK));
        assert!(FRAGMENTS.iter().all(|fragment| !root.path(fragment).exists()));
    }
}

#[test]
fn the_toolstack_is_restarted_where_that_is_asked_for_and_needed() {
    let dom0 = Dom0::stock(Release::V8_3);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "A", "high");
    dom0.start(&vm);
    let qemu = dom0.qemu(&vm).unwrap();
    let said = dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    assert!(said.starts_with("Changed. On and in force"), "{said}");
    assert_eq!(dom0.qemu(&vm).unwrap(), qemu, "running VMs go on");
    fs::remove_file(dom0.root.path("opt/xensource/bin/xe-toolstack-restart")).unwrap();
    let said = dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    assert!(said.starts_with("On and in force"), "nothing has to be restarted: {said}");
    let said = dom0.root.admin_fails(&["qemu-wrapper", "disable", "--restart-toolstack"]);
    assert!(said.contains("the settings are changed, but xenopsd was not restarted"), "{said}");
    is(&dom0.root, "off", true);
}

#[test]
fn switched_on_and_off_again_before_a_restart_nothing_has_to_be_restarted() {
    let dom0 = Dom0::stock(Release::V8_3);
    dom0.root.admin_ok(&["qemu-wrapper", "enable"]);
    dom0.root.admin_ok(&["qemu-wrapper", "disable"]);
    is(&dom0.root, "off", false);
    dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    dom0.root.admin_ok(&["qemu-wrapper", "disable"]);
    is(&dom0.root, "off", true);
    dom0.root.admin_ok(&["qemu-wrapper", "enable"]);
    is(&dom0.root, "in_force", false);
    // The note is in memory: after a reboot of the host the file is as old as it looks.
    fs::remove_file(dom0.root.path("var/run/vgpu/qemu-wrapper")).unwrap();
    dom0.restart_toolstack().unwrap();
    is(&dom0.root, "in_force", false);
}

#[test]
fn somebody_elses_wrapper_is_refused_replaced_by_force_and_gone_back_to() {
    let dom0 = Dom0::stock(Release::V8_3);
    let root = &dom0.root;
    root.write("opt/vendor/wrapper", "#!/bin/sh\n");
    root.chmod("opt/vendor/wrapper", 0o755);
    root.write(OTHERS, "upstream-compat-qemu-dm-wrapper=/opt/vendor/wrapper\n");
    dom0.restart_toolstack().unwrap();
    is(root, "foreign", false);
    assert!(checked(root).contains("WRONG: /opt/vendor/wrapper does not read"), "{}", checked(root));
    let said = root.admin_fails(&["qemu-wrapper", "enable"]);
    assert!(said.contains("vendor.conf makes xenopsd start /opt/vendor/wrapper") && said.contains("--force"), "{said}");
    is(root, "foreign", false);

    let said = root.admin_ok(&["qemu-wrapper", "enable", "--force", "--restart-toolstack"]);
    assert!(said.contains("Note: ours is started in place of /opt/vendor/wrapper, of "), "{said}");
    is(root, "in_force", false);
    assert!(root.admin_ok(&["qemu-wrapper", "status"]).contains("in place of /opt/vendor/wrapper"));
    root.admin_ok(&["qemu-wrapper", "enable"]);
    root.admin_ok(&["qemu-wrapper", "disable", "--restart-toolstack"]);
    is(root, "foreign", false);
    assert_eq!(dom0.wrapper().unwrap(), root.path("opt/vendor/wrapper"));

    root.write("etc/xenopsd.conf.d/zzzz.conf", "upstream-compat-qemu-dm-wrapper=/opt/vendor/wrapper\n");
    let said = root.admin_fails(&["qemu-wrapper", "enable", "--force"]);
    assert!(said.contains("zzzz.conf makes xenopsd start /opt/vendor/wrapper, and is read after our file"), "{said}");
}

#[test]
fn a_stock_wrapper_that_was_changed_would_give_qemu_the_device_twice_and_is_refused() {
    let dom0 = Dom0::stock(Release::V8_3);
    let patched = "#!/bin/sh\nkey=platform/device-model-args\n";
    dom0.root.replace_program(STOCK, patched);
    for arguments in [&["qemu-wrapper", "enable"][..], &["qemu-wrapper", "enable", "--force"]] {
        let said = dom0.root.admin_fails(arguments);
        assert!(said.contains("QEMU would get the device twice") && said.contains("yum reinstall"), "{said}");
    }
    is(&dom0.root, "off", false);
    assert!(checked(&dom0.root).starts_with("ok: /usr/lib64/xen/bin/qemu-wrapper reads platform/device-model-args"));

    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    dom0.root.replace_program(STOCK, patched);
    assert!(
        checked(&dom0.root).contains("so ours hands nothing over: put XCP-ng's own back"),
        "{}",
        checked(&dom0.root)
    );
    assert!(
        dom0.root.admin_ok(&["qemu-wrapper", "status"]).contains("hands device-model-args to QEMU itself, so ours")
    );
}

#[test]
fn what_cannot_be_run_is_not_switched_on() {
    let stand_in = StandIn::new();
    let root = &stand_in.root;
    root.unlink(WRAPPER);
    root.chmod(WRAPPER, 0o644);
    assert!(
        root.admin_fails(&["qemu-wrapper", "enable"]).contains("is not executable: run /usr/libexec/vgpu/put-hook")
    );
    fs::remove_file(root.path(WRAPPER)).unwrap();
    assert!(root.admin_fails(&["qemu-wrapper", "enable"]).contains("No such file or directory (os error 2): run"));

    let stand_in = StandIn::new();
    fs::remove_file(stand_in.root.path(STOCK)).unwrap();
    assert!(stand_in.root.admin_fails(&["qemu-wrapper", "enable"]).contains("install XCP-ng's xenopsd again"));
    assert!(!stand_in.root.path(FRAGMENTS[0]).exists());
}

#[test]
fn a_program_that_is_not_what_was_installed_or_does_not_run_is_found() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    dom0.root.replace_program(WRAPPER, "#!/bin/sh\nexec /usr/lib64/xen/bin/qemu-wrapper \"$@\"\n");
    assert!(checked(&dom0.root).contains("qemu-wrapper is not what vgpu-config"), "{}", checked(&dom0.root));
    dom0.root.write("usr/libexec/vgpu/package/sha256sums", "");
    dom0.root.replace_program(WRAPPER, "#!/bin/sh\nexit 1\n");
    assert!(checked(&dom0.root).contains("--version says '' and not 'qemu-wrapper "), "{}", checked(&dom0.root));
}

#[test]
fn a_program_that_is_gone_while_it_is_switched_on_is_found_before_a_vm_does_not_start() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    fs::remove_file(dom0.root.path(WRAPPER)).unwrap();
    assert!(
        checked(&dom0.root).contains("no VM with QEMU starts: run /usr/libexec/vgpu/put-hook"),
        "{}",
        checked(&dom0.root)
    );
    let vm = dom0.create_vm("web01");
    let error = dom0.vm_start(&vm).unwrap_err();
    assert_eq!(error.code, "FAILED_TO_START_EMULATOR");
    assert_eq!(dom0.power_state(&vm), "Halted");
}

#[test]
fn a_file_that_somebody_else_put_there_counts_and_is_not_taken_away() {
    let dom0 = Dom0::stock(Release::V8_3);
    // The clock by which it is told has seconds.
    thread::sleep(Duration::from_millis(2100));
    dom0.root.write(OTHERS, format!("upstream-compat-qemu-dm-wrapper={OURS}\n"));
    is(&dom0.root, "not_yet_in_force", true);
    thread::sleep(Duration::from_millis(2100));
    dom0.restart_toolstack().unwrap();
    is(&dom0.root, "in_force", false);
    let said = dom0.root.admin_fails(&["qemu-wrapper", "disable"]);
    assert!(said.contains("vendor.conf makes xenopsd start ours, and was not written by 'enable'"), "{said}");
}

#[test]
fn a_host_that_is_no_host_and_another_host_are_told_what_they_are() {
    let root = ScratchRoot::new();
    is(&root, "off", false);
    assert!(root.admin_ok(&["qemu-wrapper", "status"]).contains("xenopsd is not running here"));
    let said = root.admin_fails(&["--host=xcp-ng-2", "qemu-wrapper", "status"]);
    assert!(said.contains("run 'vgpu-admin qemu-wrapper' on the host that is meant"), "{said}");
}

#[test]
fn xenopsds_folder_never_holds_anything_but_a_whole_file_of_ours() {
    let dom0 = Dom0::stock(Release::V8_3);
    dom0.root.admin_ok(&["qemu-wrapper", "enable"]);
    for fragment in FRAGMENTS {
        let path = dom0.root.path(fragment);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(&format!("\nupstream-compat-qemu-dm-wrapper={OURS}\n")), "{text}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
    let of_etc = fs::read_dir(dom0.root.path("etc")).unwrap();
    assert!(of_etc.flatten().all(|entry| !entry.file_name().to_string_lossy().contains("qemu-wrapper")));
}
