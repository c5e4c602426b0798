#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn device() -> DeviceName {
    DeviceName::try_from("vgpu-stub".to_owned()).unwrap()
}

fn settings(pool: &str, priority: &str, vm_id: &str) -> VmSettings {
    VmSettings { pool: pool.parse().unwrap(), priority: priority.parse().unwrap(), vm_id: vm_id.parse().unwrap() }
}

fn high() -> VmSettings {
    settings("A", "high", "7")
}

const OURS: &str = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7";

#[test]
fn our_argument_is_written_as_the_device_reads_it() {
    assert_eq!(argument(&device(), &high()), OURS);
}

#[test]
fn an_empty_string_becomes_our_argument_and_loses_it_again() {
    assert_eq!(with(&device(), "", &high()).unwrap(), OURS);
    assert_eq!(without(&device(), OURS), "");
}

#[test]
fn other_devices_odd_spacing_and_quotes_stay_as_they_are() {
    let others = "  -device 'usb-tablet,id=\"a b\"'\t-append  \"x  y\"  ";
    let both = with(&device(), others, &high()).unwrap();
    assert_eq!(both, format!("{others} {OURS}"));
    assert_eq!(without(&device(), &both), others);
}

#[test]
fn our_argument_is_replaced_where_it_stands() {
    let before = "-device a  -device vgpu-stub,pool_id=B,priority=low,vm_id=9  -device b";
    let after = format!("-device a  {OURS}  -device b");
    assert_eq!(with(&device(), before, &high()).unwrap(), after);
}

#[test]
fn a_string_that_says_so_already_comes_back_as_it_is() {
    let said = "-device  vgpu-stub,vm_id=7,priority=high,pool_id=A,bus=pci.0 -vga std";
    assert_eq!(with(&device(), said, &high()).unwrap(), said);
}

#[test]
fn what_the_device_would_not_understand_is_written_as_it_does() {
    for hand_written in [
        "-device vgpu-stub,pool_id=a,priority=2,vm_id=7",
        "-device vgpu-stub,pool_id=A,priority=HIGH,vm_id=7",
        "-device vgpu-stub,pool_id=A,priority=high,vm_id=007",
        "-device vgpu-stub,pool_id=B,pool_id=A,priority=high,vm_id=7",
        "-device vgpu-stub,pool_id='A',priority=high,vm_id=7",
    ] {
        assert_eq!(find(&device(), hand_written).unwrap().settings(), Some(high()), "{hand_written} is read");
        assert_eq!(with(&device(), hand_written, &high()).unwrap(), OURS, "{hand_written}");
    }
}

#[test]
fn our_device_in_json_is_ours() {
    for json in [
        r#"-device '{"driver":"vgpu-stub","pool_id":"B","vm_id":9}'"#,
        r#"-device "{\"driver\":\"vgpu-stub\",\"pool_id\":\"B\",\"vm_id\":9}""#,
        r#"-device {"vm_id":9,"pool_id":"B","driver":"vgpu-stub"}"#,
    ] {
        let args = format!("-vga std {json} -device b");
        let found = find(&device(), &args).unwrap();
        assert_eq!((found.pool, found.priority, found.vm_id.unwrap().get()), (Some(PoolId::B), None, 9));
        assert_eq!(with(&device(), &args, &high()).unwrap(), format!("-vga std {OURS} -device b"));
        assert_eq!(without(&device(), &args), "-vga std -device b");
    }
}

#[test]
fn properties_in_json_that_are_not_ours_stay() {
    let json = r#"-device '{"driver":"vgpu-stub","id":"a,b","rombar":0,"multifunction":true,"priority":"low"}'"#;
    let expected = format!("{OURS},id=a,,b,rombar=0,multifunction=on");
    assert_eq!(with(&device(), json, &high()).unwrap(), expected);
    let nested = r#"-device '{"driver":"vgpu-stub","queues":[1,2]}'"#;
    assert_eq!(with(&device(), nested, &high()).unwrap_err().code(), "VGPU_ARGS_UNCLEAR");
    assert_eq!(without(&device(), nested), "");
}

#[test]
fn other_devices_in_json_are_left_alone() {
    for other in [
        r#"-device '{"driver":"usb-tablet","id":"vgpu-stub"}'"#,
        r#"-device '{"driver":"vgpu-stub2"}'"#,
        r#"-device '{"driver":"vgpu-stub"'"#,
        r#"-device '["vgpu-stub"]'"#,
        r#"-object '{"driver":"vgpu-stub"}'"#,
    ] {
        assert_eq!(find(&device(), other), None, "{other}");
        assert_eq!(with(&device(), other, &high()).unwrap(), format!("{other} {OURS}"));
        assert_eq!(without(&device(), other), other);
    }
}

#[test]
fn what_is_set_of_our_device_is_ours() {
    let args = format!("{OURS},id=gpu0 -vga std -set device.gpu0.pool_id=B -set device.gpu0.rombar=0");
    let found = find(&device(), &args).unwrap();
    assert_eq!(found.pool, Some(PoolId::B), "that is what QEMU takes");
    let right = format!("{OURS},id=gpu0 -vga std -set device.gpu0.rombar=0");
    assert_eq!(with(&device(), &args, &high()).unwrap(), right);
    assert_eq!(without(&device(), &args), "-vga std", "QEMU ends when something is set for no device");
    let twice = format!("{right} -device vgpu-stub,id=gpu1 -set device.gpu1.rombar=0");
    assert_eq!(with(&device(), &twice, &high()).unwrap(), right);
    let first = "-set device.g.pool_id=B -set device.g.vm_id=2 -device vgpu-stub,id=g";
    assert_eq!(with(&device(), first, &high()).unwrap(), format!("{OURS},id=g"));
}

#[test]
fn what_is_set_of_other_devices_is_left_alone() {
    for other in [
        "-device e1000,id=gpu0 -set device.gpu0.pool_id=B",
        "-set device.gpu0.pool_id=B",
        "-set drive.gpu0.pool_id=B",
        "-set device.gpu0",
        "-append -set",
    ] {
        assert_eq!(with(&device(), other, &high()).unwrap(), format!("{other} {OURS}"));
        let ours_has_no_id = format!("{OURS} {other}");
        assert_eq!(with(&device(), &ours_has_no_id, &high()).unwrap(), ours_has_no_id);
        assert_eq!(without(&device(), &ours_has_no_id), other);
    }
    let shared = format!("{OURS},id=x -device e1000,id=x -set device.x.pool_id=B");
    assert_eq!(without(&device(), &shared), "-device e1000,id=x -set device.x.pool_id=B");
}

#[test]
fn properties_that_are_not_ours_stay_with_the_argument() {
    let before = "-device vgpu-stub,bus=pci.0,pool_id=B,addr=0x5,priority=low,vm_id=9";
    assert_eq!(with(&device(), before, &high()).unwrap(), format!("{OURS},bus=pci.0,addr=0x5"));
}

#[test]
fn properties_with_spaces_keep_their_quotes() {
    let before = "-device \"vgpu-stub,pool_id=B,id=my gpu\"";
    let expected = "-device \"vgpu-stub,pool_id=A,priority=high,vm_id=7,id=my gpu\"";
    assert_eq!(with(&device(), before, &high()).unwrap(), expected);
}

#[test]
fn a_second_argument_of_ours_goes() {
    let twice = "-device vgpu-stub,pool_id=B -vga std -device vgpu-stub,vm_id=3";
    assert_eq!(with(&device(), twice, &high()).unwrap(), format!("{OURS} -vga std"));
    assert_eq!(without(&device(), twice), "-vga std");
}

#[test]
fn what_only_looks_like_ours_is_left_alone() {
    for other in [
        "-device vgpu-stub2,pool_id=B",
        "-device xvgpu-stub",
        "-append \"-device vgpu-stub,pool_id=B\"",
        "-append '-device vgpu-stub'",
        "-devicex vgpu-stub",
        "vgpu-stub,pool_id=A",
    ] {
        assert_eq!(find(&device(), other), None, "{other}");
        assert_eq!(without(&device(), other), other);
    }
}

#[test]
fn where_quotes_do_not_pair_up_words_end_at_spaces() {
    let args = "-append it's -device vgpu-stub,pool_id=B,priority=low,vm_id=9";
    assert_eq!(find(&device(), args).unwrap().settings(), Some(settings("B", "low", "9")));
    assert_eq!(without(&device(), args), "-append it's");
}

#[test]
fn what_can_be_read_of_a_hand_written_argument_is_read() {
    let found = find(&device(), "-device driver=vgpu-stub,priority=urgent,pool_id=b,vm_id=0").unwrap();
    assert_eq!((found.pool, found.priority, found.vm_id), (Some(PoolId::B), None, None));
    assert_eq!(found.settings(), None);
}

#[test]
fn a_result_longer_than_xenstore_takes_is_an_error() {
    let fits = "x".repeat(LIMIT - OURS.len() - 1);
    assert_eq!(with(&device(), &fits, &high()).unwrap().len(), LIMIT);
    let error = with(&device(), &format!("{fits}x"), &high()).unwrap_err();
    assert_eq!(error.code(), "VGPU_ARGS_TOO_LONG");
    assert!(error.to_string().contains("2049"), "{error}");
}

#[test]
fn a_string_that_would_swallow_our_argument_is_an_error() {
    for open in ["-append x\\", "-device x \"abc", "-append it's", "'"] {
        assert_eq!(with(&device(), open, &high()).unwrap_err().code(), "VGPU_ARGS_UNCLEAR", "{open}");
    }
}

#[test]
fn the_platform_key_goes_only_when_nothing_but_ours_was_in_it() {
    let desired = |current, settings| desired(&device(), current, settings).unwrap();
    assert_eq!(desired(None, None), None);
    assert_eq!(desired(Some(""), None), Some(String::new()));
    assert_eq!(desired(Some(OURS), None), None);
    assert_eq!(desired(Some("-vga std"), None), Some("-vga std".to_owned()));
    assert_eq!(desired(None, Some(&high())), Some(OURS.to_owned()));
}

fn any_settings() -> impl Strategy<Value = VmSettings> {
    (0..2_usize, 0..3_usize, 1..=u32::MAX).prop_map(|(pool, priority, vm_id)| VmSettings {
        pool: PoolId::ALL[pool],
        priority: Priority::ALL[priority],
        vm_id: DeviceVmId::try_from(i64::from(vm_id)).unwrap(),
    })
}

/// Strings as administrators write them, and strings as nobody would.
fn any_args() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\t\n]{0,80}",
        proptest::collection::vec(
            "(-device|--device|-vga|-set|vgpu-stub,[a-z_]{1,8}=[a-zA-Z0-9]{1,3}|vgpu-stub,id=a|device\\.a\\.(pool_id|x)=B|\\{\"driver\":\"vgpu-stub\"\\}|'a b'|\"|,,| {1,3}|é)",
            0..12
        )
        .prop_map(|words| words.join(" ")),
    ]
}

proptest! {
    #[test]
    fn words_of_a_command_line_are_found_as_they_are(words in proptest::collection::vec("[ -~\\t\\näé]{0,12}", 0..6)) {
        let quoted: Vec<_> = words.iter().map(|word| words::quoted(word)).collect();
        let read: Vec<_> = words::words(&quoted.join(" ")).into_iter().map(|word| word.text).collect();
        prop_assert_eq!(read, words);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(args in any_args(), settings in any_settings()) {
        if let Ok(result) = with(&device(), &args, &settings) {
            prop_assert_eq!(find(&device(), &result).unwrap().settings(), Some(settings));
            prop_assert_eq!(with(&device(), &result, &settings).unwrap(), result);
        }
    }

    #[test]
    fn adding_and_taking_away_gives_back_every_byte(args in any_args(), settings in any_settings()) {
        if find(&device(), &args).is_none() && let Ok(result) = with(&device(), &args, &settings) {
            prop_assert_eq!(without(&device(), &result), args);
        }
    }

    #[test]
    fn nothing_of_ours_is_left_after_taking_it_away(args in any_args()) {
        let rest = without(&device(), &args);
        prop_assert_eq!(find(&device(), &rest), None, "{} became {}", args, rest);
    }

    #[test]
    fn any_bytes_of_text_are_read_without_a_panic(args in "\\PC*") {
        let _ = (find(&device(), &args), without(&device(), &args));
    }
}
