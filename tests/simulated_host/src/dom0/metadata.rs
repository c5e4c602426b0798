//! What xapi makes of a VM's record for xenopsd: `Vm.t` (`ocaml/xapi/xapi_xenops.ml`, `vm_platform.ml`).

use indexmap::IndexMap;

use crate::database::{Record, map_of};
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// The platform keys that pass a pool's filter for unknown ones (`filtered_flags` in `vm_platform.ml`).
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
    Value::dict([
        ("generation_id", field("generation_id")),
        ("has_vendor_device", field("has_vendor_device")),
        ("pci_power_mgmt", false.into()),
        ("pci_msitranslate", true.into()),
        ("on_softreboot", action(&field("actions_after_softreboot"))),
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

/// Refuses the platform maps that XAPI refuses to push (`sanity_check` in `vm_platform.ml`).
pub fn check(record: &Record) -> ApiResult<()> {
    let platform = map_of(record, "platform");
    let is_uefi = map_of(record, "HVM_boot_params").get("firmware").is_some_and(|firmware| firmware == "uefi");
    let unfit = match (platform.get("device-model").map(String::as_str), is_uefi) {
        (Some("qemu-trad"), true) => Some("UEFI boot is not supported with qemu-trad"),
        (Some("qemu-upstream-uefi"), false) => Some("BIOS boot is not supported with qemu-upstream-uefi"),
        _ => None,
    };
    if let Some(words) = unfit {
        return Err(ApiError::new("INVALID_VALUE", &["platform:device-model", words]));
    }
    let Some(cores) = platform.get("cores-per-socket") else { return Ok(()) };
    let vcpus = match record.get("VCPUs_max") {
        Some(Value::Int(vcpus)) => *vcpus,
        _ => 1,
    };
    match cores.parse::<i64>() {
        Err(_) => Err(ApiError::new("INVALID_VALUE", &["platform:cores-per-socket", cores])),
        Ok(number) if number < 1 || vcpus % number != 0 => {
            Err(ApiError::new("VCPU_MAX_NOT_CORES_PER_SOCKET_MULTIPLE", &[&vcpus.to_string(), cores]))
        }
        Ok(_) => Ok(()),
    }
}

/// What a start makes of a VM's platform map first (`ensure_device_model_profile_present` in
/// `ocaml/xapi/xapi_vm_helpers.ml`, `update_platform_secureboot` in `xapi_vm.ml`); nothing where it stays as it is. The
/// pool has no certificates for UEFI here.
pub fn platform_at_start(record: &Record) -> Option<Value> {
    let platform = map_of(record, "platform");
    let is_uefi = map_of(record, "HVM_boot_params").get("firmware").is_some_and(|firmware| firmware == "uefi");
    let device_model = if is_uefi { "qemu-upstream-uefi" } else { "qemu-upstream-compat" };
    let mut started = IndexMap::new();
    if platform.get("secureboot").is_some_and(|value| value == "auto") {
        started.insert("secureboot".to_owned(), "false".to_owned());
    }
    if !platform.contains_key("device-model") {
        started.insert("device-model".to_owned(), device_model.to_owned());
    }
    for (key, value) in &platform {
        let old = key == "device-model" && value == "qemu-trad";
        started.entry(key.clone()).or_insert(if old { device_model.to_owned() } else { value.clone() });
    }
    (!started.iter().eq(&platform)).then(|| text_map(started))
}

fn text_map(map: impl IntoIterator<Item = (String, String)>) -> Value {
    Value::dict(map.into_iter().map(|(key, value)| (key, value.into())))
}

fn action(behaviour: &Value) -> Value {
    match behaviour.text().as_deref() {
        Some("restart" | "rename_restart") => vec!["Start"].into(),
        Some("coredump_and_restart") => vec!["Coredump", "Start"].into(),
        Some("coredump_and_destroy") => vec!["Coredump", "Shutdown"].into(),
        Some("preserve") => vec!["Pause"].into(),
        Some("soft_reboot") => vec!["Softreboot"].into(),
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
    let serial = text("hvm_serial").or_else(|| map_of(record, "other_config").get("hvm_serial").cloned());
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
        ("serial", serial.unwrap_or_else(|| "pty".to_owned()).into()),
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
