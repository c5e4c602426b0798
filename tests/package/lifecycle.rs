//! A host's life with the package: installed, used, upgraded, downgraded, reinstalled, removed, installed again.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use vgpu_tests::root::Ran;
use vgpu_tests::{VM, VM_ARGUMENT, vectors};

use crate::built::packages;
use crate::dom0::Installed;

const OTHER_VM: &str = "7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48";
const ROWS: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90|web01|A|2\n7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48|render|B|1\n";
const EDIT: &str = "# ours\ndeadline = 7\n";

/// What is true after every step as long as the package is installed.
fn assert_works(root: &Installed, step: &str) {
    assert_kept(root, step);
    assert_eq!(root.changed(), "S.5....T.  c /etc/vgpu/vgpu.toml\n", "{step}");
    // The hook's folder holds our hook and nothing else, and it lets the VM start.
    let hooks = root.listing("etc/xapi.d/vm-pre-start");
    assert_eq!(hooks.into_iter().collect::<Vec<_>>(), ["50vgpu"], "{step}");
    for ran in [
        root.run("etc/xapi.d/vm-pre-start/50vgpu", &["-vmuuid", VM, "-reason", "none"]),
        root.inside(&format!("/etc/xapi.d/vm-pre-start/50vgpu -vmuuid {VM} -reason none")),
    ] {
        assert!(matches!(ran.code, Some(0 | 1)), "{step}: {ran:?}");
    }
}

/// What is true whatever rpm does: the administrator's data and settings are there.
fn assert_kept(root: &Installed, step: &str) {
    assert_eq!(root.sql("SELECT vm_uuid, vm_name, pool_id, priority FROM vms ORDER BY vm_id"), ROWS, "{step}");
    let mode = fs::metadata(root.path("etc/vgpu/vgpu_config.db")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o600, "{step}");
    let settings = ["etc/vgpu/vgpu.toml", "etc/vgpu/vgpu.toml.rpmsave"].map(|name| fs::read_to_string(root.path(name)));
    assert!(settings.into_iter().flatten().any(|settings| settings.ends_with(EDIT)), "{step}");
}

fn backups(root: &Installed) -> usize {
    root.listing("etc/vgpu").iter().filter(|name| name.contains(".bak")).count()
}

/// What an administrator does after the installation.
fn register_and_edit(root: &Installed) {
    // From outside as a program of the root, and from inside.
    let registered = root
        .run("usr/bin/vgpu-admin", &["register-vm", "--vm-uuid", VM, "--vm-name=web01", "--pool=A", "--priority=high"]);
    assert_eq!(registered.code, Some(0), "{registered:?}");
    root.inside_ok(&format!("vgpu-admin register-vm --vm-uuid={OTHER_VM} --vm-name=render --pool=B --priority=medium"));
    let shown = root.inside_ok("vgpu-admin show-vm --vm-name=web01");
    assert!(shown.contains(VM_ARGUMENT), "{shown}");
    let settings = root.path("etc/vgpu/vgpu.toml");
    fs::write(&settings, fs::read_to_string(&settings).unwrap() + EDIT).unwrap();
}

fn assert_removal_keeps_what_is_not_ours(root: &Installed) {
    let said = root.dnf(&["remove", "vgpu-config"]);
    assert!(said.contains("stay in /etc/vgpu"), "{said}");
    assert_kept(root, "removed");
    for gone in
        ["etc/xapi.d/plugins/vgpu", "usr/bin/vgpu-admin", "usr/libexec/vgpu/package", "usr/share/doc/vgpu-config"]
    {
        assert!(!root.path(gone).exists(), "{gone} is still there");
    }
    assert_eq!(root.listing("etc/xapi.d/vm-pre-start").len(), 0, "a file here would be run before every start");
    assert!(root.path("etc/xapi.d/plugins/echo").exists(), "others' files stay");
    assert_eq!(root.rpm(&["--verify", "dom0-base"]).stdout, "", "others' files stay as they were");
}

#[test]
fn rows_and_settings_outlive_upgrade_downgrade_reinstallation_and_removal() {
    let root = Installed::without_the_package();
    let (this, next) = (packages().this.display().to_string(), packages().next.display().to_string());

    let said = root.dnf(&["install", &this]);
    assert!(said.contains("toolstack does not have to be restarted") && said.contains("register-vm"), "{said}");
    assert_eq!(root.changed(), "", "after the installation nothing differs from the package");
    assert_eq!(root.sql("SELECT count(*) FROM vms"), "0\n", "the database is there, and empty");

    register_and_edit(&root);
    assert_works(&root, "used");
    let schema: u32 = root.sql("PRAGMA user_version").trim().parse().unwrap();

    let said = root.dnf(&["upgrade", &next]);
    assert!(!said.contains("not ready"), "{said}");
    assert_works(&root, "upgraded");
    assert_eq!(root.sql("PRAGMA user_version"), format!("{}\n", schema + 1), "the upgrade migrates");
    assert_eq!(root.sql("SELECT count(*) FROM next_things"), "2\n", "the migration was carried out");
    assert_eq!(backups(&root), 1, "there is a copy from before the migration");
    assert_eq!(
        root.listing("etc/vgpu").iter().filter(|name| name.ends_with(".rpmnew")).count(),
        0,
        "defaults did not change"
    );

    let said = root.dnf(&["downgrade", &this]);
    assert!(said.contains("install the newer vgpu-config again"), "{said}");
    assert_works(&root, "downgraded");
    assert_eq!(root.sql("PRAGMA user_version"), format!("{}\n", schema + 1), "a newer database is left alone");
    assert_eq!(root.inside("vgpu-admin list-vms").code, Some(1), "an older program does not touch a newer database");

    root.dnf(&["upgrade", &next]);
    root.dnf(&["reinstall", &next]);
    assert_works(&root, "reinstalled");
    assert_eq!(backups(&root), 1, "nothing was migrated again");
    assert!(root.inside_ok("vgpu-admin list-vms").contains("web01"));

    assert_removal_keeps_what_is_not_ours(&root);

    root.dnf(&["install", &next]);
    assert!(
        root.inside_ok("vgpu-admin show-vm --vm-name=render").contains("pool_id=B,priority=medium"),
        "the rows are used again"
    );
}

/// The commands of an example in the documentation: those that follow a text.
fn example(page: &'static str, after: &str) -> &'static str {
    let (_, rest) = page.split_once(after).expect("the page says it");
    rest.split_once("```sh\n").and_then(|(_, block)| block.split_once("```")).expect("an example").0
}

#[test]
fn after_a_downgrade_the_documented_commands_put_the_newest_copy_back() {
    let root = Installed::new();
    root.inside_ok(&format!("vgpu-admin register-vm --vm-uuid={VM} --vm-name=web01 --pool=A --priority=high"));
    root.dnf(&["upgrade", &packages().next.display().to_string()]);
    root.dnf(&["downgrade", &packages().this.display().to_string()]);
    assert_eq!(root.inside("vgpu-admin list-vms").code, Some(1));
    root.inside_ok(
        "echo older > /etc/vgpu/vgpu_config.db.schema-1.bak; touch -d '2020-01-01 00:00' /etc/vgpu/*schema-1.bak",
    );
    let commands = example(include_str!("../../docs/installation.md"), "**To go back to the older version**");
    root.inside_ok(commands);
    assert!(root.inside_ok("vgpu-admin list-vms").contains("web01"));
    assert!(root.path("etc/vgpu/vgpu_config.db.newer").exists());
    root.inside_ok("rm /etc/vgpu/*.bak");
    assert_ne!(root.inside(commands).code, Some(0), "without a copy nothing is done");
    assert!(root.inside_ok("vgpu-admin list-vms").contains("web01"));
}

#[test]
fn a_hook_that_was_edited_by_hand_is_replaced_and_leaves_nothing_beside_it() {
    let root = Installed::new();
    let hook = root.path("etc/xapi.d/vm-pre-start/50vgpu");
    fs::write(&hook, "#!/bin/sh\nexit 0\n").unwrap();
    // What an upgrade leaves that was cut off: not executable, and so the end of every start.
    fs::write(root.path("etc/xapi.d/vm-pre-start/50vgpu;6561e0aa"), "#!/bin").unwrap();
    assert!(root.inside("vgpu-admin check").stdout.contains("50vgpu;6561e0aa"), "check names it");
    root.dnf(&["upgrade", &packages().next.display().to_string()]);
    assert_eq!(root.listing("etc/xapi.d/vm-pre-start").into_iter().collect::<Vec<_>>(), ["50vgpu"]);
    assert!(fs::read_to_string(hook).unwrap().contains("vgpu-hook"));
    root.dnf(&["remove", "vgpu-config"]);
    assert_eq!(root.listing("etc/xapi.d/vm-pre-start").len(), 0);
}

#[test]
fn the_installed_plugin_answers_recorded_calls_byte_for_byte() {
    let root = Installed::new();
    let answer = |argument: &[u8]| -> Ran {
        Ran::of(root.command("etc/xapi.d/plugins/vgpu").arg(std::ffi::OsStr::from_bytes(argument)))
    };
    let document = |members: &str| {
        format!(
            "<methodResponse><params><param><value><struct>{members}</struct></value></param></params></methodResponse>"
        )
    };
    let member = |name: &str, value: &str| format!("<member><name>{name}</name><value>{value}</value></member>");
    let text = |text: &str| format!("<string>{text}</string>");
    let mut asked = 0;
    for (name, argument) in vectors::plugin_arguments() {
        let call = String::from_utf8(argument.clone()).unwrap();
        let (before, rest) = call.split_once("<methodName>").unwrap();
        let (function, after) = rest.split_once("</methodName>").unwrap();
        let error = format!(
            "<array><data><value>{}</value><value>{}</value></data></array>",
            text("UNKNOWN_XENAPI_PLUGIN_FUNCTION"),
            text(function)
        );
        let expected = document(&(member("ErrorDescription", &error) + &member("Status", &text("Failure"))));
        assert_eq!((answer(&argument).code, answer(&argument).stdout), (Some(0), expected), "{name}");
        // The same bytes, but for a function that there is.
        if !after.contains("<struct/>") {
            continue;
        }
        let ran = answer(format!("{before}<methodName>version</methodName>{after}").as_bytes());
        let json = format!(
            "{{&quot;version&quot;:&quot;{}&quot;,&quot;schema&quot;:{}}}",
            vgpu_config::VERSION,
            root.sql("PRAGMA user_version").trim()
        );
        let expected = document(&(member("Status", &text("Success")) + &member("Value", &text(&json))));
        assert_eq!((ran.code, ran.stdout), (Some(0), expected), "{name}");
        asked += 1;
    }
    assert!(asked > 0, "no recorded call without arguments");
}

#[test]
fn the_bug_tool_finds_files_and_commands_that_are_there_and_work() {
    let root = Installed::new();
    fs::create_dir_all(root.path("var/log")).unwrap();
    root.inside_ok(&format!("vgpu-admin register-vm --vm-uuid={VM} --vm-name=web01 --pool=A --priority=high"));
    let read = |name: &str| fs::read_to_string(root.path("etc/xensource/bugtool").join(name)).unwrap();
    let capability = read("vgpu.xml");
    let capability = roxmltree::Document::parse(&capability).unwrap();
    assert_eq!(capability.root_element().tag_name().name(), "capability");
    for attribute in ["max_size", "max_time"] {
        assert!(capability.root_element().attribute(attribute).unwrap().parse::<u32>().is_ok(), "{attribute}");
    }
    let collect = read("vgpu/any.xml");
    let collect = roxmltree::Document::parse(&collect).unwrap();
    assert_eq!(collect.root_element().tag_name().name(), "collect");
    let mut collected = String::new();
    for element in collect.root_element().children().filter(roxmltree::Node::is_element) {
        let text = element.text().unwrap();
        match element.tag_name().name() {
            "command" => {
                let ran = root.inside(text);
                // "check" fails here, where there is no XAPI; it says so.
                let expected = if text.ends_with(" check") { Some(1) } else { Some(0) };
                assert_eq!(ran.code, expected, "{text}: {ran:?}");
                collected += &ran.stdout;
            }
            "files" | "list" => {
                let known = ["/etc/vgpu", "/etc/xapi.d/vm-pre-start", "/var/log/vgpu-vm-startup.log"];
                for path in text.split_whitespace() {
                    assert!(known.iter().any(|known| path.starts_with(known)), "{path}");
                }
            }
            other => panic!("the bug tool knows no {other}"),
        }
    }
    assert!(
        collected.contains("XAPI") && collected.contains("web01") && collected.contains("INSERT INTO \"vms\""),
        "{collected}"
    );
}
