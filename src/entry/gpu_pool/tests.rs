#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::entry::Entry;
use crate::model::VmLimit;

const GPU: &str = "gpu:5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01:0000:81:00.0";

fn subject(text: &str) -> GpuSubject {
    text.parse().unwrap()
}

#[test]
fn a_value_is_one_line_with_the_format_first() {
    let settings = GpuPoolSettings {
        name: Some("L40S \"render\"".parse().unwrap()),
        description: None,
        max_vms: Some(VmLimit::try_from(8).unwrap()),
    };
    let pool =
        GpuEntry { content: GpuContent::Pool(settings), revision: 3, changed_at: 1_790_000_000, more: String::new() };
    assert_eq!(pool.to_text(), r#"1 3 1790000000 8 ["L40S \"render\"",null]"#);
    let gpu = GpuEntry { content: GpuContent::Gpu(Some(PoolId::A)), ..pool.clone() };
    assert_eq!(gpu.to_text(), "1 A 3 1790000000");
    assert_eq!(GpuEntry { content: GpuContent::Gpu(None), ..gpu }.to_text(), "1 - 3 1790000000");
}

#[test]
fn a_key_has_one_spelling_and_none_of_it_is_a_vm() {
    for key in ["vgpu:pool:A", &format!("vgpu:{GPU}")] {
        assert_eq!(GpuSubject::of_key(key).unwrap().key(), key);
        assert_eq!(Entry::vm_of_key(key), None);
    }
    for key in
        ["vgpu:pool:a", "vgpu:pool:C", "pool:A", "vgpu:gpu:0000:81:00.0", &format!("vgpu:{}", GPU.to_uppercase())]
    {
        assert_eq!(GpuSubject::of_key(key), None, "{key}");
    }
}

#[test]
fn a_newer_format_is_recognized_as_one_and_the_rest_is_damaged() {
    for (of, texts) in [
        (
            "pool:A",
            [
                "",
                "1",
                "1 3 4 8",
                "1 3 4 x [null,null]",
                "1 3 4 8 [null]",
                "1 -1 4 8 [null,null]",
                "1 3 4 8 [\"\",null]",
            ],
        ),
        (GPU, ["", "1", "1 A", "1 C 3 4", "1 A x 4", "1 A 3 -4", "x A 3 4"]),
    ] {
        assert_eq!(subject(of).read("2 whatever comes"), Err(EntryError::Newer("2".to_owned())));
        for text in texts {
            assert_eq!(subject(of).read(text), Err(EntryError::Damaged(text.to_owned())), "{of}");
        }
    }
}

#[test]
fn fields_that_a_later_version_added_are_kept() {
    for (of, text) in [("pool:B", r#"1 3 1790000000 - [null,"a ] b"] new=field and=more"#), (GPU, "1 B 3 4 new=field")]
    {
        assert_eq!(subject(of).read(text).unwrap().to_text(), text);
    }
}

fn any_entry() -> impl Strategy<Value = (GpuSubject, GpuEntry)> {
    let line = |longest: usize| {
        proptest::option::of(prop_oneof![
            Just("\u{10FFFF}\"\\".to_owned()),
            "[^\\p{C}]{1,64}",
            Just("𝒳".repeat(longest))
        ])
    };
    let settings =
        (line(64), line(256), proptest::option::of(any::<u32>())).prop_map(|(name, description, max_vms)| {
            GpuContent::Pool(GpuPoolSettings {
                name: name.and_then(|name| name.parse().ok()),
                description: description.and_then(|description| description.parse().ok()),
                max_vms: max_vms.map(|max_vms| VmLimit::try_from(i64::from(max_vms)).unwrap()),
            })
        });
    let of_pool = settings.prop_map(|content| (subject("pool:A"), content));
    let of_gpu = (0..3_usize).prop_map(|pool| (subject(GPU), GpuContent::Gpu(PoolId::ALL.get(pool).copied())));
    (prop_oneof![of_pool, of_gpu], 0..=crate::entry::LARGEST_REVISION, 0..253_402_300_800_i64).prop_map(
        |((subject, content), revision, changed_at)| {
            (subject, GpuEntry { content, revision, changed_at, more: String::new() })
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_short_enough((subject, entry) in any_entry()) {
        let text = entry.to_text();
        let longest = if matches!(subject, GpuSubject::Gpu(_)) { LONGEST_VALUE } else { LONGEST_VALUE_OF_A_POOL };
        prop_assert!(text.len() <= longest, "{} is {} bytes", text, text.len());
        prop_assert!(!text.contains(char::is_control));
        prop_assert_eq!(subject.read(&text).unwrap(), entry);
    }

    #[test]
    fn no_two_different_entries_are_equally_new((_, one) in any_entry(), (_, other) in any_entry(), is_tied in any::<bool>()) {
        let other = if is_tied { GpuEntry { revision: one.revision, changed_at: one.changed_at, ..other } } else { other };
        prop_assert_eq!(one.compare(&other), other.compare(&one).reverse());
        prop_assert_eq!(one.compare(&other) == Ordering::Equal, one == other);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC*", number in "1 [0-9]{1,3} [0-9]{1,3} [0-9-] \\PC*") {
        for subject in [subject("pool:A"), subject(GPU)] {
            let _ = subject.read(&text);
            let _ = subject.read(&number);
        }
    }
}
