//! What xapi makes of a VM's record for xenopsd: `Vm.t` (`ocaml/xapi/xapi_xenops.ml`, `vm_platform.ml`).

use indexmap::IndexMap;

use crate::database::{Record, map_of};
use crate::wire::Value;

/// The platform keys that pass a pool's filter for unknown ones.
const KNOWN_KEYS: [&str; 24] = [
    "acpi",
    "apic",
    "nx",
    "pae",
    "viridian",
    "acpi_s3",
    "acpi_s4",
    "mmio_size_mib",
    "revision",
    "device_id",
    "tsc_mode",
    "device-model",
    "xenguest",
    "pv-kernel-max-size",
    "pv-ramdisk-max-size",
    "pv-postinstall-kernel-max-size",
    "pv-postinstall-ramdisk-max-size",
    "usb",
    "usb_tablet",
    "parallel",
    "vga",
    "featureset",
    "nested-virt",
    "vcpu-unrestricted",
];

/// The `Vm.t` of a record, in the order in which it is sent.
pub fn of_record(record: &Record, filters_platform: bool) -> Value {
    let platform = map_of(record, "platform");
    let field = |name: &str| record.get(name).cloned().unwrap_or(Value::Null);
    let generation_id = match field("generation_id").text() {
        Some(id) if id == "0:0" => "".into(),
        _ => field("generation_id"),
    };
    Value::dict([
        ("generation_id", generation_id),
        ("has_vendor_device", field("has_vendor_device")),
        ("pci_power_mgmt", false.into()),
        ("pci_msitranslate", true.into()),
        ("on_softreboot", vec!["Softreboot"].into()),
        ("on_reboot", action(&field("actions_after_reboot"))),
        ("on_shutdown", action(&field("actions_after_shutdown"))),
        ("on_crash", action(&field("actions_after_crash"))),
        ("scheduler_params", scheduler(&map_of(record, "VCPUs_params"))),
        ("vcpus", field("VCPUs_at_startup")),
        ("vcpu_max", field("VCPUs_max")),
        ("memory_dynamic_min", field("memory_dynamic_min")),
        ("memory_dynamic_max", field("memory_dynamic_max")),
        ("memory_static_max", field("memory_static_max")),
        ("suppress_spurious_page_faults", false.into()),
        ("ty", Value::List(vec!["HVM".into(), hvm(record, &platform)])),
        ("bios_strings", field("bios_strings")),
        ("platformdata", text_map(platformdata(platform, filters_platform))),
        ("xsdata", text_map(map_of(record, "xenstore_data"))),
        ("ssidref", Value::Int(0)),
        ("name", field("name_label")),
        ("id", field("uuid")),
    ])
}

fn text_map(map: impl IntoIterator<Item = (String, String)>) -> Value {
    Value::dict(map.into_iter().map(|(key, value)| (key, value.into())))
}

fn action(behaviour: &Value) -> Value {
    match behaviour.text().as_deref() {
        Some("restart" | "restart_vm") => vec!["Start"].into(),
        Some("coredump_and_restart") => vec!["Coredump", "Start"].into(),
        Some("coredump_and_destroy") => vec!["Coredump", "Shutdown"].into(),
        Some("preserve") => vec!["Pause"].into(),
        _ => vec!["Shutdown"].into(),
    }
}

fn scheduler(params: &IndexMap<String, String>) -> Value {
    let number = |key: &str, default: i64| params.get(key).and_then(|value| value.parse().ok()).unwrap_or(default);
    Value::dict([
        ("affinity", Value::List(Vec::new())),
        ("priority", vec![number("weight", 256), number("cap", 0)].into()),
    ])
}

fn hvm(record: &Record, platform: &IndexMap<String, String>) -> Value {
    let text = |key: &str| platform.get(key).cloned();
    let video = if text("vga").as_deref() == Some("std") { "Standard_VGA" } else { "Cirrus" };
    let boot_params = map_of(record, "HVM_boot_params");
    let boot_order = boot_params.get("order").filter(|order| !order.is_empty()).map_or("cd", String::as_str);
    let mut members = vec![
        ("firmware", firmware(&boot_params)),
        ("qemu_stubdom", false.into()),
        ("qemu_disk_cmdline", is_true(platform, "qemu_disk_cmdline", false).into()),
        ("boot_order", boot_order.into()),
        ("pci_passthrough", false.into()),
        ("pci_emulations", Value::List(Vec::new())),
    ];
    if let Some(keymap) = text("keymap") {
        members.push(("keymap", keymap.into()));
    }
    members.extend([
        ("serial", text("hvm_serial").unwrap_or_else(|| "pty".to_owned()).into()),
        ("acpi", is_true(platform, "acpi", true).into()),
        ("video", video.into()),
        ("video_mib", Value::Int(text("videoram").and_then(|mib| mib.parse().ok()).unwrap_or(4))),
        ("timeoffset", text("timeoffset").unwrap_or_else(|| "0".to_owned()).into()),
        ("shadow_multiplier", record.get("HVM_shadow_multiplier").cloned().unwrap_or(Value::Float(1.0))),
        ("hap", true.into()),
    ]);
    Value::dict(members)
}

fn firmware(boot_params: &IndexMap<String, String>) -> Value {
    match boot_params.get("firmware").map(String::as_str) {
        Some("uefi") => {
            let nvram = Value::dict([("backend", "xapidb".into()), ("on_boot", "Persist".into())]);
            Value::List(vec!["Uefi".into(), nvram])
        }
        _ => "Bios".into(),
    }
}

/// A VM's platform map as xenopsd gets it: xapi filters it, and puts what it adds or normalises in front.
fn platformdata(mut platform: IndexMap<String, String>, filters: bool) -> IndexMap<String, String> {
    if filters {
        platform.retain(|key, _| KNOWN_KEYS.contains(&key.as_str()) || key == "timeoffset");
    }
    if platform.get("tsc_mode").is_some_and(|mode| !["0", "1", "2", "3"].contains(&mode.as_str())) {
        platform.shift_remove("tsc_mode");
    }
    if platform.get("parallel").is_some_and(|port| port != "none" && !port.starts_with("/dev/parport")) {
        platform.shift_remove("parallel");
    }
    let usb = is_true(&platform, "usb", true);
    let usb_tablet = usb && is_true(&platform, "usb_tablet", true);
    let timeoffset = platform.get("timeoffset").cloned().unwrap_or_else(|| "0".to_owned());
    let mut data = IndexMap::new();
    if !platform.contains_key("featureset") {
        data.insert("featureset".to_owned(), String::new());
    }
    data.insert("timeoffset".to_owned(), timeoffset);
    data.insert("usb".to_owned(), usb.to_string());
    data.insert("usb_tablet".to_owned(), usb_tablet.to_string());
    let added: Vec<String> = data.keys().cloned().collect();
    data.extend(platform.into_iter().filter(|(key, _)| !added.contains(key)));
    data
}

fn is_true(platform: &IndexMap<String, String>, key: &str, default: bool) -> bool {
    match platform.get(key).map(|value| value.to_ascii_lowercase()).as_deref() {
        Some("true" | "1") => true,
        Some("false" | "0") => false,
        _ => default,
    }
}
