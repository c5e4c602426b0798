//! How vgpu-admin prints: on a terminal and through a pipe, as a table and as CSV.

use std::time::Duration;

use simulated_host::{Fault, Service};
use vgpu_tests::terminal::on_a_terminal;
use vgpu_tests::tools::sql_ok;
use vgpu_tests::{Dom0, ScratchRoot, uuid};

/// A host with three VMs, one of which runs with old settings.
fn three_vms() -> Dom0 {
    let dom0 = Dom0::new();
    for (number, name, pool, priority) in [
        (1, "web01", "A", "low"),
        (2, "a database with a long, long name", "B", "high"),
        (3, "render, old", "A", "high"),
    ] {
        dom0.create_vm_with_uuid(&uuid(number), name);
        dom0.register(&uuid(number), pool, priority);
    }
    dom0.start(&uuid(1));
    dom0.start(&uuid(3));
    dom0.plugin("set_priority", &[("vm_uuid", &uuid(1)), ("priority", "medium")]);
    dom0
}

const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";

#[test]
fn a_list_fits_the_terminal_and_is_complete_in_a_pipe() {
    let dom0 = three_vms();
    let whole = dom0.root.admin_ok(&["list-vms"]);
    assert!(whole.contains(&uuid(2)) && whole.contains("a database with a long, long name\n"), "{whole}");
    assert!(!whole.contains('\u{2026}') && !whole.contains('\u{1b}'), "{whole}");
    for columns in [70, 80, 100] {
        let list = on_a_terminal(&dom0.root, columns, &[("NO_COLOR", "1")], &["list-vms"]);
        assert_eq!(list.lines().count(), 4, "{list}");
        assert!(list.lines().all(|line| line.chars().count() <= columns.into()), "{columns}: {list}");
        assert!(list.contains('\u{2026}') && list.contains(&uuid(2)), "what may have to be copied is whole: {list}");
        assert!(!list.contains("VM_ID"), "what matters least is left out: {list}");
    }
    let asked_for = on_a_terminal(&dom0.root, 70, &[("NO_COLOR", "1")], &["list-vms", "--columns=vm_id,vm,name"]);
    assert!(asked_for.starts_with("VM_ID ") && asked_for.contains(&uuid(2)), "{asked_for}");
    // No table is this narrow, but each VM is shown.
    for columns in [0, 20] {
        assert_eq!(on_a_terminal(&dom0.root, columns, &[], &["list-vms"]).matches(&uuid(2)).count(), 1);
    }
    let list = on_a_terminal(&dom0.root, 200, &[("NO_COLOR", "1")], &["list-vms"]);
    assert_eq!(list, whole, "a wide terminal has room for everything");
}

#[test]
fn what_explains_itself_is_never_shortened() {
    let dom0 = three_vms();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let by_state = &["check", "render, old", "--sort=state"][..];
    for arguments in
        [&["check"][..], &["show-vm", "web01"], &["check", "render, old"], by_state, &["check", "--columns=message"]]
    {
        let narrow = on_a_terminal(&dom0.root, 60, &[("NO_COLOR", "1")], arguments);
        assert_eq!(words(&narrow), words(&dom0.root.admin(arguments).stdout), "{arguments:?}");
    }
}

#[test]
fn states_have_colours_on_a_terminal_unless_no_color_or_a_dumb_terminal_forbids_it() {
    let dom0 = three_vms();
    let list = on_a_terminal(&dom0.root, 200, &[], &["list-vms"]);
    assert!(list.contains(&format!("{GREEN}as configured\u{1b}[0m")), "{list:?}");
    assert!(list.contains(&format!("{YELLOW}A low 803270565\u{1b}[0m")), "{list:?}");
    assert_eq!(list.matches('\u{1b}').count(), 4, "nothing else has: {list:?}");
    let check = on_a_terminal(&dom0.root, 200, &[("NO_COLOR", "")], &["check", "render, old"]);
    assert!(check.contains(&format!("{GREEN}ok\u{1b}[0m")), "an empty NO_COLOR counts as none: {check:?}");
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")] {
        let list = on_a_terminal(&dom0.root, 200, &[(name, value)], &["list-vms"]);
        assert!(!list.contains('\u{1b}'), "{name}={value}: {list:?}");
    }
}

#[test]
fn a_name_cannot_colour_anything() {
    let root = ScratchRoot::new();
    root.register(&uuid(1), "web01", "A", "low");
    sql_ok(&root.database(), "UPDATE vms SET vm_name = 'a' || char(3) || char(27) || '[31mb' || char(4) || 'c'");
    for arguments in [&["list-vms"][..], &["show-vm", &uuid(1)], &["list-vms", "--format=csv"]] {
        let seen = on_a_terminal(&root, 200, &[], arguments);
        assert!(seen.contains("[31mb") && !seen.contains('\u{1b}') && !seen.contains('\u{3}'), "{seen:?}");
    }
}

#[test]
fn a_name_is_as_it_is_in_csv_and_where_it_has_room() {
    let root = ScratchRoot::new();
    root.register(&uuid(1), "  web01,\ta\u{200b}b", "A", "low");
    let csv = root.admin_ok(&["list-vms", "--format=csv", "--columns=name", "--no-header"]);
    assert_eq!(csv, "\"  web01,\ta\u{200b}b\"\n");
    sql_ok(&root.database(), "UPDATE vms SET vm_name = '  web01'");
    assert!(root.admin_ok(&["show-vm", &uuid(1)]).contains("\nName          web01\n"));
}

#[test]
fn an_empty_list_has_no_line() {
    let root = ScratchRoot::new();
    for arguments in
        [&["list-vms"][..], &["list-vms", "--no-header"], &["history"], &["list-vms", "--no-header", "--format=csv"]]
    {
        assert_eq!(root.admin_ok(arguments), "", "{arguments:?}");
    }
    assert_eq!(root.admin_ok(&["list-vms", "--sort=name"]), "POOL  PRIORITY  VM_ID  VM  RUNS WITH  NAME\n");
}

#[test]
fn a_list_is_csv_with_the_columns_and_the_order_that_are_asked_for() {
    let dom0 = three_vms();
    let csv = |arguments: &[&str]| dom0.root.admin_ok(&[arguments, &["--format", "csv"]].concat());
    let expected = format!(
        "pool,priority,vm_id,vm,runs_with,name
A,high,132201665,{},as configured,\"render, old\"
A,medium,803270565,{},A low 803270565,web01
B,high,333567347,{},halted,\"a database with a long, long name\"
",
        uuid(3),
        uuid(1),
        uuid(2)
    );
    assert_eq!(csv(&["list-vms"]), expected);
    let by_name = csv(&["list-vms", "--columns=name,priority", "--sort=name", "--no-header"]);
    assert_eq!(by_name, "\"a database with a long, long name\",high\n\"render, old\",high\nweb01,medium\n");
    assert_eq!(csv(&["list-vms", "--columns=priority", "--sort=priority"]), "priority\nhigh\nhigh\nmedium\n");
    assert_eq!(csv(&["list-vms", "--columns=vm_id", "--sort=vm_id"]), "vm_id\n132201665\n333567347\n803270565\n");
    assert_eq!(csv(&["list-pools"]), "pool,vms,high,medium,low,limit,free,gpus,name\nA,2,1,1,0,,,0,\nB,1,1,0,0,,,0,\n");
    assert_eq!(csv(&["list-vms", "--pool=B", "--priority=low"]), "pool,priority,vm_id,vm,runs_with,name\n");
    assert_eq!(csv(&["history", "web01", "--columns=to", "--limit=1"]), "to\nA medium 803270565\n");
    let ran = dom0.root.admin(&["check", "web01", "--format=csv", "--columns=check,state"]);
    assert_eq!(ran.code, Some(1), "it does not run with its settings");
    assert!(ran.stdout.starts_with("check,state\ndatabase,ok\n") && ran.stdout.ends_with("QEMU,WRONG\n"), "{ran:?}");
    assert!(csv(&["check", "--all-hosts", "--columns=host,check"]).starts_with("host,check\nxcp-ng-1,version\n"));
}

#[test]
fn a_table_has_the_columns_and_the_order_that_are_asked_for_too() {
    let dom0 = three_vms();
    dom0.create_vm_with_uuid(&uuid(4), "a new one");
    let table = |arguments: &[&str]| dom0.root.admin_ok(arguments);
    assert_eq!(
        table(&["list-pools"]),
        "Pool A: 2 VMs (1 high, 1 medium, 0 low)\nPool B: 1 VM (1 high, 0 medium, 0 low)\n"
    );
    assert_eq!(table(&["list-pools", "--columns=pool,vms"]), "POOL  VMS\nA     2\nB     1\n");
    let sorted = table(&["scan-vms", "--columns", "name,runs_with", "--sort=pool"]);
    let names: Vec<_> = sorted.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(names, ["NAME", "render, old", "web01", "a database with a long, long name", "a new one"], "{sorted}");
    assert_eq!(
        table(&["list-vms", "--no-header", "--columns=name", "--pool=B"]),
        "a database with a long, long name\n"
    );
}

#[test]
fn a_wrong_column_or_format_names_the_right_ones_and_nothing_is_done() {
    let root = ScratchRoot::new();
    for (arguments, said) in [
        (&["list-vms", "--columns=nmae"][..], "tip: a similar value exists: 'name'"),
        (&["list-vms", "--columns=pool,frob"], "pool, priority, vm_id, vm, runs_with, name, configured"),
        (&["history", "--sort=tme"], "tip: a similar value exists: 'time'"),
        (&["history", "--sort=frob"], "time, from, to, by, vm, name"),
        (&["list-vms", "--format=jsno"], "tip: a similar value exists: 'json'"),
        (&["set-pool", "web01", "B", "--format=csv"], "CSV is only for lists: list-vms, list-pools, scan-vms"),
        (&["list-vms", "--format=json", "--sort=name"], "JSON has everything: leave them out"),
        (&["status", "--sort=name"], "unexpected argument"),
    ] {
        let ran = root.admin(arguments);
        assert!(ran.code == Some(2) && ran.stderr.contains(said), "{arguments:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
    assert!(!root.path("etc/vgpu").exists(), "wrong usage makes no database");
}

#[test]
fn work_that_takes_a_while_shows_how_far_it_is_on_a_terminal() {
    let dom0 = three_vms();
    let file = dom0.root.path("settings.toml").display().to_string();
    dom0.root.admin_ok(&["export", &file]);
    dom0.root.write("settings.toml", std::fs::read_to_string(&file).unwrap().replace("\"high\"", "\"low\""));
    dom0.set_fault_in(Service::Xapi, "VM.add_to_platform", Fault::Slow(Duration::from_millis(1500))).unwrap();
    let seen = on_a_terminal(&dom0.root, 80, &[], &["import", &file]);
    assert!(seen.contains("Importing: 1 of 2 (") && seen.contains("2 changed, 1 unchanged."), "{seen:?}");
}
