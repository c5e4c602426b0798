//! Enabling and disabling it, and what `status` and `check` say.

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

/// What `check` says about the qemu-wrapper.
fn checked(root: &ScratchRoot) -> String {
    let said = root.admin(&["check"]).stdout;
    let line = said.lines().find(|line| line.contains("  qemu-wrapper  ")).unwrap();
    line.replace("  qemu-wrapper    ", ": ").replace(&root.folder().display().to_string(), "")
}

fn is(root: &ScratchRoot, expected: &str, needs_restart: bool) {
    assert_eq!(state(root), (expected.to_owned(), needs_restart));
}

#[test]
fn each_state_from_enable_to_disable_is_reported() {
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
        assert!(said.contains("Enabled, but not in effect yet") && said.contains("xe-toolstack-restart"), "{said}");
        is(root, "not_in_effect_yet", true);
        assert!(checked(root).contains("WRONG") && checked(root).contains("xenopsd was started before that"));
        assert_eq!(dom0.wrapper().unwrap(), root.path(STOCK), "{release:?}: xenopsd reads its settings when it starts");

        dom0.restart_toolstack().unwrap();
        is(root, "in_effect", false);
        assert_eq!(dom0.wrapper().unwrap(), root.path(WRAPPER), "{release:?}");
        assert_eq!(
            checked(root).trim_end(),
            "ok: /usr/libexec/vgpu/qemu-wrapper passes the vGPU from platform/device-model-args to QEMU, and starts \
             /usr/lib64/xen/bin/qemu-wrapper"
        );

        let said = root.admin_ok(&["qemu-wrapper", "disable"]);
        assert!(said.contains("Disabled, but not in effect yet"), "{said}");
        is(root, "off", true);
        assert_eq!(dom0.wrapper().unwrap(), root.path(WRAPPER), "until it is restarted");
        dom0.restart_toolstack().unwrap();
        is(root, "off", false);
        assert_eq!(dom0.wrapper().unwrap(), root.path(STOCK));
        assert!(FRAGMENTS.iter().all(|fragment| !root.path(fragment).exists()));
    }
}

#[test]
fn a_dry_run_says_whether_something_would_be_changed_and_refuses_what_would_be_refused() {
    let dom0 = Dom0::stock(Release::V8_3);
    let root = &dom0.root;
    let said = root.admin_ok(&["qemu-wrapper", "enable", "--dry-run", "--restart-toolstack"]);
    assert!(said.starts_with("This would be changed. Disabled: xenopsd starts "), "{said}");
    is(root, "off", false);
    assert!(!root.path("etc/vgpu/qemu-device.json").exists(), "QEMU was not asked");
    root.admin_ok(&["qemu-wrapper", "enable"]);
    let reply = root.admin_json(&["qemu-wrapper", "enable", "--dry-run"]);
    assert_eq!((&reply["changed"], &reply["dry_run"]), (&false.into(), &true.into()));
    let reply = root.admin_json(&["qemu-wrapper", "disable", "--dry-run"]);
    assert_eq!((&reply["changed"], &reply["dry_run"]), (&true.into(), &true.into()));
    is(root, "not_in_effect_yet", true);
    root.admin_ok(&["qemu-wrapper", "disable"]);
    std::fs::remove_file(root.path("usr/libexec/vgpu/qemu-wrapper")).unwrap();
    let ran = root.admin(&["qemu-wrapper", "enable", "--dry-run"]);
    assert!(ran.code == Some(1) && ran.stderr.contains("install vgpu-config again"), "{ran:?}");
}

#[test]
fn the_toolstack_is_restarted_if_requested_and_needed() {
    let dom0 = Dom0::stock(Release::V8_3);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "A", "high");
    dom0.start(&vm);
    let qemu = dom0.qemu(&vm).unwrap();
    let said = dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    assert!(said.starts_with("Changed. Enabled and in effect"), "{said}");
    assert_eq!(dom0.qemu(&vm).unwrap(), qemu, "running VMs are not affected");
    fs::remove_file(dom0.root.path("opt/xensource/bin/xe-toolstack-restart")).unwrap();
    let said = dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    assert!(said.starts_with("Enabled and in effect"), "no restart is needed: {said}");
    let said = dom0.root.admin_fails(&["qemu-wrapper", "disable", "--restart-toolstack"]);
    assert!(said.contains("the settings are changed, but xenopsd was not restarted"), "{said}");
    is(&dom0.root, "off", true);
}

#[test]
fn enabled_and_disabled_before_a_restart_it_needs_none() {
    let dom0 = Dom0::stock(Release::V8_3);
    dom0.root.admin_ok(&["qemu-wrapper", "enable"]);
    dom0.root.admin_ok(&["qemu-wrapper", "disable"]);
    is(&dom0.root, "off", false);
    dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    dom0.root.admin_ok(&["qemu-wrapper", "disable"]);
    is(&dom0.root, "off", true);
    dom0.root.admin_ok(&["qemu-wrapper", "enable"]);
    is(&dom0.root, "in_effect", false);
    // A reboot of the host removes the note.
    fs::remove_file(dom0.root.path("var/run/vgpu/qemu-wrapper")).unwrap();
    dom0.restart_toolstack().unwrap();
    is(&dom0.root, "in_effect", false);
}

#[test]
fn another_wrapper_is_replaced_only_with_force_and_disable_goes_back_to_it() {
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
    assert!(said.contains("Note: it replaces /opt/vendor/wrapper, which "), "{said}");
    is(root, "in_effect", false);
    assert!(root.admin_ok(&["qemu-wrapper", "status"]).contains("it replaces /opt/vendor/wrapper"));
    root.admin_ok(&["qemu-wrapper", "enable"]);
    root.admin_ok(&["qemu-wrapper", "disable", "--restart-toolstack"]);
    is(root, "foreign", false);
    assert_eq!(dom0.wrapper().unwrap(), root.path("opt/vendor/wrapper"));

    root.write("etc/xenopsd.conf.d/zzzz.conf", "upstream-compat-qemu-dm-wrapper=/opt/vendor/wrapper\n");
    let said = root.admin_fails(&["qemu-wrapper", "enable", "--force"]);
    assert!(said.contains("zzzz.conf makes xenopsd start /opt/vendor/wrapper, and overrides vgpu-config's"), "{said}");
}

#[test]
fn a_changed_stock_wrapper_would_pass_the_device_twice_and_is_refused() {
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
        checked(&dom0.root).contains("so vgpu-config's qemu-wrapper passes nothing: restore the stock one"),
        "{}",
        checked(&dom0.root)
    );
    assert!(
        dom0.root
            .admin_ok(&["qemu-wrapper", "status"])
            .contains("passes device-model-args to QEMU itself, so vgpu-config's")
    );
}

#[test]
fn a_program_that_cannot_be_run_is_not_enabled() {
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
fn a_changed_or_broken_program_is_found() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    dom0.root.replace_program(WRAPPER, "#!/bin/sh\nexec /usr/lib64/xen/bin/qemu-wrapper \"$@\"\n");
    assert!(checked(&dom0.root).contains("qemu-wrapper is not what vgpu-config"), "{}", checked(&dom0.root));
    dom0.root.write("usr/libexec/vgpu/package/sha256sums", "");
    dom0.root.replace_program(WRAPPER, "#!/bin/sh\nexit 1\n");
    assert!(checked(&dom0.root).contains("--version prints '' instead of 'qemu-wrapper "), "{}", checked(&dom0.root));
}

#[test]
fn check_finds_that_the_enabled_program_is_missing() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    fs::remove_file(dom0.root.path(WRAPPER)).unwrap();
    assert!(
        checked(&dom0.root).contains("no VM that uses QEMU starts: run /usr/libexec/vgpu/put-hook"),
        "{}",
        checked(&dom0.root)
    );
    let vm = dom0.create_vm("web01");
    let error = dom0.vm_start(&vm).unwrap_err();
    assert_eq!(error.code, "FAILED_TO_START_EMULATOR");
    assert_eq!(dom0.power_state(&vm), "Halted");
}

#[test]
fn a_file_that_enable_did_not_write_counts_and_is_not_removed() {
    let dom0 = Dom0::stock(Release::V8_3);
    // The comparison is exact to a second.
    thread::sleep(Duration::from_millis(2100));
    dom0.root.write(OTHERS, format!("upstream-compat-qemu-dm-wrapper={OURS}\n"));
    is(&dom0.root, "not_in_effect_yet", true);
    thread::sleep(Duration::from_millis(2100));
    dom0.restart_toolstack().unwrap();
    is(&dom0.root, "in_effect", false);
    let said = dom0.root.admin_fails(&["qemu-wrapper", "disable"]);
    assert!(
        said.contains("vendor.conf makes xenopsd start vgpu-config's qemu-wrapper, but 'enable' did not write it"),
        "{said}"
    );
}

#[test]
fn without_xenopsd_status_says_so_and_another_host_is_refused() {
    let root = ScratchRoot::new();
    is(&root, "off", false);
    assert!(root.admin_ok(&["qemu-wrapper", "status"]).contains("xenopsd is not running"));
    let said = root.admin_fails(&["--host=xcp-ng-2", "qemu-wrapper", "status"]);
    assert!(said.contains("which has to run on the host itself"), "{said}");
}

#[test]
fn xenopsds_folders_only_get_one_complete_file_of_ours() {
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

#[test]
fn what_cannot_be_done_whole_is_not_done_at_all() {
    // The folder of the other release is a file, so the second of the two files cannot be written.
    let dom0 = Dom0::stock(Release::V8_3);
    dom0.root.write("etc/xenopsd-xc.conf.d", "no folder");
    let said = dom0.root.admin_fails(&["qemu-wrapper", "enable"]);
    assert!(said.contains("xenopsd-xc.conf.d"), "{said}");
    assert!(!dom0.root.path(FRAGMENTS[0]).exists());
    is(&dom0.root, "off", false);
    // And without a note of what runs now, nothing is changed.
    fs::remove_file(dom0.root.path("etc/xenopsd-xc.conf.d")).unwrap();
    let _ = fs::remove_file(dom0.root.path("var/run/vgpu/qemu-wrapper"));
    fs::create_dir_all(dom0.root.path("var/run/vgpu/qemu-wrapper/in the way")).unwrap();
    assert!(dom0.root.admin_fails(&["qemu-wrapper", "enable"]).contains("var/run/vgpu/qemu-wrapper"));
    assert!(FRAGMENTS.iter().all(|fragment| !dom0.root.path(fragment).exists()));
}

#[test]
fn nothing_is_left_of_it_after_it_was_disabled() {
    let dom0 = Dom0::stock(Release::V8_3);
    dom0.root.admin_ok(&["qemu-wrapper", "enable"]);
    assert!(dom0.root.path("etc/xenopsd-xc.conf.d").exists());
    dom0.root.admin_ok(&["qemu-wrapper", "disable"]);
    assert!(!dom0.root.path("etc/xenopsd-xc.conf.d").exists(), "8.3 has no such folder");
    assert!(dom0.root.path("etc/xenopsd.conf.d").exists(), "it is xenopsd's");
}
