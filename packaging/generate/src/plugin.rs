//! Tables of the plugin's functions and errors, from which the manual page `vgpu-plugin(8)` is generated.

use crate::roff::Page;

/// A function of the plugin.
pub struct Function {
    pub name: &'static str,
    pub arguments: &'static str,
    pub about: &'static str,
}

const fn function(name: &'static str, arguments: &'static str, about: &'static str) -> Function {
    Function { name, arguments, about }
}

pub const FUNCTIONS: &[Function] = &[
    function(
        "register_vm",
        "vm_uuid or vm_name (both for a VM that XAPI does not know), or vms; pool, priority, vm_id, force, if_needed, dry_run (all may be left \
         out)",
        "Registers VMs: each has a vGPU from its next start on. Returns the change.",
    ),
    function("show_vm", "vm_uuid or vm_name, or vms", "Returns VMs' settings, and what each runs with."),
    function(
        "set_pool",
        "vm_uuid or vm_name, or vms; pool, force, dry_run",
        "Moves VMs to the other GPU pool. Returns the change.",
    ),
    function(
        "set_priority",
        "vm_uuid or vm_name, or vms; priority, dry_run",
        "Gives VMs another priority. Returns the change.",
    ),
    function(
        "update_vm",
        "vm_uuid or vm_name, or vms; pool, priority, vm_id (at least one); force, dry_run",
        "Changes VMs' GPU pool, priority and vm_id at once. Returns the change.",
    ),
    function(
        "list_vms",
        "pool, priority (both may be left out)",
        "Returns the registered VMs by GPU pool, highest priority first.",
    ),
    function(
        "list_pools",
        "",
        "Returns each GPU pool: name, VMs by priority, how many it may have, how many are free, and the number of its GPUs.",
    ),
    function(
        "set_gpu_pool",
        "pool; name, description, max_vms (at least one; none removes it); dry_run",
        "Sets the name, the description and the limit of a GPU pool. Returns the change.",
    ),
    function(
        "show_pool",
        "pool",
        "Returns a GPU pool: its name, description and limit, its VMs by priority, and its GPUs by host.",
    ),
    function(
        "assign_gpu",
        "pool, gpu (the host, a colon and the PCI address: host01:0000:81:00.0), dry_run",
        "Lets a GPU serve a GPU pool. Returns the change.",
    ),
    function("unassign_gpu", "gpu, dry_run", "Lets a GPU serve no GPU pool. Returns the change."),
    function("count_by_pool", "", "Returns the number of VMs of each GPU pool."),
    function("count_by_priority", "", "Returns the number of VMs of each priority."),
    function(
        "remove_vm",
        "vm_uuid or vm_name, or vms; dry_run",
        "Removes VMs' settings: each has no vGPU from its next start on. Returns the change.",
    ),
    function("scan_vms", "", "Returns all VMs of the resource pool, registered or not, and what each runs with."),
    function(
        "scan_gpus",
        "",
        "Returns the physical GPUs of all hosts, the GPU pool that each serves, and the VMs that have it passed through.",
    ),
    function(
        "adopt",
        "dry_run",
        "Registers the VMs that have a vGPU argument written by hand, with its settings. Returns those VMs.",
    ),
    function(
        "sync",
        "dry_run",
        "Synchronises this host, the other hosts and XAPI. Returns the VMs that were taken over, pushed, repaired and left alone.",
    ),
    function(
        "prune",
        "vm_uuids, gpus (only these, separated by commas), dry_run",
        "Deletes the settings of VMs, and the GPUs of hosts, that XAPI does not know. Returns those VMs and GPUs.",
    ),
    function("export", "", "Returns the whole configuration as a JSON file."),
    function(
        "import",
        "config (the text of a file that export wrote, TOML or JSON); prune, force, dry_run",
        "Applies a configuration file, all of it or nothing. Returns the changes.",
    ),
    function(
        "history",
        "vm_uuid or vm_name, limit (all may be left out)",
        "Returns the changes on this host, newest first: of one VM or of all, at most limit entries.",
    ),
    function(
        "apply",
        "vm_uuid or vm_name, or pending (true: all); hard, dry_run",
        "Reboots running VMs that do not have their current settings, one after the other. Returns the VMs that have their \
         settings now, and the one that did not come back. With hard (true), VMs whose guest has no agent are reset.",
    ),
    function(
        "running",
        "",
        "Returns what each VM on this host runs with, read from its QEMU, and whether the qemu-wrapper passes a vGPU.",
    ),
    function("status", "", "Returns hosts, GPUs, GPU pools, VMs, and what needs attention."),
    function(
        "check",
        "all_hosts; or vm_uuid or vm_name",
        "Checks this host, with all_hosts (true) every host, or one VM from its settings to its QEMU; changes nothing.",
    ),
    function("metrics", "", "Returns numbers for a monitoring system, as OpenMetrics text."),
    function("version", "", "Returns the versions of vgpu-config and of its database's schema."),
];

/// Codes and their meanings.
pub const ERRORS: &[(&str, &str)] = &[
    (
        "VGPU_INVALID_PARAM",
        "An argument is wrong, missing or unknown. Parameters: name, value, what is allowed; or a message.",
    ),
    ("VGPU_NOT_FOUND", "The VM is not registered, or there is no such host or GPU."),
    (
        "VGPU_ALREADY_EXISTS",
        "The VM is already registered, another VM has the vm_id, or the GPU serves the other GPU pool.",
    ),
    ("VGPU_POOL_FULL", "The GPU pool has as many VMs as it may have."),
    ("VGPU_GPU_IN_USE", "The GPU is passed through to a VM."),
    ("VGPU_UNKNOWN_VM", "XAPI does not know the VM."),
    ("VGPU_ARGS_TOO_LONG", "device-model-args would be longer than 2048 bytes."),
    (
        "VGPU_ARGS_UNCLEAR",
        "device-model-args has an open quote or ends with a backslash, or the argument cannot be read.",
    ),
    ("VGPU_NEWER_FORMAT", "A newer vgpu-config has written this VM's settings; update this host."),
    ("VGPU_DB_ERROR", "The database cannot be used."),
    ("VGPU_BUSY", "Another program is changing the VM."),
    ("VGPU_INTERRUPTED", "A signal has ended the program."),
    ("VGPU_XAPI_ERROR", "XAPI is away or refused the call."),
    ("VGPU_XENOPSD_ERROR", "xenopsd is away or refused the call."),
    ("RBAC_PERMISSION_DENIED", "The caller's role may only read; changes need pool-operator. Parameters: XAPI's own."),
    ("VGPU_SETTINGS_ERROR", "/etc/vgpu/vgpu.toml is not valid; the message names the line."),
    ("VGPU_INVALID_FILE", "The file to import is not valid; the message names the line."),
    ("VGPU_FILE_ERROR", "A file cannot be read or written."),
    ("VGPU_WRAPPER_ERROR", "The qemu-wrapper was not enabled or disabled; only from vgpu-admin qemu-wrapper."),
    ("VGPU_INVALID_CALL", "The plugin was not called by XAPI."),
    ("VGPU_INTERNAL_ERROR", "An internal error of vgpu-config; please report it."),
    ("UNKNOWN_XENAPI_PLUGIN_FUNCTION", "There is no such function. Parameters: the function."),
];

/// The manual page `vgpu-plugin(8)`.
#[must_use]
pub fn manual_page() -> String {
    let mut page = Page::new("vgpu-plugin", "8", "XAPI plugin for per-VM vGPU settings");
    page.section("SYNOPSIS");
    page.paragraph("xe host-call-plugin host-uuid=UUID plugin=vgpu fn=FUNCTION [args:NAME=VALUE ...]");
    page.section("DESCRIPTION");
    page.paragraph(
        "/etc/xapi.d/plugins/vgpu answers host.call_plugin, and uses the database of the host that is called. Answers are JSON, the \
         same that vgpu-admin --format json prints. An empty argument counts as left out; an unknown one is an error. A call \
         that fails changes nothing.",
    );
    page.section("FUNCTIONS");
    for function in FUNCTIONS {
        let about = match function.arguments {
            "" => format!("{} No arguments.", function.about),
            arguments => format!("{} Arguments: {arguments}.", function.about),
        };
        page.entry(function.name, &about);
    }
    add_arguments(&mut page);
    page.section("ERRORS");
    page.paragraph("Unless stated otherwise, the only parameter is a message for people.");
    for (code, meaning) in ERRORS {
        page.entry(code, meaning);
    }
    page.section("EXAMPLES");
    page.example(&[
        "xe host-call-plugin host-uuid=UUID plugin=vgpu fn=register_vm args:vm_uuid=UUID args:pool=A args:priority=high",
        "xe host-call-plugin host-uuid=UUID plugin=vgpu fn=list_vms args:pool=A",
    ]);
    page.section("SEE ALSO");
    page.paragraph("vgpu-admin(8), vgpu.toml(5), /usr/share/doc/vgpu-config/docs/plugin.md");
    page.render()
}

fn add_arguments(page: &mut Page) {
    page.section("ARGUMENTS");
    page.entry(
        "vm_name",
        "the VM's name in XAPI; if several VMs have it, the call fails and lists them. If XAPI is away, the name that the VM had when \
         XAPI was last asked",
    );
    page.entry(
        "vms",
        "names and UUIDs of VMs, one on each line: all of them are changed in one transaction, or none; the call returns an array",
    );
    page.entry("pool", "A or B; the default for register_vm is in vgpu.toml(5)");
    page.entry("priority", "low, medium or high; or 0, 1, 2; the default for register_vm is in vgpu.toml(5)");
    page.entry("vm_id", "the device's number for the VM, 1 to 4294967295; derived from the UUID if left out");
    page.entry("force", "true registers a VM that XAPI does not know (yet)");
    page.entry(
        "if_needed",
        "true changes a VM that is registered already: only the settings that are given, if they differ. Without it, such a call fails",
    );
    page.entry("dry_run", "true only shows what would be done");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use regex::Regex;
    use vgpu_config::request::Request;

    use super::*;

    const SOURCES: [&str; 2] =
        [include_str!("../../../plugin/src/main.rs"), include_str!("../../../src/error/code.rs")];

    fn found(pattern: &str, sources: &[&str]) -> BTreeSet<String> {
        let pattern = Regex::new(pattern).unwrap();
        let found = |source| pattern.captures_iter(source).map(|captures| captures[1].to_owned()).collect::<Vec<_>>();
        sources.iter().copied().flat_map(found).collect()
    }

    #[test]
    fn every_function_of_the_plugin_is_in_the_table_and_no_other() {
        let told: Vec<_> = FUNCTIONS.iter().map(|function| function.name).collect();
        assert_eq!(told, Request::FUNCTIONS);
    }

    #[test]
    fn every_argument_of_a_function_is_told_with_it() {
        let taken = |function: &str| -> BTreeSet<_> { Request::arguments_of(function).unwrap().into_iter().collect() };
        let all: BTreeSet<_> = FUNCTIONS.iter().flat_map(|function| taken(function.name)).collect();
        for function in FUNCTIONS {
            let words = function.arguments.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
            let told: BTreeSet<_> = words.filter(|word| all.contains(word)).collect();
            assert_eq!(told, taken(function.name), "{}", function.name);
        }
    }

    #[test]
    fn every_error_code_is_in_the_table_and_no_other() {
        let told: BTreeSet<_> = ERRORS.iter().map(|(code, _)| (*code).to_owned()).collect();
        assert_eq!(told.len(), ERRORS.len(), "none twice");
        assert_eq!(told, found(r#""((?:VGPU|RBAC|UNKNOWN)_[A-Z_]+)""#, &SOURCES));
    }
}
