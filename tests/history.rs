//! Who changed what: every way in which a VM's settings change leaves one entry, and says by whom.

use serde_json::{Value, json};
use simulated_host::Role;
use vgpu_tests::{Dom0, ResourcePool, VM, VM_ARGUMENT, uuid};

fn history(dom0: &Dom0) -> Vec<Value> {
    dom0.root.admin_json(&["history"]).as_array().unwrap().clone()
}

/// What came through what, the newest first.
fn through(dom0: &Dom0) -> Vec<String> {
    history(dom0).iter().map(|entry| entry["through"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_change_says_when_where_by_whom_what_from_and_what_to() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let session = dom0.open_session(Role::PoolOperator);
    dom0.call_plugin_in(&session, "vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap();
    dom0.root.admin_ok(&["update-vm", "--vm-uuid", &vm, "--priority=low", "--vm-id=7"]);
    dom0.root.admin_ok(&["remove-vm", "--vm-uuid", &vm, "--yes"]);
    let number = crc32(&vm);
    let [first, second, third] = [
        json!({"pool": "A", "priority": "high", "vm_id": number}),
        json!({"pool": "B", "priority": "high", "vm_id": number}),
        json!({"pool": "B", "priority": "low", "vm_id": 7}),
    ];
    let entries = history(&dom0);
    let told = |field: &str| entries.iter().map(|entry| entry[field].clone()).collect::<Vec<_>>();
    assert_eq!(told("from"), [third.clone(), second.clone(), first.clone(), Value::Null]);
    assert_eq!(told("to"), [Value::Null, third, second, first]);
    assert_eq!(told("through"), ["vgpu-admin", "vgpu-admin", "plugin", "plugin"]);
    assert_eq!(told("changed_by"), ["root", "root", "pool-operator@example.test (test)", "root (test)"]);
    let time = regex::Regex::new(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$").unwrap();
    for entry in &entries {
        assert_eq!((&entry["vm_name"], &entry["host_uuid"]), (&json!("web01"), &json!(dom0.host_uuid())));
        assert!(time.is_match(entry["changed_at"].as_str().unwrap()), "{entry}");
    }
    assert_eq!(dom0.plugin("history", &[("vm_uuid", &vm)]), json!(entries), "the plugin answers the same");
}

fn crc32(vm: &str) -> u64 {
    let derived = vgpu_config::model::DeviceVmId::derived_from(&vm.parse().unwrap());
    u64::from(derived.get())
}

#[test]
fn an_edit_by_hand_appears_as_such() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES (upper('{VM}'), 'A', 2)"));
    dom0.sql(&format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{VM}'"));
    dom0.sql(&format!("UPDATE vms SET vm_uuid = '{}'", uuid(1)));
    dom0.sql("DELETE FROM vms");
    assert_eq!(through(&dom0), ["by hand"; 5], "another UUID is a removal and a registration");
    let of_vm = dom0.root.admin_json(&["history", "--vm-uuid", VM]);
    let priorities = |field: &str| {
        of_vm.as_array().unwrap().iter().map(|entry| entry[field]["priority"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(priorities("to"), [Value::Null, json!("low"), json!("high")]);
    assert_eq!(of_vm[0]["changed_by"], Value::Null);
}

#[test]
fn a_number_that_is_derived_later_belongs_to_the_registration_by_hand() {
    let dom0 = Dom0::new();
    dom0.create_vm_with_uuid(VM, "web01");
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{VM}', 'A', 2)"));
    assert_eq!(dom0.start(VM).unwrap(), VM_ARGUMENT);
    assert_eq!(through(&dom0), ["by hand"]);
    assert_eq!(history(&dom0)[0]["to"]["vm_id"], 1_170_751_909);
}

#[test]
fn what_changes_nothing_or_fails_leaves_no_entry() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "A")]);
    dom0.call_plugin("vgpu", "register_vm", &[("vm_uuid", &vm), ("pool", "B"), ("priority", "low")]).unwrap_err();
    dom0.root.admin_ok(&["sync", "--dry-run"]);
    dom0.root.admin_ok(&["sync"]);
    dom0.start(&vm);
    assert_eq!(through(&dom0), ["plugin"], "the registration alone");
}

#[test]
fn the_hook_signs_what_it_registers() {
    let dom0 = Dom0::new();
    dom0.root.settings("unregistered = \"default\"");
    let vm = dom0.create_vm("web01");
    dom0.start(&vm);
    assert_eq!(through(&dom0), ["hook"]);
}

#[test]
fn an_import_and_a_prune_leave_one_entry_for_each_vm_that_they_change() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let config = format!(
        "version = 1\n[[vm]]\nvm_uuid = \"{vm}\"\npool = \"B\"\npriority = \"low\"\nvm_id = 5\n\
         [[vm]]\nvm_uuid = \"{}\"\npool = \"A\"\npriority = \"low\"\n",
        uuid(1)
    );
    dom0.plugin("import", &[("config", &config)]);
    assert_eq!(through(&dom0), ["plugin"; 3]);
    dom0.root.admin_ok(&["prune", "--yes"]);
    assert_eq!(history(&dom0)[0]["vm_uuid"], uuid(1));
    assert_eq!(through(&dom0), ["vgpu-admin", "plugin", "plugin", "plugin"]);
}

#[test]
fn what_was_taken_over_is_another_hosts_and_has_its_time() {
    let pool = ResourcePool::new(2);
    let vm = pool.host(0).create_vm("web01");
    pool.on(0).register(&vm, "A", "high");
    pool.on(0).plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    pool.on(1).start(&vm);
    let here = pool.on(0).root.admin_json(&["history"]);
    let there = pool.on(1).root.admin_json(&["history"]);
    assert_eq!(there.as_array().unwrap().len(), 1, "one entry, however many changes it was elsewhere: {there}");
    assert_eq!((&there[0]["through"], &there[0]["host_uuid"]), (&json!("another host"), &Value::Null));
    assert_eq!((&there[0]["to"], &there[0]["changed_at"]), (&here[0]["to"], &here[0]["changed_at"]));
}

#[test]
fn it_is_bounded() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("history = 3");
    for priority in ["low", "medium", "high", "low", "medium"] {
        dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", priority)]);
    }
    let entries = history(&dom0);
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0]["to"]["priority"], "medium");
    assert_eq!(dom0.root.admin_json(&["history", "--limit=1"]), json!([entries[0]]));
    dom0.root.settings("history = 0");
    dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    assert_eq!(history(&dom0), Vec::<Value>::new());
}

#[test]
fn for_people_it_is_a_table() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    let said = dom0.root.admin_ok(&["history"]);
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("TIME (UTC)") && lines.len() == 3, "{said}");
    assert!(
        lines[1].contains("A high") && lines[1].contains("B high") && lines[1].contains("vgpu-admin: root"),
        "{said}"
    );
    assert!(lines[2].contains("plugin: root (test)"), "{said}");
    let empty = Dom0::new().root.admin(&["history"]);
    assert_eq!((empty.stdout.as_str(), empty.stderr.as_str()), ("", "vgpu-admin: the history of this host is empty\n"));
}

#[test]
fn looking_shortens_nothing_and_a_bound_above_the_default_holds() {
    let dom0 = Dom0::new();
    dom0.root.settings("history = 50000");
    let fill = "INSERT INTO history (vm_uuid, new_pool_id) VALUES ('x', 'A');";
    let double = "INSERT INTO history (vm_uuid, new_pool_id) SELECT vm_uuid, new_pool_id FROM history;";
    dom0.sql(&format!("BEGIN; {fill} {} COMMIT;", double.repeat(14)));
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{VM}', 'A', 2)"));
    dom0.root.admin_ok(&["list-vms"]);
    assert_eq!(dom0.sql("SELECT count(*) FROM history").trim(), "16385");
}

#[test]
fn a_row_that_was_replaced_by_hand_says_what_it_had_and_one_that_had_to_go_is_a_removal() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let other = dom0.create_vm("other");
    dom0.sql(&format!("REPLACE INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'B', 0)"));
    assert_eq!(history(&dom0)[0]["from"]["pool"], "A");
    let taken = dom0.sql("SELECT vm_id FROM vms");
    dom0.sql(&format!(
        "REPLACE INTO vms (vm_id, vm_uuid, pool_id, priority) VALUES ({}, '{other}', 'A', 2)",
        taken.trim()
    ));
    let removal = dom0.root.admin_json(&["history", "--vm-uuid", &vm])[0].clone();
    assert_eq!((&removal["to"], &removal["through"]), (&Value::Null, &json!("by hand")));
    assert_eq!(removal["from"]["pool"], "B");
    dom0.root.admin_ok(&["sync"]);
    assert!(dom0.pool_other_config()[&format!("vgpu:{vm}")].starts_with("1 - -"), "the other hosts are told");
    assert_eq!(dom0.start(&vm), None);
}

#[test]
fn who_gives_a_vm_another_number_because_of_a_conflict_signs_that() {
    let dom0 = Dom0::new();
    let [first, second] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), "web");
        uuid(number)
    });
    dom0.root.admin_ok(&["register-vm", "--vm-uuid", &second, "--pool=A", "--priority=low", "--vm-id=7"]);
    dom0.set_pool_other_config(&format!("vgpu:{first}"), Some("1 B 1 7 1 1790000000"));
    dom0.root.admin_ok(&["sync"]);
    let renumbered = &dom0.root.admin_json(&["history", "--vm-uuid", &second])[0];
    assert_eq!((&renumbered["through"], &renumbered["from"]["vm_id"]), (&json!("vgpu-admin"), &json!(7)));
    assert_ne!(renumbered["to"]["vm_id"], 7);
    assert_eq!(dom0.root.admin_json(&["history", "--vm-uuid", &first])[0]["through"], "another host");
}
