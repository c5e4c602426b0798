//! What goes wrong between two steps: half a change is taken back, what is read in the wrong order or comes late overwrites
//! nothing, and one broken row is no other VM's trouble.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;
use simulated_host::{Fault, Service};
use vgpu_config::entry::Entry;
use vgpu_tests::{Dom0, uuid};

/// An argument that is none of ours.
const FOREIGN: &str = "-device foo,admin=1";

fn key(vm: &str) -> String {
    format!("vgpu:{vm}")
}

fn copy(dom0: &Dom0, vm: &str) -> Option<Entry> {
    dom0.pool_other_config().get(&key(vm)).map(|text| Entry::parse(text).unwrap())
}

/// A registered VM with an argument of the administrator's before ours.
fn with_foreign_argument() -> (Dom0, String, String) {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = format!("{FOREIGN} {}", dom0.args_in_xapi(&vm).unwrap());
    dom0.set_args_in_xapi(&vm, Some(&args));
    (dom0, vm, args)
}

fn assert_nothing_changed(dom0: &Dom0, vm: &str, args: &str) {
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.args_in_xapi(vm).as_deref(), Some(args));
    assert_eq!(copy(dom0, vm).unwrap().revision, 1);
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["pool"], "A");
    assert_eq!(dom0.start(vm).as_deref(), Some(args));
}

#[test]
fn a_write_whose_reply_is_lost_is_taken_back_and_no_foreign_argument_with_it() {
    for method in ["VM.add_to_platform", "VM.remove_from_platform", "pool.add_to_other_config"] {
        let (dom0, vm, args) = with_foreign_argument();
        dom0.set_fault_in(Service::Xapi, method, Fault::DropsReply).unwrap();
        let _ = dom0.root.admin_fails(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
        assert_nothing_changed(&dom0, &vm, &args);
    }
}

#[test]
fn a_write_in_which_the_toolstack_restarts_is_taken_back() {
    let (dom0, vm, args) = with_foreign_argument();
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Hangs).unwrap();
    thread::scope(|scope| {
        dom0.clear_calls();
        let command = scope.spawn(|| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool=B"]));
        while !dom0.calls().contains(&"VM.remove_from_platform".to_owned()) {
            assert!(!command.is_finished(), "it was to hang");
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(200));
        // Connections are closed, calls that hung are gone.
        dom0.restart_xapi().unwrap();
        assert_eq!(command.join().unwrap().code, Some(1));
    });
    assert_nothing_changed(&dom0, &vm, &args);
}

#[test]
fn a_hook_whose_write_is_cut_keeps_the_foreign_arguments() {
    let (dom0, vm, args) = with_foreign_argument();
    dom0.sql("UPDATE vms SET pool_id = 'B'");
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::DropsReply).unwrap();
    let got = dom0.start(&vm).unwrap();
    assert!(got.starts_with(FOREIGN) && got.contains("pool_id=B"), "{got}");
    let left = dom0.args_in_xapi(&vm).expect("the key is there");
    assert!(left == args || left == got, "{left}");
    dom0.clear_faults().unwrap();
    dom0.shutdown(&vm).unwrap();
    assert_eq!(dom0.start(&vm), Some(got.clone()));
    assert_eq!(dom0.args_in_xapi(&vm), Some(got));
}

#[test]
fn one_row_or_entry_that_cannot_be_understood_is_no_other_vms_trouble() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("on_error = \"block\"");
    dom0.sql(&format!(
        "PRAGMA ignore_check_constraints = 1; INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{}', 'A', 3)",
        uuid(1)
    ));
    dom0.root.admin_ok(&["status"]);
    let argument = dom0.argument(&vm);
    assert_eq!(dom0.start(&vm), argument);
    dom0.shutdown(&vm).unwrap();
    assert!(dom0.root.admin_ok(&["sync"]).contains("Nothing to do"));
    assert!(dom0.root.admin(&["check"]).stdout.contains("WRONG  rows"));
    for entry in ["1 B 2 7 9223372036854775807 0", "1 B 2 7 1 99999999999999", "1 B 2 7 -5 0"] {
        dom0.set_pool_other_config(&key(&uuid(2)), Some(entry));
        assert_eq!(dom0.start(&vm), argument, "{entry}");
        dom0.shutdown(&vm).unwrap();
        assert!(dom0.root.admin_ok(&["sync"]).contains("Nothing to do"), "{entry}");
    }
}

#[test]
fn news_of_another_vm_that_cannot_be_written_down_do_not_keep_a_vm_from_starting() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.root.settings("on_error = \"block\"");
    dom0.set_args_in_xapi(&vm, None);
    dom0.set_pool_other_config(&key(&uuid(1)), Some("1 B 2 7 1 1790000000"));
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(dom0.root.database()).status();
    if !chattr("+i").is_ok_and(|status| status.success()) {
        eprintln!("not tested: no file can be made immutable here");
        return;
    }
    let got = dom0.start(&vm);
    chattr("-i").unwrap();
    assert_eq!(got, dom0.argument(&vm));
}

#[test]
fn a_host_without_its_coordinator_keeps_newer_arguments_whatever_xapi_refuses_with() {
    for code in ["HOST_STILL_BOOTING", "INTERNAL_ERROR", "HOST_MASTER_CANNOT_TALK_BACK", "HOST_HAS_NO_MANAGEMENT_IP"] {
        let (dom0, vm) = Dom0::with_registered_vm();
        dom0.start(&vm);
        let newer = dom0.args_in_xapi(&vm).unwrap().replace("pool_id=A", "pool_id=B");
        dom0.set_args_in_xapi(&vm, Some(&newer));
        dom0.pass_on_events();
        dom0.set_fault(Service::Xapi, Fault::error(code, &[])).unwrap();
        assert_eq!(dom0.reboot_from_inside(&vm), Some(newer), "{code}");
        let said = dom0.root.admin_ok(&["set-priority", "--vm-uuid", &vm, "--priority=low"]);
        assert!(said.contains("Only the database was changed"), "{code}: {said}");
    }
}

#[test]
fn a_removal_that_others_know_of_yields_to_arguments_at_hand_while_xapi_is_away() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = dom0.args_in_xapi(&vm).unwrap();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    // Registered again on another host, which has started it there.
    dom0.set_args_in_xapi(&vm, Some(&args));
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    assert_eq!(dom0.start(&vm), Some(args));
}

#[test]
fn a_change_that_waits_for_another_is_compared_with_what_that_one_left() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let args = dom0.args_in_xapi(&vm).unwrap();
    let set_pool = |pool: &str| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool", pool]).code;
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_secs(1))).unwrap();
    thread::scope(|scope| {
        let first = scope.spawn(|| set_pool("B"));
        while dom0.args_in_xapi(&vm).as_ref() == Some(&args) {
            thread::sleep(Duration::from_millis(1));
        }
        // The first has told the other hosts and is in the middle of the VM's record.
        assert_eq!(set_pool("A"), Some(0));
        assert_eq!(first.join().unwrap(), Some(0));
    });
    assert_eq!((dom0.args_in_xapi(&vm), copy(&dom0, &vm).unwrap().revision), (Some(args), 3));
}

#[test]
fn what_another_host_changes_while_this_one_looks_is_not_repaired() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let text = dom0.pool_other_config()[&key(&vm)].clone();
    let newer = dom0.args_in_xapi(&vm).unwrap().replace("pool_id=A", "pool_id=B");
    let change = || {
        thread::sleep(Duration::from_millis(400));
        dom0.set_pool_other_config(&key(&vm), Some(&text.replacen("1 A 2", "1 B 2", 1).replacen(" 1 1", " 2 1", 1)));
        dom0.set_args_in_xapi(&vm, Some(&newer));
    };
    // A sync that has read the records; whatever else it has read by then must not be older.
    dom0.set_fault_in(Service::Xapi, "VM.get_all_records", Fault::Slow(Duration::from_millis(800))).unwrap();
    thread::scope(|scope| {
        let sync = scope.spawn(|| dom0.root.admin_ok(&["sync"]));
        change();
        sync.join().unwrap();
    });
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.args_in_xapi(&vm).as_deref(), Some(newer.as_str()));
    assert_eq!(dom0.start(&vm), Some(newer));
}

#[test]
fn a_clone_of_a_removed_vm_does_not_keep_its_share() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    assert_eq!(dom0.start(&clone), None);
}

#[test]
fn a_second_argument_of_ours_is_no_way_to_keep_another_vms() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let other = dom0.create_vm("other");
    let args = format!("-device vgpu-stub,vm_id=99 {}", dom0.args_in_xapi(&vm).unwrap());
    dom0.set_args_in_xapi(&other, Some(&args));
    assert_eq!(dom0.start(&other), None);
}

#[test]
fn adopt_leaves_a_removed_vm_removed() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("DELETE FROM vms");
    let reply = dom0.plugin("adopt", &[]);
    assert_eq!((&reply["adopted"], &reply["left_alone"][0]["vm_uuid"]), (&json!([]), &json!(vm)));
    assert_eq!(dom0.start(&vm), None);
}

#[test]
fn what_was_pruned_elsewhere_keeps_no_number_from_the_living() {
    let (dom0, dead) = Dom0::with_registered_vm();
    let number = copy(&dom0, &dead).unwrap().vm_id.unwrap();
    dom0.destroy(&dead).unwrap();
    dom0.set_pool_other_config(&key(&dead), None);
    let living = dom0.create_vm("living");
    dom0.set_pool_other_config(&key(&living), Some(&format!("1 B 1 {number} 1 1790000000")));
    dom0.root.admin_ok(&["sync"]);
    assert_eq!(copy(&dom0, &living).unwrap().vm_id, Some(number));
    assert_eq!((copy(&dom0, &living).unwrap().revision, copy(&dom0, &dead)), (1, None));
    assert!(dom0.start(&living).unwrap().ends_with(&format!("vm_id={number}")));
}

#[test]
fn what_somebody_chose_counts_more_than_a_default_that_a_start_gave() {
    let dom0 = Dom0::new();
    dom0.root.settings("unregistered = \"default\"");
    let vm = dom0.create_vm("web01");
    dom0.start(&vm);
    assert_eq!(copy(&dom0, &vm).unwrap().revision, 0);
    // Chosen on another host while that one was cut off, an hour before.
    let number = copy(&dom0, &vm).unwrap().vm_id.unwrap();
    dom0.set_pool_other_config(&key(&vm), Some(&format!("1 B 2 {number} 1 1790000000")));
    dom0.root.admin_ok(&["sync"]);
    assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm])["pool"], "B");
}

#[test]
fn a_file_may_give_a_vm_the_number_that_another_would_have_got_or_had() {
    let dom0 = Dom0::new();
    let [one, other] = [uuid(1), uuid(2)];
    for vm in [&one, &other] {
        dom0.create_vm_with_uuid(vm, "web");
        dom0.register(vm, "A", "low");
    }
    let number = copy(&dom0, &other).unwrap().vm_id.unwrap();
    let vm =
        |uuid: &str, more: &str| format!("[[vm]]\nvm_uuid = \"{uuid}\"\npool = \"A\"\npriority = \"low\"\n{more}\n");
    let numbered = vm(&one, &format!("vm_id = {number}"));
    dom0.plugin("import", &[("config", &format!("version = 1\n{}{numbered}", vm(&other, "")))]);
    let number_of = |vm: &str| dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["vm_id"].as_u64().unwrap();
    assert_eq!(number_of(&one), u64::from(number.get()));
    assert_ne!(number_of(&other), number_of(&one));
    let taken = number_of(&other);
    let config = format!("version = 1\n{}", vm(&one, &format!("vm_id = {taken}")));
    dom0.plugin("import", &[("config", &config), ("prune", "true")]);
    assert_eq!(number_of(&one), taken, "of one that the file does not name, and so removes");
}

#[test]
fn names_and_times_that_were_typed_in_any_way_make_no_vm_unusable() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql(
        "UPDATE vms SET vm_name = CAST(x'e9e8' AS TEXT), created_at = 1790000000, updated_at = strftime('%s', 'now')",
    );
    assert!(dom0.root.admin_ok(&["list-vms"]).contains("\u{fffd}\u{fffd}"));
    dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    assert_eq!(dom0.start(&vm), dom0.argument(&vm));
    dom0.root.admin_ok(&["history"]);
    dom0.root.admin_ok(&["export"]);
    dom0.root.admin_ok(&["remove-vm", "--yes", "--vm-uuid", &vm]);
}

#[test]
fn one_vm_has_one_row_in_whatever_letters_its_uuid_is_typed() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let insert = format!("INSERT OR IGNORE INTO vms (vm_uuid, pool_id, priority) VALUES (upper('{vm}'), 'B', 0)");
    let said = vgpu_tests::tools::sql(&dom0.root.database(), &insert);
    assert!(said.stderr.contains("registered already"), "{said:?}");
    assert_eq!(dom0.sql("SELECT count(*), pool_id FROM vms").trim(), "1|A");
}

#[test]
fn what_is_refused_for_what_it_says_was_never_told_to_anybody() {
    let dom0 = Dom0::new();
    let [good, long] = [uuid(1), uuid(2)];
    for vm in [&good, &long] {
        dom0.create_vm_with_uuid(vm, "web");
    }
    dom0.set_args_in_xapi(&long, Some(&format!("-name {}", "x".repeat(2030))));
    let vm = |uuid: &str| format!("[[vm]]\nvm_uuid = \"{uuid}\"\npool = \"A\"\npriority = \"high\"\n");
    let config = format!("version = 1\n{}{}", vm(&good), vm(&long));
    dom0.clear_calls();
    for (function, arguments) in [
        ("import", vec![("config", config.as_str())]),
        ("register_vm", vec![("vm_uuid", long.as_str()), ("pool", "A"), ("priority", "low")]),
    ] {
        let refused = dom0.call_plugin("vgpu", function, &arguments).unwrap_err();
        assert_eq!(refused.code, "VGPU_ARGS_TOO_LONG", "{function}");
    }
    let writes: Vec<_> = dom0.calls().into_iter().filter(|call| call.contains(".add_to_")).collect();
    assert_eq!(writes, Vec::<String>::new(), "what another host has read cannot be taken back from it");
}

#[test]
fn while_a_change_waits_for_xapi_the_database_is_free_for_everybody() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_secs(2))).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool=B"]));
        while dom0.args_in_xapi(&vm).is_some() {
            assert!(!change.is_finished());
            thread::sleep(Duration::from_millis(1));
        }
        // The shell waits for nobody.
        dom0.sql("BEGIN IMMEDIATE; UPDATE vms SET vm_name = 'other'; COMMIT");
        assert!(!change.is_finished());
        assert_eq!(change.join().unwrap().code, Some(0));
    });
    assert_eq!(dom0.start(&vm), dom0.argument(&vm));
}

#[test]
fn a_row_that_is_edited_while_it_is_changed_is_changed_from_what_it_is_then() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_secs(1))).unwrap();
    thread::scope(|scope| {
        let change = scope.spawn(|| dom0.root.admin(&["set-pool", "--vm-uuid", &vm, "--pool=B"]));
        while dom0.args_in_xapi(&vm).is_some() {
            thread::sleep(Duration::from_millis(1));
        }
        dom0.sql("UPDATE vms SET priority = 0");
        assert_eq!(change.join().unwrap().code, Some(0));
    });
    dom0.clear_faults().unwrap();
    let argument = dom0.argument(&vm).unwrap();
    assert!(argument.contains("pool_id=B,priority=low"), "both have come true: {argument}");
    assert_eq!((dom0.args_in_xapi(&vm), dom0.start(&vm)), (Some(argument.clone()), Some(argument)));
}

#[test]
fn a_removal_that_a_start_tells_the_other_hosts_of_is_told() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_args_in_xapi(&vm, None);
    dom0.sql("DELETE FROM vms");
    assert_eq!(dom0.root.admin_json(&["status"])["not_in_xapi"], 1);
    assert_eq!(dom0.start(&vm), None);
    assert_eq!(copy(&dom0, &vm).unwrap().settings, None);
    assert_eq!(dom0.root.admin_json(&["status"])["not_in_xapi"], 0);
}

#[test]
fn a_vm_that_is_registered_while_prune_looks_is_not_forgotten() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let line = dom0.pool_other_config()[&key(&vm)].clone();
    for method in ["pool.get_other_config", "VM.get_all_records"] {
        dom0.set_fault_in(Service::Xapi, method, Fault::Slow(Duration::from_millis(800))).unwrap();
        let new = uuid(u32::try_from(method.len()).unwrap());
        thread::scope(|scope| {
            let prune = scope.spawn(|| dom0.root.admin_ok(&["prune", "--yes"]));
            thread::sleep(Duration::from_millis(400));
            dom0.create_vm_with_uuid(&new, "new");
            dom0.set_pool_other_config(&key(&new), Some(&line));
            prune.join().unwrap();
        });
        dom0.clear_faults().unwrap();
        assert!(copy(&dom0, &new).is_some(), "while {method} is asked");
    }
}

#[test]
fn a_sync_ends_at_the_first_vm_for_which_xapi_is_away() {
    let dom0 = Dom0::new();
    for number in 0..5 {
        dom0.create_vm_with_uuid(&uuid(number), "vm");
        dom0.register(&uuid(number), "A", "high");
    }
    dom0.sql("UPDATE vms SET priority = 0");
    dom0.set_fault_in(Service::Xapi, "pool.add_to_other_config", Fault::Absent).unwrap();
    let ran = dom0.root.admin(&["sync", "--format=json"]);
    let reply: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, reply["left_alone"].as_array().map(Vec::len)), (Some(1), Some(1)), "{reply}");
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.plugin("sync", &[])["left_alone"], json!([]));
    assert_eq!(dom0.start(&uuid(4)), dom0.argument(&uuid(4)));
}

#[test]
fn a_change_waits_until_the_repair_before_a_start_has_ended() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_args_in_xapi(&vm, Some("-vga std"));
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_millis(700))).unwrap();
    thread::scope(|scope| {
        let start = scope.spawn(|| dom0.start(&vm));
        // The hook is between the two halves of its change of the record.
        while dom0.args_in_xapi(&vm).is_some() {
            assert!(!start.is_finished());
            thread::sleep(Duration::from_millis(1));
        }
        dom0.root.admin_ok(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
        assert!(start.join().unwrap().unwrap().contains("pool_id=A"));
    });
    dom0.clear_faults().unwrap();
    let args = format!("-vga std {}", dom0.argument(&vm).unwrap());
    assert!(args.contains("pool_id=B"), "{args}");
    assert_eq!(dom0.args_in_xapi(&vm).as_ref(), Some(&args), "what was done last counts");
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["in_xapi"], true);
}
