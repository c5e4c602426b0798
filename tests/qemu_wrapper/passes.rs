//! What QEMU gets on a stock host, from its command line.

use simulated_host::Release;
use vgpu_tests::Dom0;

const OURS: &str = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7";
/// The same as QEMU gets it: the simulated QEMU says that the device is a PCI device, so it gets a slot that is free.
const GIVEN: &str = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7,addr=1e";

/// What QEMU gets if a vm-admin has written this value.
fn given(dom0: &Dom0, vm: &str, value: Option<&str>) -> Option<String> {
    dom0.set_args_in_xapi(vm, value);
    let given = dom0.start(vm);
    dom0.shutdown(vm).unwrap();
    given
}

#[test]
fn a_stock_host_passes_no_vgpu_to_qemu_until_ours_is_enabled() {
    for release in [Release::V8_2, Release::V8_3] {
        let dom0 = Dom0::stock(release);
        let vm = dom0.create_vm("web01");
        dom0.register(&vm, "A", "high");
        assert_eq!(dom0.start(&vm), None, "{release:?}");
        let before = dom0.qemu(&vm).unwrap().command_line;
        dom0.shutdown(&vm).unwrap();

        dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
        assert_eq!(dom0.start(&vm), dom0.argument_for_qemu(&vm), "{release:?}");
        let after = dom0.qemu(&vm).unwrap().command_line;
        let at = after.iter().position(|word| word.starts_with("vgpu-stub,")).unwrap();
        let rest = [&after[..at - 1], &after[at + 1..]].concat();
        // The second start has another domain number.
        let without_numbers =
            |words: &[String]| words.join(" ").replace(|character: char| character.is_ascii_digit(), "");
        assert_eq!(without_numbers(&rest), without_numbers(&before), "{release:?}");
    }
}

#[test]
fn qemu_is_a_process_named_after_its_domain_and_ends_with_it() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    dom0.register(&vm, "B", "low");
    dom0.start(&vm);
    let domid = dom0.vm_record(&vm).unwrap()["domid"].as_i64().unwrap();
    let qemu = dom0.qemu(&vm).unwrap();
    assert_eq!(qemu.command_line[0], format!("qemu-dm-{domid}"));
    let at = qemu.command_line.iter().position(|word| word == "-xen-domid").unwrap();
    assert_eq!(qemu.command_line[at + 1], domid.to_string());
    let in_proc = dom0.root.path(&format!("proc/{}/cmdline", qemu.pid));
    assert!(std::fs::read(&in_proc).unwrap().starts_with(format!("qemu-dm-{domid}\0").as_bytes()));
    let after = dom0.reboot_from_inside(&vm);
    assert_eq!(after, dom0.argument_for_qemu(&vm));
    assert!(!in_proc.exists(), "a reboot starts another QEMU");
    let pid = dom0.qemu(&vm).unwrap().pid;
    dom0.guest_power_off(&vm).unwrap();
    assert_eq!(dom0.qemu(&vm), None);
    let left = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(left.is_empty(), "it has ended, even if nobody has waited for it yet: {left:?}");
}

#[test]
fn only_our_device_is_passed_and_the_log_says_what_is_not() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    for (value, qemu_gets, log_says) in [
        (None, None, "QEMU gets no vGPU"),
        (Some("''"), None, "not passed: '''': only -device vgpu-stub is passed"),
        (Some(OURS), Some(GIVEN), "QEMU gets -device vgpu-stub,pool_id=A,priority=high,vm_id=7"),
        (Some("--device 'vgpu-stub,pool_id=A,priority=high,vm_id=7'"), Some(GIVEN), "QEMU gets -device vgpu-stub"),
        (Some("-chroot / -monitor tcp:0:4444,server"), None, "not passed: '-chroot / -monitor tcp:0:4444,server'"),
        (
            Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=7 -device vgpu-stub,pool_id=B,priority=low,vm_id=8"),
            Some(GIVEN),
            "only the first one is passed",
        ),
        (Some("-device vgpu-stub,pool_id=C,priority=high,vm_id=7"), None, "its pool_id 'C' is not valid"),
        (Some("-device\tvgpu-stub,pool_id=A,priority=high,vm_id=7\n-vga\nstd"), Some(GIVEN), "not passed: '-vga std'"),
        (
            Some("-device vgpu-stub,pool_id=A,priority=high,vm_id=7 -append ä\\"),
            Some(GIVEN),
            "not passed: '-append ä\\'",
        ),
    ] {
        assert_eq!(given(&dom0, &vm, value).as_deref(), qemu_gets, "{value:?}");
        let log = dom0.wrapper_log();
        assert!(log.last().unwrap().contains(log_says), "{value:?}: {log:#?}");
    }
}

#[test]
fn the_longest_value_that_xenstore_takes_is_handled() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    let given_for = |value: &str| given(&dom0, &vm, Some(value));
    assert_eq!(given_for(&format!("-x{} {OURS}", "y".repeat(2048 - OURS.len() - 3))).as_deref(), Some(GIVEN));
    // xenstore-read prints each backslash twice.
    let value = format!("{} {OURS}", "\\\\".repeat((2048 - OURS.len() - 1) / 2));
    assert!(value.len() > 2046);
    assert_eq!(given_for(&value).as_deref(), Some(GIVEN));
}

#[test]
fn the_settings_say_which_device_and_which_properties_are_passed() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    let value = format!("-vga 'a b' {OURS},x-mem=64,bus=pci.0");
    assert_eq!(given(&dom0, &vm, Some(&value)).unwrap(), format!("{OURS},bus=pci.0,addr=1e"));
    dom0.root.settings("[qemu_wrapper]\nproperties = [\"x-mem\"]\n");
    assert_eq!(given(&dom0, &vm, Some(&value)).unwrap(), format!("{OURS},x-mem=64,bus=pci.0,addr=1e"));
    dom0.root.settings("[qemu_wrapper]\npass = \"everything\"\n");
    assert_eq!(given(&dom0, &vm, Some(&value)).unwrap(), format!("-vga a b {OURS},x-mem=64,bus=pci.0,addr=1e"));
    dom0.root.settings("device = \"other\"\n");
    assert_eq!(given(&dom0, &vm, Some(&value)), None);
    dom0.root.settings("no settings");
    assert_eq!(given(&dom0, &vm, Some(&value)).unwrap(), format!("{OURS},bus=pci.0,addr=1e"), "the defaults apply");
    assert!(dom0.wrapper_log().iter().any(|line| line.contains("vgpu.toml is not valid")));
}

#[test]
fn a_pci_device_gets_a_slot_that_no_other_device_has() {
    let dom0 = Dom0::with_our_wrapper(Release::V8_3);
    let vm = dom0.create_vm("web01");
    // Without one it would get the display's, and QEMU would not start.
    let words = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7,addr=2";
    dom0.set_args_in_xapi(&vm, Some(words));
    assert_eq!(dom0.vm_start(&vm).unwrap_err().code, "FAILED_TO_START_EMULATOR");
    let words = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7,addr=9";
    assert_eq!(given(&dom0, &vm, Some(words)).as_deref(), Some(words), "what the administrator has chosen stays");
    assert_eq!(given(&dom0, &vm, Some(OURS)).as_deref(), Some(GIVEN));
}
