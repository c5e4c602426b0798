//! The types of `Vm.t`, as data (`ocaml/xapi-idl/xen/xenops_types.ml`). Fields stand in the order in which they are
//! sent, which is the reverse of their declaration.

/// A type.
pub enum Type {
    Text,
    Bool,
    Float,
    /// An integer under the name that error messages give it.
    Int(&'static str),
    TextMap,
    List(&'static Type),
    Tuple(&'static [Type]),
    Struct(&'static str, &'static [Field]),
    /// Constructors and what they carry.
    Variant(&'static [(&'static str, Option<&'static Type>)]),
}

/// A field of a struct.
pub struct Field {
    pub name: &'static str,
    pub ty: &'static Type,
    pub when_absent: Absent,
}

/// What the absence of a field means.
pub enum Absent {
    Refused,
    /// It stays absent.
    Fine,
    /// It takes this value, in JSON.
    Means(&'static str),
}

use Absent::{Fine, Means, Refused};
use Type::{Bool, Float, Int, List, Struct, Text, TextMap, Tuple, Variant};

const fn field(name: &'static str, ty: &'static Type, when_absent: Absent) -> Field {
    Field { name, ty, when_absent }
}

const NUMBER: Type = Int("int");
const WIDE: Type = Int("int64");

const ACTIONS: Type =
    List(&Variant(&[("Coredump", None), ("Shutdown", None), ("Start", None), ("Pause", None), ("Softreboot", None)]));

const SCHEDULER: Type = Struct(
    "scheduler_params",
    &[field("affinity", &List(&List(&NUMBER)), Refused), field("priority", &Tuple(&[NUMBER, NUMBER]), Fine)],
);

const FIRMWARE: Type = Variant(&[
    ("Bios", None),
    (
        "Uefi",
        Some(&Struct(
            "t",
            &[
                field("backend", &Text, Means("\"xapidb\"")),
                field("on_boot", &Variant(&[("Persist", None), ("Reset", None)]), Means("\"Persist\"")),
            ],
        )),
    ),
]);

const VIDEO: Type = Variant(&[
    ("Cirrus", None),
    ("Standard_VGA", None),
    ("Vgpu", None),
    ("IGD_passthrough", Some(&Variant(&[("GVT_d", None)]))),
]);

const HVM: Type = Struct(
    "hvm_info",
    &[
        field("tpm", &Variant(&[("Vtpm", Some(&Text))]), Fine),
        field("firmware", &FIRMWARE, Means("\"Bios\"")),
        field("qemu_stubdom", &Bool, Means("false")),
        field("qemu_disk_cmdline", &Bool, Means("false")),
        field("boot_order", &Text, Means("\"\"")),
        field("pci_passthrough", &Bool, Means("false")),
        field("pci_emulations", &List(&Text), Means("[]")),
        field("vnc_ip", &Text, Fine),
        field("keymap", &Text, Fine),
        field("serial", &Text, Fine),
        field("acpi", &Bool, Means("true")),
        field("video", &VIDEO, Means("\"Cirrus\"")),
        field("video_mib", &NUMBER, Means("4")),
        field("timeoffset", &Text, Means("\"\"")),
        field("shadow_multiplier", &Float, Means("1.0")),
        field("hap", &Bool, Means("true")),
    ],
);

/// `Vm.t`.
pub const VM: Type = Struct(
    "t",
    &[
        field("generation_id", &Text, Fine),
        field("has_vendor_device", &Bool, Means("false")),
        field("pci_power_mgmt", &Bool, Refused),
        field("pci_msitranslate", &Bool, Refused),
        field("on_softreboot", &ACTIONS, Means("[\"Softreboot\"]")),
        field("on_reboot", &ACTIONS, Refused),
        field("on_shutdown", &ACTIONS, Refused),
        field("on_crash", &ACTIONS, Refused),
        field("scheduler_params", &SCHEDULER, Refused),
        field("vcpus", &NUMBER, Refused),
        field("vcpu_max", &NUMBER, Refused),
        field("memory_dynamic_min", &WIDE, Refused),
        field("memory_dynamic_max", &WIDE, Refused),
        field("memory_static_max", &WIDE, Refused),
        field("machine_address_size", &NUMBER, Fine),
        field("suppress_spurious_page_faults", &Bool, Refused),
        field("ty", &Variant(&[("HVM", Some(&HVM))]), Refused),
        field("bios_strings", &TextMap, Refused),
        field("platformdata", &TextMap, Refused),
        field("xsdata", &TextMap, Refused),
        field("ssidref", &Int("int32"), Refused),
        field("name", &Text, Means("\"unnamed\"")),
        field("id", &Text, Refused),
    ],
);
