//! `metrics`: the numbers for a monitoring system, read by the real parsers.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use simulated_host::{Fault, Role, Service};
use vgpu_tests::root::Ran;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, VM, programs, uuid};

/// The folder with Python's `prometheus_client`, installed once.
fn prometheus_client() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let script = programs::workspace().join("tests/setup/prometheus-client.sh");
        let ran = Ran::of(Command::new("sh").arg(script));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout.trim_end().into()
    })
}

/// What a parser reads: `name{label=value,…}` and its number. Labels are in the order of their names.
fn read_by(parser: &str, text: &str) -> Value {
    let script = format!(
        "import json, sys
from {parser} import text_string_to_metric_families
samples = {{}}
for family in text_string_to_metric_families(sys.argv[1]):
    assert family.type == 'gauge' and family.documentation.endswith('.'), family
    for sample in family.samples:
        labels = ','.join(f'{{name}}={{value}}' for name, value in sorted(sample.labels.items()))
        name = f'{{sample.name}}{{{{{{labels}}}}}}' if labels else sample.name
        assert name not in samples, name
        samples[name] = sample.value
print(json.dumps(samples))"
    );
    let ran = Ran::of(Command::new("python3").env("PYTHONPATH", prometheus_client()).args(["-c", &script, text]));
    assert_eq!(ran.code, Some(0), "{}\n{text}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn metrics(root: &ScratchRoot) -> Value {
    let text = root.admin_ok(&["metrics"]);
    assert!(text.ends_with("\n# EOF\n"), "{text}");
    let read = read_by("prometheus_client.openmetrics.parser", &text);
    assert_eq!(
        read_by("prometheus_client.parser", &text),
        read,
        "node_exporter's textfile collector reads the older format"
    );
    read
}

/// The VMs of a GPU pool at a priority, by their states.
fn vms(metrics: &Value, pool: &str, priority: &str) -> [u64; 4] {
    ["as_configured", "pending", "not_running", "not_known"]
        .map(|state| metrics[format!("vgpu_vms{{pool={pool},priority={priority},state={state}}}")].as_u64().unwrap())
}

#[test]
fn vms_are_counted_by_gpu_pool_priority_and_whether_they_run_with_their_settings() {
    let dom0 = Dom0::new();
    for (number, pool, priority) in
        [(1, "A", "high"), (2, "A", "high"), (3, "A", "high"), (4, "B", "low"), (5, "B", "low")]
    {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), pool, priority);
    }
    for number in [1, 2, 5] {
        dom0.start(&uuid(number));
    }
    dom0.plugin("update_vm", &[("vm_uuid", &uuid(2)), ("vm_id", "7")]);
    dom0.plugin("remove_vm", &[("vm_uuid", &uuid(5))]);
    let metrics = metrics(&dom0.root);
    assert_eq!(vms(&metrics, "A", "high"), [1, 1, 1, 0]);
    assert_eq!(vms(&metrics, "B", "low"), [0, 0, 1, 0]);
    assert_eq!(vms(&metrics, "B", "high"), [0, 0, 0, 0], "what is not there is counted too");
    assert_eq!(metrics["vgpu_pending_vms"], 2, "with the one that was removed and still runs with a vGPU");
    assert_eq!((&metrics["vgpu_unsynced_changes"], &metrics["vgpu_xapi_up"]), (&json!(0), &json!(1)));
    let version = env!("CARGO_PKG_VERSION");
    let info = format!("vgpu_config_info{{schema={},version={version}}}", vgpu_config::store::LATEST_SCHEMA);
    assert_eq!(metrics[info], 1);
}

#[test]
fn limits_and_gpus_are_counted_by_gpu_pool() {
    let dom0 = Dom0::new();
    dom0.sql("UPDATE gpu_pools SET max_vms = 8 WHERE pool_id = 'B'");
    dom0.sql(&format!(
        "INSERT INTO gpus (host_uuid, pci_address, pool_id) VALUES ('{}', '0000:81:00.0', 'A')",
        dom0.host_uuid()
    ));
    let metrics = metrics(&dom0.root);
    assert_eq!(
        (&metrics["vgpu_pool_max_vms{pool=A}"], &metrics["vgpu_pool_max_vms{pool=B}"]),
        (&Value::Null, &json!(8))
    );
    assert_eq!((&metrics["vgpu_pool_gpus{pool=A}"], &metrics["vgpu_pool_gpus{pool=B}"]), (&json!(1), &json!(0)));
    assert_eq!(metrics["vgpu_unsynced_changes"], 2);
}

#[test]
fn the_last_check_is_in_them_with_its_time_its_failures_and_its_warnings() {
    let dom0 = Dom0::new();
    let before = metrics(&dom0.root);
    assert_eq!(before.get("vgpu_last_check_timestamp_seconds"), None, "{before}");
    dom0.root.admin_ok(&["check"]);
    let well = metrics(&dom0.root);
    assert_eq!((&well["vgpu_last_check_failed"], &well["vgpu_last_check_warnings"]), (&json!(0), &json!(0)));
    assert!(well["vgpu_last_check_timestamp_seconds"].as_u64().unwrap() > 1_700_000_000, "{well}");
    dom0.root.settings("no such setting");
    assert_eq!(dom0.root.admin(&["check"]).code, Some(1));
    dom0.root.settings("");
    assert_eq!(metrics(&dom0.root)["vgpu_last_check_failed"], 1);
    dom0.register(&dom0.create_vm("web01"), "A", "low");
    sql_ok(&dom0.root.database(), "UPDATE gpu_pools SET max_vms = 0");
    dom0.root.admin_ok(&["sync"]);
    dom0.root.admin_ok(&["check"]);
    let warned = metrics(&dom0.root);
    assert_eq!((&warned["vgpu_last_check_failed"], &warned["vgpu_last_check_warnings"]), (&json!(0), &json!(1)));
}

#[test]
fn without_xapi_it_is_not_known_what_the_vms_run_with() {
    let dom0 = Dom0::new();
    dom0.register(&dom0.create_vm("web01"), "A", "low");
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.root.register(VM, "web02", "A", "low");
    let metrics = metrics(&dom0.root);
    assert_eq!(vms(&metrics, "A", "low"), [0, 0, 0, 2]);
    assert_eq!((&metrics["vgpu_xapi_up"], &metrics["vgpu_unsynced_changes"]), (&json!(0), &json!(1)));
    assert_eq!(metrics.get("vgpu_pending_vms"), None, "{metrics}");
}

#[test]
fn the_plugin_answers_the_same_text_to_every_role() {
    let dom0 = Dom0::new();
    let answer = dom0.plugin("metrics", &[]);
    assert_eq!(answer["content_type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer["text"], dom0.root.admin_ok(&["metrics"]));
    assert_eq!(dom0.root.admin_json(&["metrics"]), answer);
    dom0.call_plugin_as(Role::VmOperator, "vgpu", "metrics", &[]).unwrap();
}
