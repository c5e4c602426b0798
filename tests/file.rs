//! The whole configuration as a file: what export writes, import reads, all of it or nothing.

use std::io::Write;
use std::process::Stdio;

use simulated_host::{Fault, Service};
use vgpu_tests::{Dom0, uuid};

fn three_vms() -> Dom0 {
    let dom0 = Dom0::new();
    for (number, pool, priority) in [(1, "A", "high"), (2, "A", "low"), (3, "B", "medium")] {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), pool, priority);
    }
    dom0
}

fn import(dom0: &Dom0, text: &str, options: &[&str]) -> serde_json::Value {
    dom0.root.write("import.toml", text);
    let file = dom0.root.path("import.toml").display().to_string();
    dom0.root.admin_json(&[&["import", &file], options].concat())
}

fn import_fails(dom0: &Dom0, text: &str) -> String {
    dom0.root.write("import.toml", text);
    dom0.root.admin_fails(&["import", &dom0.root.path("import.toml").display().to_string()])
}

/// Everything that an import could change.
fn state(dom0: &Dom0) -> impl PartialEq + std::fmt::Debug + use<> {
    let args: Vec<_> = (1..=4).map(|number| dom0.platform(&uuid(number))).collect();
    (dom0.sql("SELECT * FROM vms; SELECT * FROM vm_state"), dom0.pool_other_config(), args)
}

#[test]
fn what_export_writes_import_reads_and_again_does_nothing() {
    let dom0 = three_vms();
    for format in ["table", "json"] {
        let text = dom0.root.admin_ok(&["export", "--format", format]);
        let before = state(&dom0);
        let reply = import(&dom0, &text, &["--prune"]);
        assert_eq!((&reply["changes"], &reply["unchanged"]), (&serde_json::json!([]), &3.into()), "{text}");
        assert_eq!(state(&dom0), before);
    }
}

#[test]
fn an_export_brings_everything_back_on_an_empty_host() {
    let dom0 = three_vms();
    let text = dom0.root.admin_ok(&["export"]);
    assert!(text.starts_with("version = 1\n\n[[vm]]\nvm_uuid = \"00000001-"), "{text}");
    let other = Dom0::new();
    for number in 1..=3 {
        other.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
    }
    assert_eq!(import(&other, &text, &[])["changes"].as_array().unwrap().len(), 3);
    for number in 1..=3 {
        assert_eq!(other.argument(&uuid(number)), dom0.argument(&uuid(number)));
        assert_eq!(other.args_in_xapi(&uuid(number)), dom0.argument(&uuid(number)));
        assert_eq!(other.start(&uuid(number)), dom0.argument(&uuid(number)));
    }
    assert_eq!(other.root.admin_ok(&["export"]), text);
}

#[test]
fn an_import_changes_adds_and_with_prune_removes_and_a_dry_run_prints_it_like_a_diff() {
    let dom0 = three_vms();
    dom0.create_vm_with_uuid(&uuid(4), "vm4");
    let text = format!(
        "version = 1\n\
         vm = [\n\
         {{ vm_uuid = \"{}\", pool = \"B\", priority = \"high\" }},\n\
         {{ vm_uuid = \"{}\", pool = \"B\", priority = \"medium\" }},\n\
         {{ vm_uuid = \"{}\", vm_name = \"new\", pool = \"A\", priority = \"low\", vm_id = 7 }},\n\
         ]\n",
        uuid(1),
        uuid(3),
        uuid(4)
    );
    let before = state(&dom0);
    dom0.root.write("import.toml", &text);
    let file = dom0.root.path("import.toml").display().to_string();
    let said = dom0.root.admin_ok(&["import", "--dry-run", "--prune", &file]);
    assert_eq!(state(&dom0), before);
    let [one, two, four] = [1, 2, 4].map(uuid);
    assert!(said.contains(&format!("~ {one} (vm1)  A high vm_id 803270565 -> B high vm_id 803270565")), "{said}");
    assert!(
        said.contains(&format!("- {two} (vm2)  A low vm_id"))
            && said.contains(&format!("+ {four} (new)  A low vm_id 7"))
    );
    assert!(said.ends_with("3 would be changed, 1 unchanged.\n"), "{said}");
    import(&dom0, &text, &["--prune"]);
    assert_eq!(dom0.args_in_xapi(&two), None);
    assert_eq!(dom0.args_in_xapi(&four).unwrap(), "-device vgpu-stub,pool_id=A,priority=low,vm_id=7");
    assert!(dom0.args_in_xapi(&one).unwrap().contains("pool_id=B"));
    assert_eq!(import(&dom0, &text, &["--prune"])["changes"], serde_json::json!([]));
}

#[test]
fn two_vms_can_trade_their_numbers() {
    let dom0 = three_vms();
    let text = dom0.root.admin_ok(&["export"]);
    let number = |vm: u32| dom0.root.admin_json(&["show-vm", "--vm-uuid", &uuid(vm)])["vm_id"].to_string();
    let (one, two) = (number(1), number(2));
    let traded = text.replace(&one, "X").replace(&two, &one).replace('X', &two);
    assert_eq!(import(&dom0, &traded, &[])["changes"].as_array().unwrap().len(), 2);
    assert_eq!((number(1), number(2)), (two, one));
    for vm in 1..=2 {
        assert_eq!(dom0.args_in_xapi(&uuid(vm)), dom0.argument(&uuid(vm)));
        let revision = dom0.root.admin_json(&["show-vm", "--vm-uuid", &uuid(vm)])["revision"].as_i64().unwrap();
        assert!(revision > 1, "the other hosts have to learn of it");
    }
}

#[test]
fn a_file_that_is_wrong_is_refused_with_line_and_name_and_changes_nothing() {
    let dom0 = three_vms();
    let before = state(&dom0);
    let vm = |number, rest: &str| {
        format!("[[vm]]\nvm_uuid = \"{}\"\npool = \"A\"\npriority = \"low\"\n{rest}", uuid(number))
    };
    for (text, complaint) in [
        (format!("version = 1\n{}prioritty = 1\n", vm(1, "")), "line 6: unknown field `prioritty`"),
        ("version = 1\n[[vms]]\n".to_owned(), "line 2: unknown field `vms`"),
        ("[[vm]]\n".to_owned(), "missing field"),
        ("version = 2\n".to_owned(), "has version 2, but this program only knows version 1"),
        ("version = 1\n[[vm]]\npool = \"C\"\n".to_owned(), "line 3: 'C' is not valid: expected A or B"),
        ("{\"version\": 1, \"vm\": [{\"vm_uuid\": \"x\"}]}".to_owned(), "at line 1 column"),
        (format!("version = 1\n{}{}", vm(4, ""), vm(4, "")), "twice"),
        (format!("version = 1\n{}{}", vm(1, "vm_id = 9\n"), vm(2, "vm_id = 9\n")), "vm_id 9 for VM 00000001-"),
        (format!("version = 1\n{}", vm(1, "vm_id = 333567347\n")), "belongs to VM 00000002-"),
        (
            format!("version = 1\n{}", vm(4, "vm_name = \"web\\u0000\"\n")),
            "the name of VM 00000004-0000-4000-8000-000000000004 is 'web\\0'",
        ),
    ] {
        let complained = import_fails(&dom0, &text);
        assert!(complained.contains(complaint), "{text}: {complained}");
        assert_eq!(state(&dom0), before, "{text}");
    }
    assert!(dom0.root.admin_fails(&["import", "/nowhere/vgpu.toml"]).contains("/nowhere/vgpu.toml: No such file"));
}

#[test]
fn an_import_that_xapi_refuses_in_the_middle_has_not_happened() {
    let dom0 = three_vms();
    let before = state(&dom0);
    let text = dom0.root.admin_ok(&["export"]).replace("\"A\"", "\"B\"");
    // The second VM's record is one that cannot be written.
    dom0.set_args_in_xapi(&uuid(2), Some(&"x".repeat(2045)));
    let before_args = dom0.platform(&uuid(1));
    let complained = import_fails(&dom0, &text);
    assert!(complained.contains("2048"), "{complained}");
    assert_eq!(dom0.platform(&uuid(1)), before_args);
    dom0.set_args_in_xapi(&uuid(2), dom0.argument(&uuid(2)).as_deref());
    assert_eq!(state(&dom0), before);
}

#[test]
fn without_xapi_an_import_changes_the_database_and_says_so() {
    let dom0 = three_vms();
    let text = dom0.root.admin_ok(&["export"]).replace("\"A\"", "\"B\"");
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let reply = import(&dom0, &text, &[]);
    assert!(reply["notes"][0].as_str().unwrap().contains("Only the database was changed"), "{reply}");
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.start(&uuid(1)), dom0.argument(&uuid(1)));
}

#[test]
fn a_dash_is_standard_input_and_output() {
    let dom0 = three_vms();
    let text = dom0.root.admin_ok(&["export", "-"]);
    let mut command = dom0.root.command("usr/bin/vgpu-admin");
    let mut child = command.args(["import", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "0 changed, 3 unchanged.\n");
    let file = dom0.root.path("out.toml");
    dom0.root.admin_ok(&["export", &file.display().to_string()]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), text);
}

#[test]
fn the_plugin_exports_and_imports_too() {
    let dom0 = three_vms();
    let text = dom0.call_plugin("vgpu", "export", &[]).unwrap();
    let changed = text.replace("\"A\"", "\"B\"");
    let planned = dom0.plugin("import", &[("config", &changed), ("dry_run", "true")]);
    assert_eq!(planned["changes"].as_array().unwrap().len(), 2);
    dom0.plugin("import", &[("config", &changed)]);
    assert_eq!(dom0.plugin("count_by_pool", &[]), serde_json::json!({"A": 0, "B": 3}));
    let error = dom0.call_plugin("vgpu", "import", &[("config", "version = 9")]).unwrap_err();
    assert_eq!(error.code, "VGPU_INVALID_FILE");
}

#[test]
fn a_file_may_give_a_vm_the_number_that_another_would_have_got_or_had() {
    let dom0 = Dom0::new();
    let [one, other] = [uuid(1), uuid(2)];
    for vm in [&one, &other] {
        dom0.create_vm_with_uuid(vm, "web");
        dom0.register(vm, "A", "low");
    }
    let number_of = |vm: &str| dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["vm_id"].as_u64().unwrap();
    let number = number_of(&other);
    let vm =
        |uuid: &str, more: &str| format!("[[vm]]\nvm_uuid = \"{uuid}\"\npool = \"A\"\npriority = \"low\"\n{more}\n");
    let numbered = vm(&one, &format!("vm_id = {number}"));
    dom0.plugin("import", &[("config", &format!("version = 1\n{}{numbered}", vm(&other, "")))]);
    assert_eq!(number_of(&one), number);
    assert_ne!(number_of(&other), number_of(&one));
    let taken = number_of(&other);
    let config = format!("version = 1\n{}", vm(&one, &format!("vm_id = {taken}")));
    dom0.plugin("import", &[("config", &config), ("prune", "true")]);
    assert_eq!(number_of(&one), taken, "of one that the file does not name, and so removes");
}
