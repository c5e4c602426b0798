#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const OURS: &str = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7";
const VALUE: &str = "vgpu-stub,pool_id=A,priority=high,vm_id=7";

fn device() -> DeviceName {
    DeviceName::try_from("vgpu-stub".to_owned()).unwrap()
}

fn by_default(args: &str) -> Passed {
    passed(&device(), &QemuWrapper::default(), args)
}

/// The device that is passed, and what is left out.
fn value(args: &str) -> (Option<String>, Vec<String>) {
    let Passed { words, left_out } = by_default(args);
    match words.as_slice() {
        [] => (None, left_out),
        [option, value] if option == "-device" => (Some(value.clone()), left_out),
        words => panic!("{args}: {words:?}"),
    }
}

#[test]
fn our_argument_is_passed_as_it_is_in_both_spellings_and_in_quotes() {
    for args in [
        OURS,
        "--device vgpu-stub,pool_id=A,priority=high,vm_id=7",
        "  -device   vgpu-stub,pool_id=A,priority=high,vm_id=7 ",
        "-device 'vgpu-stub,pool_id=A,priority=high,vm_id=7'",
        "-device \"vgpu-stub,pool_id=A,priority=high,vm_id=7\"",
        "-device\tvgpu-stub,vm_id=7,priority=2,pool_id=a",
        "-device driver=vgpu-stub,vm_id=7,priority=2,pool_id=a",
        r#"-device {"driver":"vgpu-stub","pool_id":"A","priority":"high","vm_id":7}"#,
        "-device vgpu-stub,pool_id=B,priority=high,vm_id=7,id=x -set device.x.pool_id=A",
    ] {
        let (value, left_out) = value(args);
        assert_eq!((value.unwrap().trim_end_matches(",id=x"), left_out), (VALUE, vec![]), "{args}");
    }
}

#[test]
fn an_empty_value_gives_nothing() {
    for args in ["", " ", "\t\n"] {
        assert_eq!(value(args), (None, vec![]), "{args:?}");
    }
    assert_eq!(value("''").0, None);
}

#[test]
fn everything_else_is_left_out_and_named() {
    for (args, says) in [
        (format!("-vga std {OURS}"), "'-vga std': only -device vgpu-stub is passed (see pass in vgpu.toml)"),
        (format!("{OURS} -device usb-tablet"), "'-device usb-tablet': only"),
        (format!("{OURS} -chroot / -monitor tcp:0:1,server"), "'-chroot / -monitor tcp:0:1,server': only"),
        (format!("{OURS} -device vgpu-stub,pool_id=B,priority=low,vm_id=8"), "only the first one is passed"),
        (format!("{OURS},romfile=/etc/shadow"), "'romfile': this property is not passed (see properties in vgpu.toml)"),
        (format!("{OURS},bus=pci.0,,x"), "'bus=pci.0,,x': expected a value of letters"),
        (format!("{OURS},multifunction"), "'multifunction=': expected a value of letters"),
        (format!("{OURS},id=x -set device.x.romfile=/etc/shadow"), "'romfile': this property is not passed"),
    ] {
        let (value, left_out) = value(&args);
        assert!(value.unwrap().starts_with(VALUE), "{args}");
        assert_eq!(left_out.len(), 1, "{args}: {left_out:?}");
        assert!(left_out[0].contains(says), "{args}: {left_out:?}");
    }
}

#[test]
fn a_device_that_is_not_valid_is_not_passed_at_all() {
    for (args, says) in [
        ("-device vgpu-stub", "it has no pool_id"),
        ("-device vgpu-stub,pool_id=C,priority=high,vm_id=7", "its pool_id 'C' is not valid: expected A or B"),
        ("-device vgpu-stub,pool_id=A,priority=urgent,vm_id=7", "its priority 'urgent' is not valid"),
        ("-device vgpu-stub,pool_id=A,priority=high,vm_id=0", "its vm_id '0' is not valid"),
        ("-device vgpu-stub,pool_id=A,priority=high,vm_id=+7", "its vm_id '+7' is not valid"),
        ("-device vgpu-stub,pool_id=A,pool_id=C,priority=high,vm_id=7", "its pool_id 'C'"),
        ("-device vgpu-stub,pool_id=A,priority=high,vm_id=7,,-priv", "its vm_id '7,,-priv'"),
    ] {
        let (value, left_out) = value(args);
        assert_eq!(value, None, "{args}");
        assert!(left_out.len() == 1 && left_out[0].contains(says), "{args}: {left_out:?}");
    }
}

#[test]
fn the_place_of_the_device_is_passed_and_other_properties_if_the_settings_list_them() {
    let args = format!("{OURS},bus=pci.0,addr=0x1f.3,id=gpu-0,multifunction=on,x-mem=64");
    let plugged = format!("{VALUE},bus=pci.0,addr=0x1f.3,id=gpu-0,multifunction=on");
    assert_eq!(value(&args).0.unwrap(), plugged);
    let settings = QemuWrapper { properties: vec!["x-mem".to_owned().try_into().unwrap()], ..QemuWrapper::default() };
    let Passed { words, left_out } = passed(&device(), &settings, &args);
    assert_eq!((words[1].as_str(), left_out), (format!("{plugged},x-mem=64").as_str(), vec![]));
}

#[test]
fn every_word_is_passed_if_the_settings_say_so() {
    let settings = QemuWrapper { pass: Pass::Everything, ..QemuWrapper::default() };
    let Passed { words, left_out } = passed(&device(), &settings, &format!("-append \"a  b\" '' {OURS}"));
    assert_eq!((words, left_out), (["-append", "a  b", "", "-device", VALUE].map(str::to_owned).to_vec(), vec![]));
    let open = passed(&device(), &settings, "-append it's -vga std").words;
    assert_eq!(open, ["-append", "it's", "-vga", "std"], "if quotes do not pair up, words end at spaces");
}

#[test]
fn two_thousand_bytes_are_read_and_the_log_entry_stays_short() {
    let args = format!("{OURS} -append {}", "x".repeat(2048 - OURS.len() - 9));
    let (value, left_out) = value(&args);
    assert_eq!((args.len(), value.as_deref()), (2048, Some(VALUE)));
    assert!(left_out[0].len() < 200 && left_out[0].contains('…'), "{left_out:?}");
    assert!(!by_default("-x \n\u{1b}[2J").left_out[0].contains(char::is_control));
}

/// Whether the words are one valid device or nothing, without using the code under test.
fn is_one_device_or_nothing(words: &[String]) -> bool {
    let [option, value] = words else { return words.is_empty() };
    let mut parts = value.split(',');
    let mut names: Vec<&str> = Vec::new();
    let mut is_right = option == "-device" && parts.next() == Some("vgpu-stub");
    for part in parts {
        let (name, text) = part.split_once('=').unwrap_or_default();
        is_right &= !names.contains(&name)
            && match name {
                "pool_id" => ["A", "B"].contains(&text),
                "priority" => ["low", "medium", "high"].contains(&text),
                "vm_id" => text.parse::<u32>().is_ok_and(|number| number > 0 && number.to_string() == text),
                "bus" | "addr" | "id" | "multifunction" => {
                    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._:-".contains(c))
                }
                _ => false,
            };
        names.push(name);
    }
    is_right && ["pool_id", "priority", "vm_id"].iter().all(|name| names.contains(name))
}

/// Pieces of values: valid, invalid and misleading ones.
fn pieces() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "-device ", "--device ", "-device\t", "-device=", "-set ", "device.x.", "vgpu-stub", ",pool_id=A", ",pool_id=C",
            ",priority=high", ",priority=2", ",vm_id=7", ",vm_id=0", ",vm_id=", ",id=x", ",bus=pci.0", ",addr=5", ",romfile=/x",
            ",multifunction", ",,", ",", "=", " ", "  ", "'", "\"", "\\", "''", "{\"driver\":\"vgpu-stub\"", ",\"pool_id\":\"A\"",
            "}", "-priv", "-chroot /", "usb-tablet", "driver=", "pool_id=B", "\n", "\u{7f}", "ä",
            "-device vgpu-stub,pool_id=A,priority=high,vm_id=7",
        ]).prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_the_value_is_qemu_gets_one_valid_device_or_nothing(pieces in prop::collection::vec(pieces(), 0..24)) {
        let args = pieces.concat();
        let Passed { words, .. } = by_default(&args);
        prop_assert!(is_one_device_or_nothing(&words), "{args:?}: {words:?}");
    }
}

proptest! {
    #[test]
    fn our_argument_is_passed_if_it_stands_alone(
        pool in "[AB]", priority in "low|medium|high", vm_id in 1..=u32::MAX, before in "[ \t]{0,3}", after in "[ \t]{0,3}",
    ) {
        let ours = format!("vgpu-stub,pool_id={pool},priority={priority},vm_id={vm_id}");
        prop_assert_eq!(value(&format!("{before}-device {ours}{after}")), (Some(ours), vec![]));
    }
}
