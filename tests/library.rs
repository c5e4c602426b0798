//! The library's values and its settings file: what is accepted, what is refused, and in which words.

use proptest::prelude::*;
use vgpu_config::model::{DeviceVmId, PoolId, Priority, VmUuid};
use vgpu_config::paths::Root;
use vgpu_config::settings::{OnError, Settings, Unregistered};
use vgpu_tests::{ScratchRoot, VM};

fn refused<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> String {
    match text.parse::<T>() {
        Ok(_) => panic!("'{text}' was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_uuid_is_accepted_in_any_case_and_shown_in_lower_case() {
    assert_eq!(VM.to_uppercase().parse::<VmUuid>().unwrap().to_string(), VM);
}

#[test]
fn what_is_no_uuid_of_xapis_is_refused_with_the_text_and_an_example() {
    for text in [
        "",
        "web01",
        &VM[1..],
        &format!("{{{VM}}}"),
        &VM.replace('-', ""),
        &format!("urn:uuid:{VM}"),
        &format!("{VM} "),
    ] {
        let message = refused::<VmUuid>(text);
        assert!(message.starts_with(&format!("'{text}' is not valid: expected a VM's UUID such as ")), "{message}");
    }
}

#[test]
fn pools_and_priorities_are_accepted_in_any_case_and_priorities_as_numbers() {
    for (text, pool) in [("A", PoolId::A), ("a", PoolId::A), ("B", PoolId::B), ("b", PoolId::B)] {
        assert_eq!(text.parse::<PoolId>().unwrap(), pool);
    }
    for (text, priority) in [
        ("low", Priority::Low),
        ("LOW", Priority::Low),
        ("0", Priority::Low),
        ("Medium", Priority::Medium),
        ("1", Priority::Medium),
        ("high", Priority::High),
        ("2", Priority::High),
    ] {
        assert_eq!(text.parse::<Priority>().unwrap(), priority);
    }
    assert_eq!(refused::<PoolId>("C"), "'C' is not valid: expected A or B");
    assert_eq!(refused::<Priority>("urgent"), "'urgent' is not valid: expected low, medium or high (or 0, 1, 2)");
    for text in ["", "3", "-1", "01", " 1", "hi"] {
        refused::<Priority>(text);
    }
}

#[test]
fn a_devices_number_is_1_to_4294967295() {
    for text in ["1", "4294967295", "007"] {
        assert!(text.parse::<DeviceVmId>().is_ok(), "{text}");
    }
    for text in ["", "0", "4294967296", "-1", "+1", "1.0", "0x1", " 1"] {
        assert_eq!(
            refused::<DeviceVmId>(text),
            format!("'{text}' is not valid: expected a whole number from 1 to 4294967295")
        );
    }
    let last: DeviceVmId = "4294967295".parse().unwrap();
    assert_eq!(last.next().get(), 1, "1 follows the last");
}

fn load(toml: &str) -> Result<Settings, String> {
    let root = ScratchRoot::new();
    root.settings(toml);
    Settings::load(&Root::at(root.folder()).settings()).map_err(|error| error.to_string())
}

#[test]
fn every_setting_may_be_left_out() {
    let settings = load("").unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(Settings::load(std::path::Path::new("/nowhere/vgpu.toml")).unwrap(), settings);
    assert_eq!((settings.device.as_str(), settings.on_error), ("vgpu-stub", OnError::Continue));
    assert_eq!((settings.unregistered, settings.deadline.as_duration().as_secs()), (Unregistered::Ignore, 5));
}

#[test]
fn every_setting_can_be_set() {
    let settings = load(
        "device = \"vgpu-real\"\non_error = \"block\"\nunregistered = \"inherit\"\ndeadline = 2.5\nlog_level = \"debug\"\n\
         [defaults]\npool = \"b\"\npriority = \"HIGH\"\n",
    )
    .unwrap();
    assert_eq!((settings.device.as_str(), settings.on_error), ("vgpu-real", OnError::Block));
    assert_eq!(settings.unregistered, Unregistered::Inherit);
    assert_eq!(settings.deadline.as_duration().as_millis(), 2500);
    assert_eq!((settings.defaults.pool, settings.defaults.priority), (PoolId::B, Priority::High));
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    for (toml, line, reason) in [
        ("\n\non_eror = \"block\"", "line 3", "on_eror"),
        ("[defaults]\npol = \"A\"", "line 2", "pol"),
        ("on_error = \"maybe\"", "line 1", "maybe"),
        ("deadline = 61", "line 1", "0.5 to 60"),
        ("deadline = nan", "line 1", "0.5 to 60"),
        ("device = \"\"", "line 1", "not a device name"),
        ("device = \"a b\"", "line 1", "not a device name"),
        ("log_level = 3", "line 1", "wanted string"),
        ("a = [", "line 1", ""),
    ] {
        let error = load(toml).unwrap_err();
        assert!(error.contains(line) && error.contains(reason) && error.contains("vgpu.toml"), "{toml}: {error}");
    }
}

proptest! {
    #[test]
    fn whatever_is_written_is_parsed_or_refused_without_a_panic(text in "\\PC*") {
        let _ = (text.parse::<VmUuid>(), text.parse::<PoolId>(), text.parse::<Priority>(), text.parse::<DeviceVmId>());
    }

    #[test]
    fn a_uuid_shown_is_the_uuid_parsed(bytes in any::<u128>()) {
        let text = format!("{bytes:032x}");
        let text = format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]);
        let uuid: VmUuid = text.parse().unwrap();
        prop_assert_eq!(uuid.to_string(), text);
        prop_assert!(DeviceVmId::derived_from(&uuid).get() > 0);
    }
}
