//! Physical GPUs in XAPI. Nothing of them is recorded: each test names the lines of the real sources that say so.

use simulated_host::{Role, xe};

use crate::support::{Lab, VM, VM_REF};

const ADDRESS: &str = "0000:81:00.0";

fn lab_with_gpu() -> Lab {
    let lab = Lab::with_vm();
    lab.host.add_gpu(ADDRESS, "NVIDIA Corporation", "AD102GL [L40S]");
    lab
}

fn names(record: &serde_json::Value) -> Vec<&str> {
    record.as_object().unwrap().keys().map(String::as_str).collect()
}

fn only_record(lab: &Lab, class: &str) -> serde_json::Value {
    let reply: serde_json::Value = serde_json::from_str(&lab.json(&format!("{class}.get_all_records"), &[])).unwrap();
    let records: Vec<_> = reply["result"].as_object().unwrap().values().cloned().collect();
    assert_eq!(records.len(), 1, "{reply}");
    records[0].clone()
}

/// `module PCI` and `module PGPU` in `ocaml/idl/datamodel.ml` of v24.19.0; fields that are `internal_only` are not sent
/// (`client_side_field` in `ocaml/idl/ocaml_backend/gen_db_actions.ml`).
#[test]
fn a_client_sees_neither_the_vms_that_have_a_device_nor_its_functions_in_the_device_s_record() {
    let lab = lab_with_gpu();
    let pci = only_record(&lab, "PCI");
    let mut fields = names(&pci);
    fields.sort_unstable();
    let expected = ["class_name", "dependencies", "device_name", "driver_name", "host", "other_config", "pci_id"];
    assert_eq!(
        fields,
        [&expected[..], &["subsystem_device_name", "subsystem_vendor_name", "uuid", "vendor_name"]].concat()
    );
    assert_eq!((&pci["pci_id"], &pci["host"]), (&ADDRESS.into(), &lab.host.host_ref().into()));
    let gpu = only_record(&lab, "PGPU");
    assert_eq!((&gpu["host"], &gpu["is_system_display_device"]), (&pci["host"], &false.into()));
    assert!(!names(&gpu).contains(&"size"), "{gpu}");
    assert!(lab.json("PCI.get_attached_VMs", &[&gpu["PCI"].to_string()]).contains("MESSAGE_METHOD_UNKNOWN"));
    assert!(lab.json("PGPU.get_by_name_label", &["\"name\""]).contains("MESSAGE_METHOD_UNKNOWN"));
}

/// Reading needs no role (`_R_READ_ONLY`), writing pool-operator (`messages_default_allowed_roles` of both classes).
#[test]
fn every_role_may_read_the_devices_and_only_a_pool_operator_may_write() {
    let lab = lab_with_gpu();
    let gpu = only_record(&lab, "PGPU")["PCI"].to_string();
    let as_role = |role: Role, method: &str, params: &str| {
        let session = lab.host.open_session(role);
        let call = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":["{session}"{params}],"id":1}}"#);
        String::from_utf8(lab.xapi(&crate::support::post("/jsonrpc", call.as_bytes()))).unwrap()
    };
    assert!(as_role(Role::ReadOnly, "PGPU.get_all_records", "").contains("is_system_display_device"));
    assert!(as_role(Role::ReadOnly, "PCI.get_all_records", "").contains(ADDRESS));
    let params = format!(r#",{gpu},"key","value""#);
    assert!(as_role(Role::VmAdmin, "PCI.add_to_other_config", &params).contains("RBAC_PERMISSION_DENIED"));
    assert!(as_role(Role::PoolOperator, "PCI.add_to_other_config", &params).contains(r#""result":"""#));
}

/// `other_pcidevs_of_vm` in `ocaml/xapi/pciops.ml`; `PCI.add_attached_VMs` once xenopsd has it plugged (`xapi_xenops.ml`),
/// whose other end is `VM.attached_PCIs` (`datamodel.ml`), and its removal where the VM is halted (`xapi_vm_lifecycle.ml`).
#[test]
fn a_vm_s_record_lists_the_devices_that_it_has_while_it_runs() {
    let lab = lab_with_gpu();
    let attached = || lab.host.vm_record(VM).unwrap()["attached_PCIs"].clone();
    lab.host.pass_through(VM, &[ADDRESS]).unwrap();
    assert_eq!(lab.host.other_config(VM)["pci"], "0/0000:81:00.0");
    assert_eq!(attached(), serde_json::json!([]));
    lab.host.vm_start(VM).unwrap();
    assert_eq!(attached(), serde_json::json!([only_record(&lab, "PGPU")["PCI"]]));
    lab.json("VM.hard_shutdown", &[&format!("\"{VM_REF}\"")]);
    assert_eq!(attached(), serde_json::json!([]));
}

/// `update_gpus` in `ocaml/xapi/xapi_pgpu.ml` destroys obsolete GPUs, `update_pcis` in `xapi_pci.ml` obsolete devices.
#[test]
fn a_gpu_that_is_gone_is_in_no_record_any_more() {
    let lab = lab_with_gpu();
    lab.host.remove_gpu(ADDRESS).unwrap();
    for class in ["PCI", "PGPU"] {
        assert_eq!(lab.json(&format!("{class}.get_all"), &[]), r#"{"jsonrpc":"2.0","result":[],"id":1}"#);
    }
    assert!(lab.host.remove_gpu(ADDRESS).is_err());
}

/// `gen_cmds` in `ocaml/xapi-cli-server/cli_operations.ml`, `pci_record` in `records.ml`.
#[test]
fn xe_lists_the_devices() {
    let lab = lab_with_gpu();
    let list = xe(lab.host.root(), &[b"pci-list".to_vec(), b"params=vendor-name,pci-id".to_vec()]);
    let expected = "vendor-name ( RO)    : NVIDIA Corporation\n         pci-id ( RO): 0000:81:00.0\n\n\n";
    assert_eq!(String::from_utf8(list.stdout).unwrap(), expected);
}
