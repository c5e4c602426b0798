//! The stock qemu-wrapper: the command line that QEMU gets from xenopsd's arguments.

use std::fs;
use std::process::Command;

use simulated_host::Release;
use vgpu_tests::programs;

use crate::support::Lab;

/// A stand-in for QEMU that records its arguments. A script cannot see the name that it was started with.
const QEMU: &str = "#!/bin/sh\nprintf '%s\\0' \"$@\" >\"${0%/usr/*}/noted\"\n";

#[test]
fn the_stock_wrapper_of_both_releases_passes_the_arguments_that_the_real_one_passes() {
    for (release, recorded, cases) in [
        (Release::V8_2, include_str!("../vectors/wrapper/8.2.json"), 11),
        (Release::V8_3, include_str!("../vectors/wrapper/8.3.json"), 11),
    ] {
        let lab = Lab::start();
        lab.host.install_stock(&programs::folder().join("dom0-program"), release).unwrap();
        let qemu = lab.root.path().join("usr/lib64/xen/bin/qemu-system-i386");
        fs::remove_file(&qemu).unwrap();
        // Another process writes it, because this one may be starting programs at the same time, which would keep it open.
        let write = Command::new("sh")
            .args(["-c", "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", QEMU])
            .arg(&qemu)
            .status();
        assert!(write.unwrap().success());
        let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
        let recorded = recorded.as_array().unwrap();
        assert_eq!(recorded.len(), cases);
        for case in recorded {
            let words = |name: &str| -> Vec<String> { serde_json::from_value(case[name].clone()).unwrap() };
            let wrapper = lab.root.path().join("usr/lib64/xen/bin/qemu-wrapper");
            let output = Command::new(wrapper).args(words("arguments")).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let noted = fs::read_to_string(lab.root.path().join("noted")).unwrap();
            let found: Vec<_> = noted.split_terminator('\0').collect();
            let expected = words("qemu");
            assert_eq!(expected[0], "qemu-dm-5");
            assert_eq!(found, expected[1..], "{release:?} {}", case["case"]);
        }
    }
}
