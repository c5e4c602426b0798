//! The settings: one table, from which the settings file and its manual page are made.

use std::fmt::Write as _;

use crate::roff::Page;

/// One setting.
pub struct Setting {
    /// None for the top of the file.
    pub table: Option<&'static str>,
    pub key: &'static str,
    /// As TOML.
    pub default: &'static str,
    /// Other possible values, as TOML.
    pub others: &'static [&'static str],
    /// What it does.
    pub about: &'static str,
}

/// Every setting, in the order of the file. TOML wants those of a table last.
pub const SETTINGS: &[Setting] = &[
    Setting {
        table: None,
        key: "device",
        default: r#""vgpu-stub""#,
        others: &[r#""my-vgpu.2""#],
        about: "The QEMU device's name: letters, digits, '-', '_' and '.'.",
    },
    Setting {
        table: None,
        key: "on_error",
        default: r#""continue""#,
        others: &[r#""block""#],
        about: "If a registered VM could not be configured: \"continue\" starts it with its previous arguments, \"block\" refuses the start.",
    },
    Setting {
        table: None,
        key: "unregistered",
        default: r#""ignore""#,
        others: &[r#""default""#, r#""inherit""#],
        about: "If a VM is not registered: \"ignore\" leaves it alone (a clone loses the argument of its origin), \"default\" \
                registers it with the defaults below, \"inherit\" registers a clone with the GPU pool and priority of its origin.",
    },
    Setting {
        table: None,
        key: "deadline",
        default: "5",
        others: &["0.5", "60"],
        about: "The longest delay of a VM's start, in seconds: 0.5 to 60.",
    },
    Setting {
        table: None,
        key: "log_level",
        default: r#""info""#,
        others: &[r#""error""#, r#""warn""#, r#""debug""#],
        about: "How much is logged: \"error\", \"warn\", \"info\" or \"debug\".",
    },
    Setting {
        table: None,
        key: "history",
        default: "10000",
        others: &["0", "1000000"],
        about: "How many changes 'vgpu-admin history' keeps on this host: 0 to 1000000.",
    },
    Setting {
        table: Some("defaults"),
        key: "pool",
        default: r#""A""#,
        others: &[r#""B""#],
        about: "The GPU pool for register-vm without --pool, and for unregistered = \"default\": \"A\" or \"B\".",
    },
    Setting {
        table: Some("defaults"),
        key: "priority",
        default: r#""medium""#,
        others: &[r#""low""#, r#""high""#],
        about: "The priority for register-vm without --priority, and for unregistered = \"default\": \"low\", \"medium\" or \"high\".",
    },
    Setting {
        table: Some("qemu_wrapper"),
        key: "pass",
        default: r#""device""#,
        others: &[r#""everything""#],
        about: "What vgpu-config's qemu-wrapper passes to QEMU from a VM's device-model-args: \"device\" passes the vGPU alone, \
                \"everything\" every word. The latter is dangerous: anyone who may write a VM's platform map (a vm-admin) can \
                then pass options to QEMU, which starts as root in dom0.",
    },
    Setting {
        table: Some("qemu_wrapper"),
        key: "properties",
        default: "[]",
        others: &[r#"["x-mem"]"#],
        about: "Properties of the vGPU device that are passed to QEMU in addition to pool_id, priority, vm_id, bus, addr, id and \
                multifunction, for example [\"x-mem\"]. Do not list a property that names a file of dom0, such as romfile.",
    },
];

const WIDTH: usize = 100;

/// `/etc/vgpu/vgpu.toml` as installed: every setting commented out, with its default. A line that begins with `#` and no space is
/// a setting.
#[must_use]
pub fn commented_file() -> String {
    let mut file = wrapped(
        "The settings of vgpu-config on this host. Each is commented out and has its default value. A change takes effect at \
         the next VM start and the next call. Unknown keys are refused: run 'vgpu-admin check' after a change.",
    );
    let mut table = None;
    for setting in SETTINGS {
        file.push('\n');
        if let Some(name) = setting.table.filter(|_| table != setting.table) {
            let _ = writeln!(file, "#[{name}]");
        }
        table = setting.table;
        file.push_str(&wrapped(setting.about));
        let _ = writeln!(file, "#{} = {}", setting.key, setting.default);
    }
    file
}

/// Comment lines.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(lines, "{line}");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(lines, "{line}");
    lines
}

/// The manual page `vgpu.toml(5)`.
#[must_use]
pub fn manual_page() -> String {
    let mut page = Page::new("vgpu.toml", "5", "settings of vgpu-config");
    page.section("SYNOPSIS");
    page.paragraph("/etc/vgpu/vgpu.toml");
    page.section("DESCRIPTION");
    page.paragraph(
        "Every setting is optional. A change takes effect at once: the file is read at every VM start and every call. If the \
         file has an unknown key or an invalid value, the error message names the line; the plugin and vgpu-admin then refuse \
         to work, and VMs start with their previous arguments. Run vgpu-admin check after a change.",
    );
    page.section("SETTINGS");
    for setting in SETTINGS {
        let table = setting.table.map(|table| format!("[{table}] ")).unwrap_or_default();
        page.entry(&format!("{table}{} = {}", setting.key, setting.default), setting.about);
    }
    page.section("SEE ALSO");
    page.paragraph("vgpu-admin(8), vgpu-plugin(8), /usr/share/doc/vgpu-config/docs/settings.md");
    page.render()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use vgpu_config::settings::Settings;

    use super::*;

    fn parse(toml: &str) -> Result<Settings, String> {
        toml::from_str(toml).map_err(|error| error.to_string())
    }

    /// Takes the '#' off every setting.
    fn uncommented() -> String {
        let line = |line: &str| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
            _ => line.to_owned(),
        };
        commented_file().lines().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The keys that serde names when it refuses one.
    fn keys(table: Option<&str>) -> BTreeSet<String> {
        let header = table.map(|table| format!("[{table}]\n")).unwrap_or_default();
        let refusal = parse(&format!("{header}no_such_key = 1")).unwrap_err();
        let expected = refusal.split("expected").nth(1).unwrap_or_else(|| panic!("{refusal}"));
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_file_as_installed_and_uncommented_says_the_defaults() {
        assert_eq!(parse(&commented_file()), Ok(Settings::default()));
        assert_eq!(parse(&uncommented()), Ok(Settings::default()));
        let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.contains('=');
        assert_eq!(commented_file().lines().filter(is_setting).count(), SETTINGS.len());
    }

    #[test]
    fn every_setting_of_the_code_is_in_the_table_and_no_other() {
        let of = |table: Option<&str>| -> BTreeSet<String> {
            let own = SETTINGS.iter().filter(|setting| setting.table == table).map(|setting| setting.key.to_owned());
            let tables = SETTINGS.iter().filter_map(|setting| setting.table).filter(|_| table.is_none());
            own.chain(tables.map(str::to_owned)).collect()
        };
        assert_eq!(of(None), keys(None));
        for table in SETTINGS.iter().filter_map(|setting| setting.table) {
            assert_eq!(of(Some(table)), keys(Some(table)));
        }
    }

    #[test]
    fn every_other_value_is_accepted_and_makes_a_difference() {
        for setting in SETTINGS {
            let header = setting.table.map(|table| format!("[{table}]\n")).unwrap_or_default();
            for other in setting.others {
                let settings = parse(&format!("{header}{} = {other}", setting.key)).unwrap();
                assert_ne!(settings, Settings::default(), "{} = {other}", setting.key);
            }
        }
    }

    #[test]
    fn each_value_that_is_a_word_is_explained() {
        for setting in SETTINGS.iter().filter(|setting| setting.key != "device") {
            for value in setting.others {
                assert!(setting.about.contains(value), "{} does not explain {value}", setting.key);
            }
        }
    }
}
