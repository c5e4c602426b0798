//! One resource pool, many hosts: what XAPI carries from one to the other, and who wins.

use simulated_host::{Fault, Service};
use vgpu_config::entry::{Entry, LONGEST_VALUE};
use vgpu_tests::{Dom0, ResourcePool, VM, uuid};

fn key(vm: &str) -> String {
    format!("vgpu:{vm}")
}

/// What the pool-wide copy says of a VM.
fn copy(dom0: &Dom0, vm: &str) -> Option<Entry> {
    dom0.pool_other_config().get(&key(vm)).map(|text| Entry::parse(text).unwrap())
}

/// Writes the copy as another host would, with other settings and a revision so much higher.
fn another_host_writes(dom0: &Dom0, vm: &str, pool: &str, revisions: i64) -> String {
    let mut entry = copy(dom0, vm).unwrap();
    entry.settings.as_mut().unwrap().pool = pool.parse().unwrap();
    entry.revision += revisions;
    dom0.set_pool_other_config(&key(vm), Some(&entry.to_text()));
    format!("pool_id={pool}")
}

#[test]
fn a_change_is_written_to_the_pool_wide_copy_as_one_short_line() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let text = dom0.pool_other_config()[&key(&vm)].clone();
    assert!(text.starts_with("1 A 2 ") && text.len() <= LONGEST_VALUE, "{text}");
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    assert_eq!(copy(&dom0, &vm).unwrap().revision, 2);
    dom0.plugin("remove_vm", &[("vm_uuid", &vm)]);
    let removed = copy(&dom0, &vm).unwrap();
    assert_eq!((removed.settings, removed.revision), (None, 3), "a removal is an entry, not an absence");
}

#[test]
fn a_start_gets_what_another_host_has_written_since() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let newer = another_host_writes(&dom0, &vm, "B", 1);
    // The other host has written the VM's record too, or a snapshot has brought back the old one.
    for args in [dom0.args_in_xapi(&vm).unwrap(), dom0.args_in_xapi(&vm).unwrap().replace("pool_id=A", &newer)] {
        dom0.set_args_in_xapi(&vm, Some(&args));
        let got = dom0.start(&vm).unwrap();
        assert!(got.contains(&newer), "{got}");
        assert_eq!(dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm])["pool"], "B");
        dom0.shutdown(&vm).unwrap();
    }
}

#[test]
fn a_vm_that_this_host_never_heard_of_starts_with_what_another_host_has_written() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.set_pool_other_config(&key(&vm), Some("1 B 1 77 5 1790000000"));
    let got = dom0.start(&vm).unwrap();
    assert_eq!(got, "-device vgpu-stub,pool_id=B,priority=medium,vm_id=77");
    let shown = dom0.root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!((&shown["revision"], &shown["vm_id"]), (&5.into(), &77.into()));
}

#[test]
fn a_clone_of_a_vm_that_this_host_never_heard_of_does_not_keep_its_argument() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.set_pool_other_config(&key(&vm), Some("1 B 1 77 5 1790000000"));
    dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=B,priority=medium,vm_id=77"));
    let clone = dom0.clone_vm(&vm, "copy").unwrap();
    assert_eq!(dom0.start(&clone), None);
}

#[test]
fn a_removal_on_another_host_is_a_removal_here() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let mut entry = copy(&dom0, &vm).unwrap();
    entry.settings = None;
    entry.revision += 1;
    dom0.set_pool_other_config(&key(&vm), Some(&entry.to_text()));
    assert_eq!(dom0.start(&vm), None);
    assert!(dom0.root.admin_fails(&["show-vm", "--vm-uuid", &vm]).contains("is not registered"));
}

#[test]
fn an_absent_entry_is_never_a_removal() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let argument = dom0.argument(&vm);
    dom0.set_pool_other_config(&key(&vm), None);
    assert_eq!(dom0.start(&vm), argument);
    assert!(copy(&dom0, &vm).is_some(), "the start writes it again");
}

#[test]
fn a_row_that_another_host_has_overtaken_never_overwrites_newer_arguments() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let newer = another_host_writes(&dom0, &vm, "B", 3);
    let args = dom0.args_in_xapi(&vm).unwrap().replace("pool_id=A", &newer);
    dom0.set_args_in_xapi(&vm, Some(&args));
    // As vgpu-admin does it while XAPI is away.
    dom0.sql("UPDATE vms SET priority = 0; UPDATE history SET through = 'vgpu-admin'");
    assert_eq!(dom0.start(&vm).unwrap(), args, "two revisions here, four there");
    assert_eq!(dom0.args_in_xapi(&vm).unwrap(), args);
}

#[test]
fn a_change_is_made_to_the_newest_settings_whoever_has_written_them() {
    let (dom0, vm) = Dom0::with_registered_vm();
    another_host_writes(&dom0, &vm, "B", 4);
    let reply = dom0.plugin("set_priority", &[("vm_uuid", &vm), ("priority", "low")]);
    assert_eq!((&reply["vm"]["pool"], &reply["vm"]["revision"]), (&"B".into(), &6.into()));
    assert_eq!(copy(&dom0, &vm).unwrap().revision, 6);
}

#[test]
fn after_a_failover_to_an_old_database_newer_rows_are_written_again() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let old = dom0.pool_other_config()[&key(&vm)].clone();
    let old_args = dom0.args_in_xapi(&vm);
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    let argument = dom0.argument(&vm);
    dom0.set_pool_other_config(&key(&vm), Some(&old));
    dom0.set_args_in_xapi(&vm, old_args.as_deref());
    assert_eq!(dom0.start(&vm), argument);
    assert_eq!((dom0.args_in_xapi(&vm), copy(&dom0, &vm).unwrap().revision), (argument, 2));
}

#[test]
fn what_a_newer_program_has_written_is_left_alone_with_a_clear_message() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_pool_other_config(&key(&vm), Some("2 something new"));
    let error = dom0.call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap_err();
    assert_eq!(error.code, "VGPU_NEWER_FORMAT");
    assert!(error.params[0].contains("newer vgpu-config (format 2)") && error.params[0].contains(&vm), "{error}");
    let newer = "-device vgpu-stub,pool_id=B,priority=low,vm_id=9,new=field";
    dom0.set_args_in_xapi(&vm, Some(newer));
    let boot = dom0.vm_start(&vm).unwrap();
    assert_eq!(boot.device_model_args.as_deref(), Some(newer), "the newer program has given it to XAPI");
    assert!(dom0.hook_log().pop().unwrap().contains("newer vgpu-config (format 2)"), "{:?}", dom0.hook_log());
    assert_eq!(dom0.root.admin(&["sync"]).code, Some(1));
    assert_eq!(dom0.pool_other_config()[&key(&vm)], "2 something new");
}

#[test]
fn fields_that_a_newer_program_has_added_are_kept() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let text = format!("{} x=1", dom0.pool_other_config()[&key(&vm)]);
    dom0.set_pool_other_config(&key(&vm), Some(&text));
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    assert!(dom0.pool_other_config()[&key(&vm)].ends_with(" x=1"), "{:?}", dom0.pool_other_config());
}

#[test]
fn a_copy_that_nobody_of_ours_wrote_is_written_over() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.set_pool_other_config(&key(&vm), Some("nonsense"));
    dom0.set_pool_other_config("vgpu:no-uuid", Some("nonsense"));
    assert_eq!(dom0.start(&vm), dom0.argument(&vm));
    assert!(copy(&dom0, &vm).is_some());
}

#[test]
fn two_vms_that_got_one_number_on_two_hosts_end_with_two() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let number = copy(&dom0, &vm).unwrap().vm_id.unwrap();
    let other = uuid(1);
    dom0.create_vm_with_uuid(&other, "other");
    dom0.set_pool_other_config(&key(&other), Some(&format!("1 B 1 {number} 5 1790000000")));
    let reply = dom0.root.admin_json(&["sync"]);
    assert_eq!(reply["taken"], serde_json::json!([other]));
    let number_of = |vm: &str| dom0.root.admin_json(&["show-vm", "--vm-uuid", vm])["vm_id"].as_u64().unwrap();
    assert_eq!(number_of(&vm), u64::from(number.get()), "the one that it is derived from keeps it");
    assert_ne!(number_of(&other), number_of(&vm));
    assert_eq!(copy(&dom0, &other).unwrap().revision, 6, "a change of its own, for every host");
    assert_eq!(dom0.root.admin_json(&["sync"])["pushed"], serde_json::json!([]));
}

#[test]
fn a_number_that_was_given_because_of_a_conflict_counts_less_than_what_somebody_does_elsewhere() {
    let dom0 = Dom0::new();
    let [first, second] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), "web");
        uuid(number)
    });
    dom0.root.admin_ok(&["register-vm", "--vm-uuid", &second, "--pool=A", "--priority=low", "--vm-id=7"]);
    let registered = copy(&dom0, &second).unwrap();
    dom0.set_pool_other_config(&key(&first), Some("1 B 1 7 1 1790000000"));
    dom0.root.admin_ok(&["sync"]);
    let renumbered = copy(&dom0, &second).unwrap();
    assert_eq!((renumbered.revision, renumbered.vm_id == registered.vm_id), (2, false));
    // Another host has removed it in the same second as it was registered.
    dom0.set_pool_other_config(&key(&second), Some(&format!("1 - - 7 2 {}", registered.changed_at)));
    dom0.root.admin_ok(&["sync"]);
    assert!(dom0.root.admin_fails(&["show-vm", "--vm-uuid", &second]).contains("is not registered"));
}

#[test]
fn what_xapi_refuses_halfway_is_taken_back() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let before = dom0.pool_other_config();
    dom0.set_fault_in(Service::Xapi, "VM.remove_from_platform", Fault::error("INTERNAL_ERROR", &["no"])).unwrap();
    dom0.call_plugin("vgpu", "set_pool", &[("vm_uuid", &vm), ("pool", "B")]).unwrap_err();
    assert_eq!(dom0.pool_other_config(), before);
    assert_eq!(dom0.plugin("show_vm", &[("vm_uuid", &vm)])["pool"], "A");
}

#[test]
fn sync_says_what_it_does_and_a_dry_run_only_says() {
    let (dom0, taken) = Dom0::with_registered_vm();
    let [pushed, repaired] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), "A", "low");
        uuid(number)
    });
    let newer = another_host_writes(&dom0, &taken, "B", 1);
    dom0.sql(&format!("UPDATE vms SET priority = 2 WHERE vm_uuid = '{pushed}'"));
    dom0.set_args_in_xapi(&repaired, Some("-vga std"));
    let state = || (dom0.sql(".dump"), dom0.pool_other_config(), dom0.platform(&taken), dom0.platform(&repaired));
    let before = state();
    let planned = dom0.root.admin_json(&["sync", "--dry-run"]);
    assert_eq!(state(), before);
    let done = dom0.plugin("sync", &[]);
    for reply in [&planned, &done] {
        assert_eq!(reply["taken"], serde_json::json!([taken]));
        assert_eq!(reply["pushed"], serde_json::json!([pushed]));
        assert_eq!(reply["repaired"], serde_json::json!([pushed, repaired, taken]));
        assert_eq!(reply["left_alone"], serde_json::json!([]));
    }
    assert!(dom0.args_in_xapi(&taken).unwrap().contains(&newer));
    assert!(dom0.args_in_xapi(&repaired).unwrap().starts_with("-vga std -device vgpu-stub,"));
    let said = dom0.root.admin_ok(&["sync"]);
    assert_eq!(said, "Nothing to do: this host and XAPI agree.\n");
}

#[test]
fn sync_speaks_of_other_hosts_only_where_there_are_any() {
    let alone = Dom0::new();
    let pool = ResourcePool::new(2);
    let register = format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{VM}', 'A', 2)");
    for (root, told, agreed) in [
        (&alone.root, "written for the shared copy", "this host and XAPI agree"),
        (pool.on(1).root, "written for the other hosts", "this host, the other hosts and XAPI agree"),
    ] {
        vgpu_tests::tools::sql_ok(&root.database(), &register);
        let planned = root.admin_ok(&["sync", "--dry-run"]);
        assert!(planned.contains(&format!("would be {told}")), "{planned}");
        let said = root.admin_ok(&["sync"]);
        assert!(said.contains(told) && said.contains("other host") == told.contains("other host"), "{said}");
        assert!(root.admin_ok(&["sync"]).contains(agreed));
    }
    let said = pool.on(0).root.admin_ok(&["sync"]);
    assert!(said.contains("taken over from another host"), "{said}");
    std::fs::remove_file(alone.root.database()).unwrap();
    let said = alone.root.admin_ok(&["sync"]);
    assert!(said.contains("taken over from the shared copy") && !said.contains("another host"), "{said}");
}

#[test]
fn sync_fills_an_empty_database_from_what_xapi_carries() {
    let (dom0, vm) = Dom0::with_registered_vm();
    for number in 1..=3 {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        dom0.register(&uuid(number), "B", "low");
    }
    dom0.plugin("set_pool", &[("vm_uuid", &vm), ("pool", "B")]);
    dom0.plugin("remove_vm", &[("vm_uuid", &uuid(3))]);
    let (list, xapi) = (dom0.root.admin_ok(&["list-vms"]), dom0.pool_other_config());
    // The host is installed anew.
    std::fs::remove_dir_all(dom0.root.path("etc/vgpu")).unwrap();
    assert_eq!(dom0.root.admin_json(&["sync"])["taken"].as_array().unwrap().len(), 4);
    assert_eq!(dom0.root.admin_ok(&["list-vms"]), list, "the names too");
    assert_eq!(dom0.pool_other_config(), xapi);
    assert!(
        dom0.root
            .admin(&["register-vm", "--vm-uuid", &uuid(3), "--pool=A", "--priority=low"])
            .stdout
            .contains("registered")
    );
    assert_eq!(copy(&dom0, &uuid(3)).unwrap().revision, 3, "counted on from the removal");
}

#[test]
fn a_removal_by_hand_is_told_to_the_other_hosts() {
    let (dom0, vm) = Dom0::with_registered_vm();
    dom0.sql("DELETE FROM vms");
    dom0.start(&vm);
    assert_eq!(copy(&dom0, &vm).unwrap().settings, None);
    let other = Dom0::with_registered_vm();
    other.0.sql("DELETE FROM vms");
    other.0.set_args_in_xapi(&other.1, None);
    other.0.start(&other.1);
    assert_eq!(copy(&other.0, &other.1).unwrap().settings, None, "also where no argument was left to take out");
}

#[test]
fn a_row_that_was_inserted_by_hand_and_never_seen_by_a_program_is_told_to_the_other_hosts_whole() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.sql(&format!("INSERT INTO vms (vm_uuid, pool_id, priority) VALUES ('{vm}', 'B', 2)"));
    let got = dom0.start(&vm).unwrap();
    let told = copy(&dom0, &vm).unwrap();
    let settings = told.settings.expect("it is registered, not removed");
    assert!(
        got.ends_with(&format!("pool_id={},priority={},vm_id={}", settings.pool, settings.priority, settings.vm_id))
    );
    assert_eq!(dom0.root.admin_json(&["sync"])["pushed"], serde_json::json!([]));
}

#[test]
fn a_scan_shows_every_vm_by_gpu_pool_with_its_state_and_its_host() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let stranger = dom0.create_vm("stranger");
    let elsewhere = dom0.create_vm("elsewhere");
    dom0.set_pool_other_config(&key(&elsewhere), Some("1 B 1 77 5 1790000000"));
    dom0.snapshot(&vm, "no VM").unwrap();
    dom0.start(&vm);
    let scanned = dom0.plugin("scan_vms", &[]);
    let of = |field: &str| scanned.as_array().unwrap().iter().map(|vm| vm[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("vm_uuid"), [vm.as_str(), &elsewhere, &stranger]);
    assert_eq!(of("pool"), serde_json::json!(["A", "B", null]).as_array().unwrap().clone());
    assert_eq!(of("power_state"), ["Running", "Halted", "Halted"]);
    assert_eq!(of("host_uuid")[..2], [dom0.host_uuid().into(), serde_json::Value::Null]);
    let table = dom0.root.admin_ok(&["scan-vms"]);
    assert!(table.starts_with("POOL  PRIORITY  STATE") && table.contains("-     -         halted"), "{table}");
}

#[test]
fn hand_written_arguments_are_adopted_as_they_are() {
    let (dom0, registered) = Dom0::with_registered_vm();
    let [plain, shared, broken] = [1, 2, 3].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), &format!("vm{number}"));
        uuid(number)
    });
    let args = "-vga std -device vgpu-stub,pool_id=B,priority=low,vm_id=77,bus=pci.0";
    dom0.set_args_in_xapi(&plain, Some(args));
    dom0.set_args_in_xapi(&shared, Some("-device vgpu-stub,pool_id=A,priority=medium,vm_id=77"));
    dom0.set_args_in_xapi(&broken, Some("-device vgpu-stub,pool_id=C"));
    let before = (dom0.sql(".dump"), dom0.pool_other_config(), dom0.platform(&shared));
    let planned = dom0.root.admin(&["adopt", "--dry-run", "--format=json"]).stdout;
    let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
    assert_eq!((dom0.sql(".dump"), dom0.pool_other_config(), dom0.platform(&shared)), before);
    let done = dom0.plugin("adopt", &[]);
    assert_eq!((&done["adopted"], &done["left_alone"]), (&planned["adopted"], &planned["left_alone"]));
    assert_eq!(done["adopted"][0]["vm_id"], 77);
    assert_eq!(done["adopted"][1]["shared_with"], plain);
    assert_eq!(done["left_alone"][0]["vm_uuid"], broken);
    assert_eq!(dom0.args_in_xapi(&plain).unwrap(), args, "what was right stays byte for byte");
    assert_eq!(dom0.start(&shared), dom0.argument(&shared));
    assert!(!dom0.argument(&shared).unwrap().ends_with("=77"));
    assert_eq!(copy(&dom0, &plain).unwrap().vm_id.unwrap().get(), 77);
    assert_eq!(dom0.plugin("adopt", &[])["adopted"], serde_json::json!([]), "again does nothing");
    let again = dom0.root.admin(&["adopt"]);
    assert_eq!(again.code, Some(0), "all that can be done is done: {again:?}");
    assert!(again.stdout.contains(&format!("{broken}  left alone: ")), "{again:?}");
    assert!(dom0.argument(&registered).is_some());
}

#[test]
fn prune_forgets_the_settings_and_removals_of_vms_that_xapi_does_not_know_any_more() {
    let (dom0, kept) = Dom0::with_registered_vm();
    let [gone, removed] = [1, 2].map(|number| {
        dom0.create_vm_with_uuid(&uuid(number), "gone");
        dom0.register(&uuid(number), "A", "low");
        uuid(number)
    });
    dom0.plugin("remove_vm", &[("vm_uuid", &removed)]);
    dom0.destroy(&gone).unwrap();
    dom0.destroy(&removed).unwrap();
    let before = (dom0.sql(".dump"), dom0.pool_other_config());
    let planned = dom0.plugin("prune", &[("dry_run", "true")]);
    assert_eq!(planned["pruned"], serde_json::json!([gone, removed]));
    assert_eq!((dom0.sql(".dump"), dom0.pool_other_config()), before);
    assert_eq!(dom0.root.admin(&["prune"]).code, Some(2), "it asks first");
    dom0.root.admin_ok(&["prune", "--yes"]);
    assert_eq!((copy(&dom0, &gone), copy(&dom0, &removed)), (None, None));
    assert_eq!(dom0.sql("SELECT count(*) FROM vm_state").trim(), "1");
    assert!(copy(&dom0, &kept).is_some());
    assert!(dom0.root.admin_ok(&["prune", "--dry-run"]).contains("XAPI knows every VM"));
}

#[test]
fn check_suggests_prune_where_xapi_carries_many_vms_that_are_gone() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let line = dom0.pool_other_config()[&key(&vm)].clone();
    let said = |number: u32| {
        dom0.set_pool_other_config(&key(&uuid(number)), Some(&line));
        let said = dom0.root.admin_ok(&["check"]);
        said.lines().find(|line| line.contains("resource pool")).unwrap().to_owned()
    };
    (1..99).for_each(|number| dom0.set_pool_other_config(&key(&uuid(number)), Some(&line)));
    assert!(!said(99).contains("prune"));
    let hint = said(100);
    assert!(
        hint.contains("settings of 100 VMs that XAPI does not know") && hint.contains("vgpu-admin prune --dry-run"),
        "{hint}"
    );
}

#[test]
fn what_was_pruned_on_another_host_does_not_come_back_with_a_sync() {
    for edit in ["SELECT 1", "UPDATE vms SET priority = 0", "DELETE FROM vms"] {
        let (dom0, vm) = Dom0::with_registered_vm();
        dom0.set_pool_other_config(&key(&vm), None);
        dom0.destroy(&vm).unwrap();
        dom0.sql(edit);
        assert_eq!(dom0.plugin("sync", &[])["pushed"], serde_json::json!([]), "{edit}");
        assert_eq!(copy(&dom0, &vm), None, "{edit}");
    }
}

#[test]
fn a_vm_that_is_yet_to_come_is_told_to_the_other_hosts_by_a_sync() {
    let dom0 = Dom0::new();
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    dom0.root.admin_ok(&["register-vm", "--vm-uuid", &uuid(1), "--pool=A", "--priority=low", "--force"]);
    dom0.clear_faults().unwrap();
    assert_eq!(dom0.plugin("sync", &[])["pushed"], serde_json::json!([uuid(1)]));
    assert!(copy(&dom0, &uuid(1)).is_some());
}

#[test]
fn adopt_and_prune_leave_alone_what_a_newer_program_has_written() {
    let dom0 = Dom0::new();
    let vm = dom0.create_vm("web01");
    dom0.set_args_in_xapi(&vm, Some("-device vgpu-stub,pool_id=B,priority=low,vm_id=77"));
    for vm in [&vm, &uuid(1)] {
        dom0.set_pool_other_config(&key(vm), Some("2 something new"));
    }
    let before = dom0.pool_other_config();
    assert_eq!(dom0.plugin("adopt", &[])["left_alone"][0]["vm_uuid"], vm);
    assert_eq!(dom0.plugin("prune", &[])["pruned"], serde_json::json!([]));
    assert_eq!(dom0.pool_other_config(), before);
}
