//! `vgpu-admin schema` describes what the commands print as JSON: real replies of every command keep to it.

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};
use vgpu_tests::root::Ran;
use vgpu_tests::{Dom0, ResourcePool, ScratchRoot, uuid};

/// The schemas, and which of them a reply has been held against.
struct Schemas {
    all: Value,
    used: BTreeSet<String>,
}

impl Schemas {
    fn of(root: &ScratchRoot) -> Self {
        Self { all: serde_json::from_str(&root.admin_ok(&["schema"])).unwrap(), used: BTreeSet::new() }
    }

    /// Holds a reply against the schema of its command.
    fn hold(&mut self, command: &str, reply: &str) {
        let reply: Value = serde_json::from_str(reply).unwrap_or_else(|error| panic!("{command}: {error}: {reply}"));
        let validator = closed_validator(&self.all[command]);
        let problems: Vec<_> = validator.iter_errors(&reply).map(|problem| problem.to_string()).collect();
        assert!(problems.is_empty(), "{command}: {problems:#?}\n{reply:#}");
        self.used.insert(command.to_owned());
    }

    /// Runs a command, and holds its reply against its schema. How it ends is not asked.
    fn run(&mut self, root: &ScratchRoot, arguments: &[&str]) {
        let Ran { stdout, .. } = root.admin(&[arguments, &["--format=json"]].concat());
        self.hold(arguments[0], &stdout);
    }
}

/// A field that the schema does not name is a mistake here, although readers have to expect it of later versions.
fn closed_validator(schema: &Value) -> Validator {
    let mut closed = schema.clone();
    close(&mut closed);
    jsonschema::draft202012::new(&closed).expect("a valid JSON Schema")
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.contains_key("properties") {
                fields.insert("unevaluatedProperties".to_owned(), json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Two hosts with VMs that run with and without their settings, are halted, not registered, and unknown.
fn pool() -> ResourcePool {
    let pool = ResourcePool::new(2);
    for number in 1..=5 {
        pool.on(0).create_vm_with_uuid(&uuid(number), &format!("web0{number}"));
    }
    for number in 1..=3 {
        pool.on(0).register(&uuid(number), "A", "low");
    }
    pool.on(0).plugin("register_vm", &[("vm_uuid", &uuid(9)), ("force", "true")]);
    for address in ["0000:81:00.0", "0000:82:00.0", "0000:83:00.0"] {
        pool.host(0).add_gpu(address, "NVIDIA Corporation", "AD102GL [L40S]");
    }
    pool.host(0).pass_through(&uuid(3), &["0000:83:00.0"]).unwrap();
    pool.on(0).start(&uuid(1));
    pool.on(1).start(&uuid(2));
    let by_hand = Some("-device vgpu-stub,pool_id=B,priority=high");
    pool.on(0).set_platform_key(&uuid(4), "device-model-args", by_hand).unwrap();
    pool.on(0).start(&uuid(5));
    pool.on(0).plugin("set_pool", &[("vm_uuid", &uuid(2)), ("pool", "B")]);
    pool
}

/// In an order in which each has something to reply.
const COMMANDS: &[&[&str]] = &[
    &["list-vms"],
    &["list-vms", "--pool=B"],
    &["list-pools"],
    &["scan-vms"],
    &["show-vm", "web01"],
    &["show-vm", "web01", "web02", "web03"],
    &["status"],
    &["check"],
    &["check", "web02"],
    &["check", "--all-hosts"],
    &["apply", "--pending", "--dry-run"],
    &["apply", "--pending", "--yes"],
    &["set-pool", "web01", "B", "--dry-run"],
    &["set-pool", "web01", "web02", "A"],
    &["set-priority", "web01", "high"],
    &["update-vm", "web03", "--vm-id=7"],
    &["adopt", "--dry-run"],
    &["adopt"],
    &["register-vm", "web05", "--pool=B"],
    &["remove-vm", "web05", "--yes"],
    &["sync", "--dry-run"],
    &["sync"],
    &["prune", "--dry-run"],
    &["prune", "--yes"],
    &["scan-gpus"],
    &["metrics"],
    &["set-gpu-pool", "A", "--name=render", "--max-vms=9", "--dry-run"],
    &["set-gpu-pool", "A", "--name=render", "--max-vms=9"],
    &["assign-gpu", "A", "--gpu=xcp-ng-1:0000:81:00.0"],
    &["show-pool", "A"],
    &["list-pools"],
    &["unassign-gpu", "--gpu=xcp-ng-1:0000:81:00.0"],
    &["assign-gpu", "B", "--gpu=xcp-ng-1:0000:82:00.0"],
    &["history"],
    &["export"],
    &["recover", "--dry-run", "--force"],
    &["qemu-wrapper", "status"],
];

#[test]
fn real_replies_of_every_command_keep_to_its_schema() {
    let pool = pool();
    let root = pool.on(0).root;
    let mut schemas = Schemas::of(root);
    for arguments in COMMANDS {
        schemas.run(root, arguments);
    }
    root.write(
        "vgpu.json",
        root.admin_ok(&["export", "--format=json"]).replace("\"high\"", "\"low\"").replace("render", "other"),
    );
    let file = root.path("vgpu.json").display().to_string();
    schemas.run(root, &["import", "--dry-run", &file]);
    schemas.run(root, &["import", &file]);
    let failed = root.admin_fails(&["show-vm", "nobody", "--format=json"]);
    schemas.hold("error", &failed);
    let all: BTreeSet<_> = schemas.all.as_object().unwrap().keys().cloned().collect();
    assert_eq!(schemas.used, all, "every schema is tried");
}

#[test]
fn without_xapi_replies_keep_to_their_schemas_too() {
    let root = ScratchRoot::new();
    let mut schemas = Schemas::of(&root);
    schemas.run(&root, &["register-vm", "--vm-uuid", &uuid(1), "--vm-name=web01"]);
    for arguments in
        [&["list-vms"][..], &["show-vm", "web01"], &["list-pools"], &["status"], &["check"], &["export"], &["history"]]
    {
        schemas.run(&root, arguments);
    }
}

#[test]
fn a_schema_refuses_what_no_reply_is() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(&uuid(1), "web01");
    dom0.register(&uuid(1), "A", "low");
    let schema: Value = serde_json::from_str(&dom0.root.admin_ok(&["schema", "list-vms"])).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let validator = closed_validator(&schema);
    let list = dom0.root.admin_json(&["list-vms"]);
    assert!(validator.is_valid(&list));
    for (field, wrong) in [
        ("pool", json!("C")),
        ("priority", json!(1)),
        ("vm_uuid", json!("web01")),
        ("vm_id", json!(0)),
        ("in_xapi", json!("yes")),
        ("another", json!(1)),
    ] {
        let mut list = list.clone();
        list[0][field] = wrong;
        assert!(!validator.is_valid(&list), "{field}");
    }
    let complaint = dom0.root.admin(&["schema", "lst-vms"]);
    assert!(complaint.code == Some(2) && complaint.stderr.contains("'list-vms'"), "{complaint:?}");
}
