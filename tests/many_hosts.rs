//! One host works on another, and looks after all of them: `--host`, `check --all-hosts`, `status`.

use std::fs;

use serde_json::{Value, json};
use simulated_host::{Fault, Outage, Role, Service};
use vgpu_tests::{Dom0, ResourcePool, uuid};

#[path = "many_hosts/plugins.rs"]
mod plugins;

/// A resource pool whose second host has a VM registered that no other has heard of.
fn three_hosts() -> (ResourcePool, String) {
    let pool = ResourcePool::new(3);
    let vm = pool.host(0).create_vm("web01");
    pool.on(1).register(&vm, "A", "high");
    (pool, vm)
}

fn check(pool: &ResourcePool) -> Value {
    serde_json::from_str(&pool.on(0).root.admin(&["check", "--all-hosts", "--format=json"]).stdout).unwrap()
}

/// What is wrong on a host: the names of the checks, with what they say.
fn wrong(checked: &Value, host: usize) -> Vec<(String, String)> {
    let checks = checked["hosts"][host]["checks"].as_array().unwrap();
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    checks.iter().filter(|item| item["ok"] == false).map(|item| (text(item, "name"), text(item, "message"))).collect()
}

#[test]
fn an_operation_is_carried_out_on_another_host_and_printed_as_if_it_were_here() {
    let (pool, vm) = three_hosts();
    let there = pool.on(1).root.admin_ok(&["show-vm", "--vm-uuid", &vm]);
    for name in ["xcp-ng-2", pool.host(1).host_uuid()] {
        assert_eq!(pool.on(0).root.admin_ok(&["--host", name, "show-vm", "--vm-uuid", &vm]), there);
    }
    for command in ["list-vms", "list-pools", "status", "history", "scan-vms", "export", "sync", "check"] {
        let options: &[&str] = if command == "export" { &[] } else { &["--format=json"] };
        let there = pool.on(1).root.admin_ok(&[&[command], options].concat());
        let from_here = pool.on(0).root.admin_ok(&[&[command, "--host=xcp-ng-2"], options].concat());
        assert_eq!(from_here, there, "{command}");
    }
}

#[test]
fn a_change_on_another_host_is_made_in_its_database() {
    let (pool, vm) = three_hosts();
    let other = uuid(1);
    pool.host(0).create_vm_with_uuid(&other, "other");
    let run = |arguments: &[&str]| pool.on(0).root.admin_ok(&[&["--host=xcp-ng-2"], arguments].concat());
    let said = run(&["register-vm", "--vm-uuid", &other, "--pool=B", "--priority=low"]);
    assert!(said.contains("(other) registered: GPU pool B, priority low"), "{said}");
    run(&["set-pool", "--vm-uuid", &vm, "--pool=B"]);
    run(&["set-priority", "--vm-name=web01", "--priority=low"]);
    run(&["update-vm", "--vm-uuid", &vm, "--vm-id=7"]);
    let shown = pool.on(1).root.admin_json(&["show-vm", "--vm-uuid", &vm]);
    assert_eq!((&shown["pool"], &shown["priority"], &shown["vm_id"]), (&json!("B"), &json!("low"), &json!(7)));
    run(&["remove-vm", "--vm-uuid", &other, "--yes"]);
    assert!(pool.on(1).root.admin_fails(&["show-vm", "--vm-uuid", &other]).contains("is not registered"));
    let through = pool.on(1).root.admin_json(&["history"]);
    assert_eq!(through[0]["changed_by"], format!("root (vgpu-config/{})", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_file_is_exported_from_another_host_and_imported_there() {
    let (pool, vm) = three_hosts();
    let file = pool.on(0).root.path("root/vgpu.toml");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let file = file.to_str().unwrap();
    pool.on(0).root.admin_ok(&["--host=xcp-ng-2", "export", file]);
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text, pool.on(1).root.admin_ok(&["export"]));
    fs::write(file, text.replace("high", "low")).unwrap();
    let planned = pool.on(0).root.admin_ok(&["--host=xcp-ng-2", "import", "--dry-run", file]);
    assert!(planned.contains("A high") && planned.contains("-> A low"), "{planned}");
    pool.on(0).root.admin_ok(&["--host=xcp-ng-2", "import", file]);
    assert_eq!(pool.on(1).root.admin_json(&["show-vm", "--vm-uuid", &vm])["priority"], "low");
    let vm = |number| format!("[[vm]]\nvm_uuid = \"{}\"\npool = \"A\"\npriority = \"low\"\n", uuid(number));
    fs::write(file, format!("version = 1\n{}", (0..1000).map(vm).collect::<String>())).unwrap();
    let complaint = pool.on(0).root.admin_fails(&["--host=xcp-ng-2", "import", file]);
    assert!(complaint.contains("run it on this host, the others take over what it changes"), "{complaint}");
}

#[test]
fn an_error_on_another_host_names_the_host_and_keeps_its_code() {
    let (pool, _) = three_hosts();
    let vm = uuid(1);
    let fails = |arguments: &[&str]| pool.on(0).root.admin_fails(arguments);
    let complaint = fails(&["--host=xcp-ng-3", "show-vm", "--vm-uuid", &vm]);
    assert!(
        complaint.starts_with("vgpu-admin: on host xcp-ng-3: VM") && complaint.contains("is not registered"),
        "{complaint}"
    );
    let complaint = fails(&["--host=xcp-ng-3", "show-vm", "--vm-uuid", &vm, "--format=json"]);
    assert_eq!(serde_json::from_str::<Value>(&complaint).unwrap()["error"]["code"], "VGPU_NOT_FOUND");
    let complaint = fails(&["--host=xcp-ng-9", "status"]);
    assert!(
        complaint.contains("no host 'xcp-ng-9': expected a UUID or one of xcp-ng-1, xcp-ng-2, xcp-ng-3"),
        "{complaint}"
    );
    fs::remove_file(pool.on(2).root.path("etc/xapi.d/plugins/vgpu")).unwrap();
    let complaint = fails(&["--host=xcp-ng-3", "status"]);
    assert!(complaint.contains("vgpu-config is not installed on host xcp-ng-3: install it there"), "{complaint}");
    pool.partition(1, Outage::Hangs);
    let complaint = fails(&["--host=xcp-ng-2", "status"]);
    assert!(complaint.contains("XAPI cannot reach host xcp-ng-2"), "{complaint}");
}

#[test]
fn a_healthy_resource_pool_is_found_to_be_one() {
    let (pool, _) = three_hosts();
    let said = pool.on(0).root.admin_ok(&["check", "--all-hosts"]);
    for host in ["xcp-ng-1", "xcp-ng-2", "xcp-ng-3"] {
        assert!(said.contains(&format!("Host {host} (")), "{said}");
    }
    assert!(said.ends_with("All checks passed.\n"), "{said}");
    assert!(
        said.contains("1 change of other hosts will be taken over at the next start"),
        "one that is behind is told: {said}"
    );
    for host in 0..3 {
        pool.on(host).root.admin_ok(&["sync"]);
    }
    let said = pool.on(0).root.admin_ok(&["check", "--all-hosts"]);
    assert_eq!(said.matches("this host agrees with the shared copy").count(), 3, "{said}");
    assert_eq!(pool.on(2).plugin("check", &[("all_hosts", "true")]), check(&pool), "the plugin answers the same");
}

#[test]
fn each_host_is_told_what_is_wrong_with_it_and_what_to_do() {
    let (pool, vm) = three_hosts();
    fs::remove_file(pool.on(0).root.path("etc/xapi.d/vm-pre-start/50vgpu")).unwrap();
    vgpu_tests::tools::sql_ok(
        &pool.on(1).root.database(),
        &format!("UPDATE vms SET priority = 0 WHERE vm_uuid = '{vm}'"),
    );
    fs::remove_file(pool.on(2).root.path("etc/xapi.d/plugins/vgpu")).unwrap();
    let checked = check(&pool);
    assert_eq!(checked["ok"], false);
    let [hook] = &wrong(&checked, 0)[..] else { panic!("{checked}") };
    assert!(hook.0 == "hook" && hook.1.contains("install vgpu-config again"), "{hook:?}");
    let [content] = &wrong(&checked, 1)[..] else { panic!("{checked}") };
    assert_eq!(
        (content.0.as_str(), content.1.as_str()),
        ("shared copy", "1 change on this host that no other host has: run 'vgpu-admin sync' here")
    );
    let [plugin] = &wrong(&checked, 2)[..] else { panic!("{checked}") };
    assert!(plugin.0 == "plugin" && plugin.1.contains("not installed on host xcp-ng-3"), "{plugin:?}");
    let said = pool.on(0).root.admin(&["check", "--all-hosts"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stdout.ends_with("3 checks failed.\n"), "{}", said.stdout);
}

#[test]
fn a_host_that_cannot_be_reached_is_named_and_the_others_are_checked() {
    let (pool, _) = three_hosts();
    pool.partition(2, Outage::Hangs);
    let checked = check(&pool);
    assert!(wrong(&checked, 2)[0].1.contains("XAPI cannot reach host xcp-ng-3"), "{checked}");
    assert_eq!((&checked["hosts"][0]["ok"], &checked["hosts"][1]["ok"]), (&json!(true), &json!(true)));
}

#[test]
fn hosts_of_another_version_are_named() {
    let (pool, _) = three_hosts();
    // A plugin of a later version.
    let plugin = pool.on(1).root.path("etc/xapi.d/plugins/vgpu");
    fs::rename(&plugin, pool.on(1).root.path("usr/libexec/vgpu/vgpu-plugin")).unwrap();
    let answer = r#"{"ok":true,"version":"10.0.0","checks":[],"more":1}"#.replace('"', "&quot;");
    let script = format!(
        "#!/bin/sh\nprintf '<methodResponse><params><param><value><struct><member><name>Status</name><value>Success</value>\
         </member><member><name>Value</name><value>{answer}</value></member></struct></value></param></params></methodResponse>'\n"
    );
    pool.on(1).root.write("etc/xapi.d/plugins/vgpu", script);
    pool.on(1).root.chmod("etc/xapi.d/plugins/vgpu", 0o755);
    let checked = check(&pool);
    for host in [0, 2] {
        let expected = format!("vgpu-config {}, another host has 10.0.0: update this one", env!("CARGO_PKG_VERSION"));
        assert_eq!(wrong(&checked, host), [("version".to_owned(), expected)]);
    }
    assert_eq!(checked["hosts"][1]["ok"], true);
}

#[test]
fn a_registered_guest_without_qemu_is_reported() {
    let (dom0, vm) = Dom0::with_registered_vm();
    let other = dom0.create_vm("not registered");
    let make = |vm: &str, domain_type: &str| {
        let mut record = dom0.vm_record(vm).unwrap();
        record["domain_type"] = domain_type.into();
        dom0.import_record("VM", &dom0.vm_ref(vm).unwrap(), record.to_string().as_bytes()).unwrap();
    };
    for (domain_type, says) in [("pv", "PV"), ("pvh", "PVH"), ("pv_in_pvh", "PVH")] {
        make(&vm, domain_type);
        let ran = dom0.root.admin(&["check"]);
        let expected =
            format!("WRONG  guest           VM {vm} (web01) is a {says} guest, which has no QEMU and so no vGPU");
        assert!(ran.code == Some(1) && ran.stdout.contains(&expected), "{ran:?}");
    }
    make(&vm, "hvm");
    make(&other, "pv");
    assert_eq!(dom0.root.admin(&["check"]).code, Some(0));
}

#[test]
fn a_wrapper_that_does_not_pass_the_arguments_on_is_found() {
    let dom0 = Dom0::new();
    let wrong = || {
        let said = dom0.root.admin(&["check"]).stdout;
        said.lines().filter(|line| line.starts_with("WRONG")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(wrong(), Vec::<String>::new());
    dom0.root.write(
        "usr/lib64/xen/bin/qemu-wrapper",
        "#!/usr/bin/python3\nqemu_dm = '/usr/lib64/xen/bin/qemu-system-i386'\n",
    );
    assert!(
        wrong()[0].contains("qemu-wrapper does not read platform/device-model-args, so QEMU gets no vGPU"),
        "{:?}",
        wrong()
    );
    // xenopsd is told of another wrapper, which starts another QEMU.
    let vendors = |text: &str| {
        dom0.root.write("opt/vendor/wrapper", format!("#!/usr/bin/python3\nqemu_dm = '/opt/vendor/qemu'\n{text}"));
    };
    vendors("# device-model-args\ncolour = '#'  # device-model-args\n");
    dom0.root
        .write("etc/xenopsd.conf.d/vendor.conf", "# ours\nupstream-compat-qemu-dm-wrapper = /opt/vendor/wrapper\n");
    let path = dom0.root.path("opt/vendor/wrapper").display().to_string();
    assert!(
        wrong()[0].contains(&format!("{path} is not executable, so no VM that uses QEMU starts: chmod 755 {path}")),
        "{:?}",
        wrong()
    );
    dom0.root.chmod("opt/vendor/wrapper", 0o755);
    assert!(
        wrong()[0].contains("does not read platform/device-model-args"),
        "only its comments name it: {:?}",
        wrong()
    );
    vendors("colour = '#'; key = 'device-model-args'\n");
    assert!(wrong()[0].contains("/opt/vendor/qemu -device help"), "{:?}", wrong());
    dom0.root.write("opt/vendor/qemu", "#!/bin/sh\necho 'name \"other\", bus PCI' >&2\n");
    dom0.root.chmod("opt/vendor/qemu", 0o755);
    assert!(wrong()[0].contains("/opt/vendor/qemu has no device vgpu-stub"), "{:?}", wrong());
    dom0.root.settings("device = \"other\"");
    assert_eq!(wrong(), Vec::<String>::new(), "the device that vgpu.toml names, on whichever stream QEMU names it");
}

#[test]
fn a_qemu_that_does_not_answer_is_not_waited_for() {
    let dom0 = Dom0::new();
    dom0.root.write("usr/lib64/xen/bin/qemu-system-i386", "#!/bin/sh\nexec sleep 60\n");
    let said = dom0.root.admin(&["check"]).stdout;
    assert!(said.contains("did not end within 5 s"), "{said}");
}

#[test]
fn a_licence_that_lets_xapi_drop_our_key_is_told() {
    let dom0 = Dom0::new();
    dom0.filter_unknown_platform_keys(true);
    let checked = dom0.plugin("check", &[]);
    let items = checked["checks"].as_array().unwrap();
    let xapi = items.iter().find(|item| item["name"] == "XAPI").unwrap();
    let message = xapi["message"].as_str().unwrap();
    assert!(
        xapi["ok"] == true && message.contains("(platform_filter): the hook still gives each boot its vGPU"),
        "{xapi}"
    );
}

#[test]
fn status_has_every_host_in_one_line() {
    let (pool, _) = three_hosts();
    fs::remove_file(pool.on(1).root.path("etc/xapi.d/plugins/vgpu")).unwrap();
    pool.on(2).root.write("etc/xapi.d/vm-pre-start/50vgpu.bak", "");
    pool.on(2).root.settings("no such setting");
    let said = pool.on(0).root.admin_ok(&["status"]);
    let hosts = said.lines().skip_while(|line| !line.starts_with("HOST")).take_while(|line| !line.is_empty());
    let hosts: Vec<_> = hosts.map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    let version = env!("CARGO_PKG_VERSION");
    let expected =
        [["xcp-ng-1", version, "ok", "-"], ["xcp-ng-2", "-", "WRONG", "-"], ["xcp-ng-3", version, "WRONG", "-"]];
    assert_eq!(hosts[1..], expected, "{said}");
    let problems: Vec<_> = said.lines().filter(|line| line.starts_with("WRONG  ")).collect();
    assert_eq!(problems.len(), 3, "{said}");
    assert!(problems[0].starts_with("WRONG  xcp-ng-2: vgpu-config is not installed on host xcp-ng-2"), "{said}");
    assert!(problems[1].starts_with("WRONG  xcp-ng-3: ") && problems[1].contains("vgpu.toml is not valid"), "{said}");
    assert!(problems[2].starts_with("WRONG  xcp-ng-3: ") && problems[2].contains("50vgpu.bak"), "{said}");
}

#[test]
fn status_works_without_xapi_and_for_a_caller_who_may_not_ask_the_others() {
    let dom0 = Dom0::new();
    let status = dom0.call_plugin_as(Role::VmOperator, "vgpu", "status", &[]).unwrap();
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!((&status["xapi_answers"], &status["hosts"]), (&json!(true), &json!([])));
    let refused = dom0.call_plugin_as(Role::VmOperator, "vgpu", "check", &[("all_hosts", "true")]).unwrap_err();
    assert_eq!(refused.code, "RBAC_PERMISSION_DENIED");
    dom0.set_fault(Service::Xapi, Fault::Absent).unwrap();
    let said = dom0.root.admin_ok(&["status"]);
    assert!(said.contains("XAPI cannot be reached") && !said.contains("HOST"), "{said}");
}
