//! Golden files: what a command prints, in `tests/goldens/`.

use std::path::Path;

/// Compares with the golden file, with what differs from run to run put aside. `SNAPSHOTS=overwrite` writes it anew.
pub fn assert_golden(name: &str, text: &str) {
    let mut redactions = snapbox::Redactions::new();
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d").expect("a valid pattern");
    redactions.insert("[TIME]", time).expect("a valid name");
    let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
    let root = regex::Regex::new(r"/tmp/vgpu-[A-Za-z0-9]+").expect("a valid pattern");
    let text = root.replace_all(&text, "").into_owned();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("goldens").join(name);
    let golden = snapbox::Data::read_from(&golden, Some(snapbox::data::DataFormat::Text));
    snapbox::Assert::new().action_env("SNAPSHOTS").redact_with(redactions).eq(text, golden);
}
