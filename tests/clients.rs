//! What programs outside of dom0 call: the plugin through `xe`, Python's XenAPI and the npm package xen-api, with the scripts of
//! the user guide. Both libraries are the real ones; `xe` is the simulated host's.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vgpu_tests::clients::Clients;
use vgpu_tests::root::Ran;
use vgpu_tests::{Dom0, VM, VM_ARGUMENT, programs};

/// Calls a function with its arguments.
type Call<'d> = dyn Fn(&str, &[&str]) -> Ran + 'd;

/// A way to call the plugin.
struct Way<'d> {
    name: &'static str,
    call: Box<Call<'d>>,
}

/// `xe` passes each argument as `args:NAME=VALUE`, and its output as it is.
fn xe(root: &Path, host: &str, function: &str, arguments: &[&str]) -> Ran {
    let mut command = Command::new(programs::folder().join("xe"));
    command.args(["host-call-plugin", &format!("host-uuid={host}"), "plugin=vgpu", &format!("fn={function}")]);
    command.args(arguments.iter().map(|argument| format!("args:{argument}")));
    Ran::of(command.env("XE_ROOT", root))
}

fn ways<'d>(dom0: &'d Dom0, clients: &'d Clients) -> [Way<'d>; 3] {
    let script = |name, program: &'static str, script: &'static str| Way {
        name,
        call: Box::new(move |function, arguments| clients.run(program, &[&[script, function], arguments].concat())),
    };
    let by_xe = move |function: &str, arguments: &[&str]| xe(dom0.root.folder(), dom0.host_uuid(), function, arguments);
    [
        Way { name: "xe", call: Box::new(by_xe) },
        script("XenAPI", "python3", "vgpu.py"),
        script("xen-api", "node", "vgpu.mjs"),
    ]
}

/// What a successful call answers.
fn answer(way: &Way<'_>, function: &str, arguments: &[&str]) -> Value {
    let ran = (way.call)(function, arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{} {function} {arguments:?}", way.name);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn every_client_registers_shows_changes_lists_and_removes_a_vm() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    let clients = Clients::new(dom0.root.folder());
    let uuid = format!("vm_uuid={VM}");
    for way in &ways(&dom0, &clients) {
        let registered = answer(way, "register_vm", &[&uuid, "pool=A", "priority=high"]);
        assert_eq!((&registered["changed"], &registered["xapi"]), (&json!(true), &json!("written")), "{}", way.name);
        assert_eq!(dom0.args_in_xapi(VM).as_deref(), Some(VM_ARGUMENT), "{}", way.name);
        let shown = answer(way, "show_vm", &["vm_name=web01"]);
        assert_eq!((&shown["pool"], &shown["in_xapi"]), (&json!("A"), &json!(true)), "{}", way.name);
        let changed = answer(way, "set_priority", &[&uuid, "priority=low"]);
        assert_eq!((&changed["from"]["priority"], &changed["vm"]["priority"]), (&json!("high"), &json!("low")));
        let again = answer(way, "register_vm", &[&uuid, "priority=low", "if_needed=true"]);
        assert_eq!(again["changed"], false, "{}", way.name);
        let listed = answer(way, "list_vms", &["pool=A"]);
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["vm_uuid"]), (1, &json!(VM)), "{}", way.name);
        answer(way, "remove_vm", &[&uuid]);
        assert_eq!(answer(way, "list_vms", &[]), json!([]), "{}", way.name);
    }
}

#[test]
fn every_client_shows_the_code_and_the_message_of_an_error() {
    let dom0 = Dom0::new();
    let clients = Clients::new(dom0.root.folder());
    let not_registered = format!("VM {VM} is not registered");
    for way in &ways(&dom0, &clients) {
        for (function, arguments, code, said) in [
            ("show_vm", &[format!("vm_uuid={VM}")][..], "VGPU_NOT_FOUND", not_registered.as_str()),
            ("register_vm", &[format!("vm_uuid={VM}"), "pool=C".to_owned()], "VGPU_INVALID_PARAM", "pool, C, A or B"),
            ("frobnicate", &[], "UNKNOWN_XENAPI_PLUGIN_FUNCTION", "frobnicate"),
        ] {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let ran = (way.call)(function, &arguments);
            assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{} {function}", way.name);
            assert!(ran.stderr.contains(code) && ran.stderr.contains(said), "{} {function}: {}", way.name, ran.stderr);
        }
    }
}

#[test]
fn names_with_special_characters_arrive_and_come_back_unchanged() {
    let dom0 = Dom0::new();
    let name = "web, <01> & \"Ünïcode\" 'x' = 100%";
    dom0.create_vm_with_uuid(VM, name);
    let clients = Clients::new(dom0.root.folder());
    dom0.register(VM, "A", "high");
    for way in &ways(&dom0, &clients) {
        assert_eq!(answer(way, "show_vm", &[&format!("vm_name={name}")])["vm_name"], name, "{}", way.name);
    }
}

#[test]
fn the_history_names_the_program_that_opened_the_session() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    let clients = Clients::new(dom0.root.folder());
    let ran = clients.run("python3", &["vgpu.py", "register_vm", "vm_name=web01"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let history = dom0.root.admin_json(&["history"]);
    assert!(history[0].to_string().contains("vgpu.py"), "{history}");
}

#[test]
fn xapi_lists_its_methods_in_both_notations() {
    let dom0 = Dom0::new();
    let clients = Clients::new(dom0.root.folder());
    let script = "import os, XenAPI; print(XenAPI.Session(os.environ['XAPI_URL']).system.listMethods())";
    let by_xml = clients.run("python3", &["-c", script]);
    assert!(by_xml.stdout.contains("'host.call_plugin'") && by_xml.stdout.starts_with('['), "{by_xml:?}");
    // This one asks by JSON, before it connects.
    assert_eq!(clients.run("node", &["vgpu.mjs", "version"]).code, Some(0));
    assert!(dom0.calls().iter().any(|call| call == "system.listMethods"), "{:?}", dom0.calls());
}
