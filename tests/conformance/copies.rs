//! Clones, snapshots and what a revert brings back.

use serde_json::Value;

use crate::support::{Lab, vector};

const SOURCE: &str = "04f35b02-6851-f629-48d6-1e130529ab8d";
const SOURCE_REF: &str = "OpaqueRef:a1a1d688-161c-e0fb-4e7e-c74e7747e0ee";

fn with_source() -> Lab {
    let lab = Lab::start();
    lab.host.import_record("VM", SOURCE_REF, &vector("copies/source.record.json")).unwrap();
    lab
}

fn recorded(name: &str) -> Value {
    serde_json::from_slice(&vector(&format!("copies/{name}.record.json"))).unwrap()
}

/// Compares a copy with the recorded one, but for what each copy has of its own, and for the text form of the
/// original that a snapshot carries and only a revert reads.
fn assert_like(lab: &Lab, uuid: &str, name: &str) {
    let (mut ours, mut recorded) = (lab.host.vm_record(uuid).unwrap(), recorded(name));
    for record in [&mut ours, &mut recorded] {
        for own in ["uuid", "metrics", "generation_id", "snapshot_time", "snapshot_metadata"] {
            record[own] = Value::Null;
        }
        if name != "snapshot" {
            record["other_config"]["mac_seed"] = Value::Null;
        }
    }
    let (ours, recorded) = (ours.as_object().unwrap(), recorded.as_object().unwrap());
    for (field, value) in recorded {
        assert_eq!(&ours[field], value, "{name}: {field}");
    }
    assert_eq!(ours.len(), recorded.len());
}

#[test]
fn a_clone_carries_everything_but_what_makes_it_a_vm_of_its_own() {
    let lab = with_source();
    let clone = lab.host.clone_vm(SOURCE, "the clone").unwrap();
    assert_like(&lab, &clone, "clone");
    let seeds = [SOURCE, &clone].map(|vm| lab.host.other_config(vm)["mac_seed"].clone());
    assert_ne!(seeds[0], seeds[1]);
    let copy = lab.json("VM.copy", &[&format!("\"{SOURCE_REF}\""), "\"the copy\"", "\"OpaqueRef:NULL\""]);
    let reference = copy.split('"').find(|word| word.starts_with("OpaqueRef:")).unwrap();
    let uuid = lab.json("VM.get_uuid", &[&format!("\"{reference}\"")]);
    assert_like(&lab, uuid.split('"').nth(7).unwrap(), "copy");
}

#[test]
fn a_snapshot_is_a_template_with_everything_in_it() {
    let lab = with_source();
    let snapshot = lab.host.snapshot(SOURCE, "snap").unwrap();
    assert_like(&lab, &snapshot, "snapshot");
    let from_snapshot = lab.host.clone_vm(&snapshot, "from snap").unwrap();
    assert_like(&lab, &from_snapshot, "clone_of_snapshot");
    let error = lab.host.vm_start(&snapshot).unwrap_err();
    assert_eq!(error.code, "VM_IS_SNAPSHOT");
}

#[test]
fn a_clone_of_a_template_becomes_a_vm_when_it_is_provisioned() {
    let lab = with_source();
    let source = format!("\"{SOURCE_REF}\"");
    lab.json("VM.set_is_a_template", &[&source, "true"]);
    let copy = lab.json("VM.clone", &[&source, "\"from template\""]);
    let reference = copy.split('"').find(|word| word.starts_with("OpaqueRef:")).unwrap();
    let uuid = lab.json("VM.get_uuid", &[&format!("\"{reference}\"")]);
    let uuid = uuid.split('"').nth(7).unwrap();
    assert_like(&lab, uuid, "clone_of_template");
    assert_eq!(lab.host.vm_start(uuid).unwrap_err().code, "VM_IS_TEMPLATE");
    lab.json("VM.provision", &[&format!("\"{reference}\"")]);
    assert_like(&lab, uuid, "provisioned");
}

#[test]
fn a_revert_brings_back_the_platform_the_other_config_and_the_name() {
    let lab = with_source();
    let vm = lab.host.create_vm("before");
    lab.host.set_platform_key(&vm, "device-model-args", Some("-device old")).unwrap();
    let snapshot = lab.host.snapshot(&vm, "snap").unwrap();
    lab.host.set_platform_key(&vm, "device-model-args", Some("-device new")).unwrap();
    lab.host.rename(&vm, "after").unwrap();
    lab.host.vm_start(&vm).unwrap();
    lab.host.revert(&snapshot).unwrap();
    assert_eq!(lab.host.power_state(&vm), "Halted");
    assert_eq!(lab.host.platform(&vm)["device-model-args"], "-device old");
    assert_eq!(lab.host.vm_record(&vm).unwrap()["name_label"], "before");
    let boot = lab.host.vm_start(&vm).unwrap();
    assert_eq!(boot.device_model_args.as_deref(), Some("-device old"));
}

/// `create_vm_from_snapshot` in `ocaml/xapi/xapi_vm_snapshot.ml`.
#[test]
fn a_snapshot_goes_on_naming_a_vm_that_is_gone() {
    let lab = with_source();
    let snapshot = lab.host.snapshot(SOURCE, "snap").unwrap();
    lab.host.destroy(SOURCE).unwrap();
    assert_eq!(lab.host.vm_record(&snapshot).unwrap()["snapshot_of"], SOURCE_REF);
}
