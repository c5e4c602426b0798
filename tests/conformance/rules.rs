//! What XAPI allows in which state, and who may do it. Each test names the lines of the real sources that say so.

use simulated_host::Role;

use crate::support::{Lab, VM, VM_REF, body, post};

fn vm() -> String {
    format!("\"{VM_REF}\"")
}

fn allowed(lab: &Lab) -> String {
    lab.json("VM.get_allowed_operations", &[&vm()])
}

fn shown(operations: &[&str]) -> String {
    format!(r#"{{"jsonrpc":"2.0","result":["{}"],"id":1}}"#, operations.join(r#"",""#))
}

/// `allowed_power_states` and the order of `update_allowed_operations` in `ocaml/xapi/xapi_vm_lifecycle.ml` of v24.11.0.
#[test]
fn what_is_allowed_is_shown_in_every_power_state() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.json("VM.pause", &[&vm()]);
    assert_eq!(lab.host.power_state(VM), "Paused");
    assert_eq!(allowed(&lab), shown(&["hard_reboot", "hard_shutdown", "unpause", "checkpoint", "snapshot"]));
    lab.json("VM.unpause", &[&vm()]);
    let running = ["changing_dynamic_range", "migrate_send", "pool_migrate", "changing_VCPUs_live", "suspend"];
    let running = [&running[..], &["hard_reboot", "hard_shutdown", "clean_reboot", "clean_shutdown", "pause"]].concat();
    assert_eq!(allowed(&lab), shown(&[&running[..], &["checkpoint", "snapshot"]].concat()));
    lab.host.suspend(VM).unwrap();
    let suspended = ["migrate_send", "destroy", "export", "resume_on", "resume", "hard_shutdown", "checkpoint"];
    assert_eq!(allowed(&lab), shown(&[&suspended[..], &["snapshot"]].concat()));
    let refused = lab.host.clone_vm(VM, "copy").unwrap_err();
    assert_eq!(
        (refused.code.as_str(), &refused.params[1..]),
        ("VM_BAD_POWER_STATE", &["halted", "suspended"].map(str::to_owned)[..])
    );
}

/// `with_vm_operation` in `ocaml/xapi/xapi_vm_helpers.ml` updates them at both ends; `is_allowed_concurrently`.
#[test]
fn a_hook_sees_that_nothing_else_may_be_done_meanwhile() {
    let lab = Lab::with_vm();
    lab.start_with("xapi = Xapi()\nxapi.logged('VM.get_allowed_operations', xapi.vm)\nxapi.close()");
    assert!(lab.hook_log().contains("VM.get_allowed_operations -> []"));
}

/// `shutdown` in `ocaml/xapi/xapi_vm.ml`, and in `message_forwarding.ml` for a suspended VM.
#[test]
fn vm_shutdown_ends_a_vm_in_whichever_way_works() {
    let lab = Lab::with_vm();
    let ends = || (lab.json("VM.shutdown", &[&vm()]), lab.host.power_state(VM));
    let ended = (r#"{"jsonrpc":"2.0","result":"","id":1}"#.to_owned(), "Halted".to_owned());
    lab.host.vm_start(VM).unwrap();
    lab.host.set_guest_agent(VM, false).unwrap();
    assert_eq!(ends(), ended);
    lab.host.set_guest_agent(VM, true).unwrap();
    lab.host.vm_start(VM).unwrap();
    lab.host.suspend(VM).unwrap();
    assert_eq!(ends(), ended);
    assert!(
        ends()
            .0
            .contains(r#"["OpaqueRef:556452a2-1e07-e9cb-96a2-88ed4c256b04","paused, suspended, running","halted"]"#)
    );
}

/// `set_is_a_template` in `message_forwarding.ml`.
#[test]
fn only_a_halted_vm_becomes_a_template() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    assert!(lab.json("VM.set_is_a_template", &[&vm(), "true"]).contains("VM_BAD_POWER_STATE"));
    lab.host.shutdown(VM).unwrap();
    lab.json("VM.set_is_a_template", &[&vm(), "true"]);
    assert!(lab.json("VM.set_is_a_template", &[&vm(), "true"]).contains(
        r#""VM_IS_TEMPLATE","data":["OpaqueRef:556452a2-1e07-e9cb-96a2-88ed4c256b04","make_into_template"]"#
    ));
    assert!(allowed(&lab).contains("provision") && !allowed(&lab).contains("start"));
    lab.json("VM.set_is_a_template", &[&vm(), "false"]);
    assert!(allowed(&lab).contains("start"));
}

fn call_as(lab: &Lab, role: Role, method: &str, params: &str) -> String {
    let session = lab.host.open_session(role);
    let call = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":["{session}",{params}],"id":1}}"#);
    String::from_utf8(body(&lab.xapi(&post("/jsonrpc", call.as_bytes())))).unwrap()
}

/// `map_keys_roles` in `ocaml/idl/datamodel_vm.ml` and `datamodel_pool.ml`, `permission_of_action` in
/// `ocaml/xapi/rbac.ml`.
#[test]
fn some_keys_of_other_config_have_a_role_of_their_own() {
    let lab = Lab::with_vm();
    let add = |role, key: &str| call_as(&lab, role, "VM.add_to_other_config", &format!(r#"{},"{key}","v""#, vm()));
    assert!(add(Role::VmAdmin, "other").contains(r#""result":"""#));
    let refused = add(Role::VmAdmin, "pci");
    let expected = r#"["vm.add_to_other_config/key:pci","No permission in user session. (Roles with this permission: pool-admin)"]"#;
    assert!(refused.contains(expected), "{refused}");
    assert!(add(Role::VmOperator, "XenCenter.CustomFields.x").contains(r#""result":"""#));
    assert!(add(Role::VmOperator, "folder").contains(r#""result":"""#));
    assert!(add(Role::ReadOnly, "folder").contains("vm.add_to_other_config/key:folder"));
    let pool = format!(r#""{}","EMPTY_FOLDERS","v""#, lab.host.pool_ref());
    assert!(call_as(&lab, Role::VmOperator, "pool.add_to_other_config", &pool).contains(r#""result":"""#));
}

/// `login_with_password` in `ocaml/xapi/xapi_session.ml`.
#[test]
fn root_s_session_lists_no_permissions_and_another_s_does() {
    let lab = Lab::start();
    let session = format!("\"{}\"", crate::support::SESSION);
    assert!(lab.json("session.get_rbac_permissions", &[&session]).contains(r#""result":[]"#));
    let operator = lab.host.open_session(Role::VmOperator);
    assert!(lab.json("session.get_rbac_permissions", &[&format!("\"{operator}\"")]).contains("vm.start"));
}

/// `check_live` in `message_forwarding.ml`: what has no metrics is not live.
#[test]
fn a_plugin_on_a_host_that_does_not_exist_is_a_host_that_is_offline() {
    let lab = Lab::start();
    let reply = lab.json("host.call_plugin", &["\"OpaqueRef:none\"", "\"lab\"", "\"main\"", "{}"]);
    assert!(reply.contains(r#"{"code":1,"message":"HOST_OFFLINE","data":["OpaqueRef:none"]}"#), "{reply}");
}

/// `call_host_plugin` in `message_forwarding.ml` of v26.1.4.
#[test]
fn a_plugin_is_not_called_through_a_paused_vm_which_the_error_names_with_a_capital() {
    let lab = Lab::with_vm();
    lab.host.vm_start(VM).unwrap();
    lab.json("VM.pause", &[&vm()]);
    let reply = lab.json("VM.call_host_plugin", &[&vm(), "\"lab\"", "\"main\"", "{}"]);
    assert!(reply.contains(&format!(r#""VM_BAD_POWER_STATE","data":["{VM_REF}","Running","Paused"]"#)), "{reply}");
}
