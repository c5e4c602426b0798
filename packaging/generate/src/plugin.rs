//! The plugin's functions and errors: one table each, from which the manual page `vgpu-plugin(8)` is made.

use crate::roff::Page;

/// A function of the plugin.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, for people.
    pub arguments: &'static str,
    /// What it does and answers.
    pub about: &'static str,
}

const fn function(name: &'static str, arguments: &'static str, about: &'static str) -> Function {
    Function { name, arguments, about }
}

/// Every function.
pub const FUNCTIONS: &[Function] = &[
    function(
        "register_vm",
        "vm_uuid or vm_name (both for a VM that XAPI does not know); pool, priority, vm_id, force (all may be left out)",
        "Registers a VM: from its next start on it has a vGPU. Answers what was changed.",
    ),
    function("show_vm", "vm_uuid or vm_name", "What is configured for a VM, and what its last start was given."),
    function("set_pool", "vm_uuid or vm_name; pool", "Moves a VM to the other GPU pool. Answers what was changed."),
    function("set_priority", "vm_uuid or vm_name; priority", "Gives a VM another priority. Answers what was changed."),
    function(
        "update_vm",
        "vm_uuid or vm_name; pool, priority, vm_id (at least one)",
        "Changes a VM's GPU pool, priority or vm_id in one go. Answers what was changed.",
    ),
    function(
        "list_vms",
        "pool, priority (both may be left out)",
        "The registered VMs, by GPU pool, most urgent first.",
    ),
    function("list_pools", "", "The GPU pools, with the number of their VMs by priority."),
    function("count_by_pool", "", "How many VMs each GPU pool has."),
    function("count_by_priority", "", "How many VMs there are of each priority."),
    function(
        "remove_vm",
        "vm_uuid or vm_name",
        "Removes a VM's settings: from its next start on it has no vGPU. Answers what was changed.",
    ),
    function("scan_vms", "", "All VMs of the resource pool, registered or not."),
    function(
        "adopt",
        "dry_run",
        "Registers the VMs whose vGPU argument was written by hand, as it says. Answers what was registered.",
    ),
    function(
        "sync",
        "dry_run",
        "Brings this host, the other hosts and XAPI to one state. Answers what was taken over, pushed, repaired and left alone.",
    ),
    function(
        "prune",
        "vm_uuids (only these, separated by commas), dry_run",
        "Forgets the VMs that XAPI does not know. Answers which.",
    ),
    function("export", "", "The whole configuration, as the text of a JSON file."),
    function(
        "import",
        "config (the text of a file that export wrote, TOML or JSON); prune, dry_run",
        "Makes the configuration what the file says, all of it or nothing. Answers what was changed.",
    ),
    function(
        "history",
        "vm_uuid or vm_name, limit (all may be left out)",
        "Who changed what on this host, the newest first: of one VM, or of all, no more than limit entries.",
    ),
    function(
        "apply",
        "vm_uuid or vm_name, or pending (true: all); hard, dry_run",
        "Reboots running VMs that were started with other settings than they have now, one after the other. Answers which \
         have their settings, and which one did not come back. With hard (true), VMs whose guest has no agent are reset.",
    ),
    function("last_starts", "", "What the last start of each VM on this host was given, removed VMs included."),
    function("status", "", "The state of vgpu-config on this host, and in short on every other."),
    function(
        "check",
        "all_hosts",
        "Everything that has to be right on this host, or with all_hosts (true) on every host; changes nothing.",
    ),
    function("version", "", "The version of vgpu-config and of its database's schema."),
];

/// Every error's code, and what it means.
pub const ERRORS: &[(&str, &str)] = &[
    (
        "VGPU_INVALID_PARAM",
        "An argument is wrong, missing or unknown. Parameters: name, value, what is allowed; or a message.",
    ),
    ("VGPU_NOT_FOUND", "The VM is not registered, or there is no such host."),
    ("VGPU_ALREADY_EXISTS", "The VM is registered already, or the vm_id is another VM's."),
    ("VGPU_UNKNOWN_VM", "XAPI knows no such VM."),
    ("VGPU_ARGS_TOO_LONG", "device-model-args would be longer than 2048 bytes."),
    ("VGPU_ARGS_UNCLEAR", "device-model-args ends so that nothing can be added."),
    ("VGPU_NEWER_FORMAT", "A newer vgpu-config has written this VM's settings; update this host."),
    ("VGPU_DB_ERROR", "The database cannot be used."),
    ("VGPU_BUSY", "Another program is changing the VM."),
    ("VGPU_INTERRUPTED", "The program was told to end by a signal."),
    ("VGPU_XAPI_ERROR", "XAPI is away or refused."),
    ("VGPU_XENOPSD_ERROR", "xenopsd is away or refused."),
    ("RBAC_PERMISSION_DENIED", "The caller's role may look, but changes need pool-operator. Parameters: XAPI's own."),
    ("VGPU_SETTINGS_ERROR", "/etc/vgpu/vgpu.toml is not valid; the message names the line."),
    ("VGPU_INVALID_FILE", "The file to import says what such a file cannot say; the message names the line."),
    ("VGPU_FILE_ERROR", "The file to import or to write cannot be read or written."),
    ("VGPU_INVALID_CALL", "This was no call of XAPI's."),
    ("VGPU_INTERNAL_ERROR", "A mistake of vgpu-config: please report it."),
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
        "/etc/xapi.d/plugins/vgpu answers host.call_plugin on the host whose database is meant. Answers are JSON, the same \
         that vgpu-admin --format json prints. An empty argument is as good as none, an unknown one is an error. Nothing \
         has changed when a call fails.",
    );
    page.section("FUNCTIONS");
    for function in FUNCTIONS {
        let about = match function.arguments {
            "" => format!("{} No arguments.", function.about),
            arguments => format!("{} Arguments: {arguments}.", function.about),
        };
        page.entry(function.name, &about);
    }
    page.section("ARGUMENTS");
    page.entry(
        "vm_name",
        "the VM's name in XAPI; where several VMs have it, the call fails and lists them. Where XAPI is away, the name that the \
         VM had when XAPI was last asked",
    );
    page.entry("pool", "A or B; vgpu.toml(5) has the default for register_vm");
    page.entry("priority", "low, medium or high; or 0, 1, 2; vgpu.toml(5) has the default for register_vm");
    page.entry("vm_id", "the device's number for the VM, 1 to 4294967295; derived from the UUID where it is left out");
    page.entry("force", "true registers a VM that XAPI does not know (yet)");
    page.entry("dry_run", "true only says what would be done");
    page.section("ERRORS");
    page.paragraph("Where nothing else is said, the one parameter is a message for people.");
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;

    use regex::Regex;
    use vgpu_config::request::Request;

    use super::*;

    const SOURCES: [&str; 2] = [include_str!("../../../plugin/src/main.rs"), include_str!("../../../src/error.rs")];

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
