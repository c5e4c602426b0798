//! The parameters that `xe` shows, in its order, and what may be done with them: a value, a set (S) or a map (M), read only
//! (RO) or not (RW). Of `ocaml/xapi-cli-server/records.ml` those whose fields have the same name.

/// A class's parameters.
pub type Fields = &'static [(&'static str, &'static str)];

/// The parameters of a class.
pub fn of_class(class: &str) -> Fields {
    match class {
        "VM" => VM,
        "host" => HOST,
        "PCI" => PCI,
        _ => POOL,
    }
}

#[rustfmt::skip]
const VM: Fields = &[
    ("uuid", " RO"), ("name-label", " RW"), ("name-description", " RW"), ("user-version", " RW"),
    ("is-a-template", " RW"), ("is-default-template", " RW"), ("is-a-snapshot", " RO"), ("snapshot-of", " RO"),
    ("snapshots", " RO"), ("snapshot-time", " RO"), ("snapshot-info", " RO"), ("parent", " RO"), ("children", " RO"),
    ("is-control-domain", " RO"), ("power-state", " RO"), ("memory-overhead", " RO"), ("memory-static-max", " RW"),
    ("memory-dynamic-max", " RW"), ("memory-dynamic-min", " RW"), ("memory-static-min", " RW"),
    ("VCPUs-params", "MRW"), ("VCPUs-max", " RW"), ("VCPUs-at-startup", " RW"), ("actions-after-shutdown", " RW"),
    ("actions-after-softreboot", " RW"), ("actions-after-reboot", " RW"), ("actions-after-crash", " RW"),
    ("platform", "MRW"), ("allowed-operations", "SRO"), ("current-operations", "SRO"), ("blocked-operations", "MRW"),
    ("domain-type", " RW"), ("HVM-boot-policy", " RW"), ("HVM-boot-params", "MRW"), ("HVM-shadow-multiplier", " RW"),
    ("PV-kernel", " RW"), ("PV-ramdisk", " RW"), ("PV-args", " RW"), ("PV-legacy-args", " RW"),
    ("PV-bootloader", " RW"), ("PV-bootloader-args", " RW"), ("last-boot-CPU-flags", " RO"), ("resident-on", " RO"),
    ("affinity", " RW"), ("other-config", "MRW"), ("recommendations", " RO"), ("xenstore-data", "MRW"),
    ("ha-restart-priority", " RW"), ("blobs", " RO"), ("VBDs", "SRO"), ("tags", "SRW"), ("appliance", " RW"),
    ("snapshot-schedule", " RW"), ("is-vmss-snapshot", " RO"), ("start-delay", " RW"), ("shutdown-delay", " RW"),
    ("order", " RW"), ("version", " RO"), ("generation-id", " RO"), ("hardware-platform-version", " RO"),
    ("has-vendor-device", " RW"), ("requires-reboot", " RO"), ("reference-label", " RO"), ("bios-strings", "MRO"),
    ("pending-guidances", " RO"), ("pending-guidances-recommended", " RO"), ("pending-guidances-full", " RO"),
];

#[rustfmt::skip]
const HOST: Fields = &[
    ("uuid", " RO"), ("name-label", " RW"), ("name-description", " RW"), ("allowed-operations", "SRO"),
    ("current-operations", "SRO"), ("enabled", " RO"), ("display", " RO"), ("API-version-major", " RO"),
    ("API-version-minor", " RO"), ("API-version-vendor", " RO"), ("API-version-vendor-implementation", "MRO"),
    ("logging", "MRW"), ("software-version", "MRO"), ("capabilities", "SRO"), ("other-config", "MRW"),
    ("cpu_info", "MRO"), ("chipset-info", "MRO"), ("hostname", " RO"), ("address", " RO"), ("https-only", " RW"),
    ("supported-bootloaders", "SRO"), ("blobs", " RO"), ("memory-overhead", " RO"), ("updates", "SRO"),
    ("ha-statefiles", " RO"), ("ha-network-peers", " RO"), ("external-auth-type", " RO"),
    ("external-auth-service-name", " RO"), ("external-auth-configuration", "MRO"), ("edition", " RO"),
    ("license-server", "MRO"), ("power-on-mode", " RO"), ("power-on-config", "MRO"), ("local-cache-sr", " RO"),
    ("tags", "SRW"), ("ssl-legacy", " RW"), ("guest_VCPUs_params", "MRW"),
    ("virtual-hardware-platform-versions", "SRO"), ("updates-requiring-reboot", "SRO"), ("features", "SRO"),
    ("iscsi_iqn", " RW"), ("multipathing", " RW"), ("numa-affinity-policy", " RW"), ("pending-guidances", " RO"),
    ("tls-verification-enabled", " RO"), ("last-software-update", " RO"), ("latest-synced-updates-applied", " RO"),
    ("pending-guidances-recommended", " RO"), ("pending-guidances-full", " RO"), ("last-update-hash", " RO"),
];

#[rustfmt::skip]
const PCI: Fields = &[
    ("uuid", " RO"), ("vendor-name", " RO"), ("device-name", " RO"), ("driver-name", " RO"), ("pci-id", " RO"),
    ("other-config", "MRW"),
];

#[rustfmt::skip]
const POOL: Fields = &[
    ("uuid", " RO"), ("name-label", " RW"), ("name-description", " RW"), ("master", " RO"), ("default-SR", " RW"),
    ("crash-dump-SR", " RW"), ("suspend-image-SR", " RW"), ("other-config", "MRW"), ("allowed-operations", "SRO"),
    ("current-operations", "SRO"), ("ha-enabled", " RO"), ("ha-configuration", " RO"), ("ha-statefiles", " RO"),
    ("ha-host-failures-to-tolerate", " RW"), ("ha-plan-exists-for", " RO"), ("ha-allow-overcommit", " RW"),
    ("ha-overcommitted", " RO"), ("blobs", " RO"), ("wlb-url", " RO"), ("wlb-username", " RO"),
    ("wlb-enabled", " RW"), ("wlb-verify-cert", " RW"), ("igmp-snooping-enabled", " RW"), ("gui-config", "MRW"),
    ("health-check-config", "MRW"), ("restrictions", " RO"), ("tags", "SRW"), ("ha-cluster-stack", " RO"),
    ("guest-agent-config", "MRW"), ("cpu_info", "MRO"), ("policy-no-vendor-device", " RW"),
    ("live-patching-disabled", " RW"), ("tls-verification-enabled", " RO"),
    ("client-certificate-auth-enabled", " RO"), ("client-certificate-auth-name", " RO"), ("repositories", "SRW"),
    ("repository-proxy-url", " RO"), ("repository-proxy-username", " RO"), ("migration-compression", " RW"),
    ("coordinator-bias", " RW"), ("telemetry-frequency", " RO"), ("telemetry-next-collection", " RO"),
    ("last-update-sync", " RO"), ("update-sync-frequency", " RO"), ("update-sync-day", " RO"),
    ("update-sync-enabled", " RO"),
];
