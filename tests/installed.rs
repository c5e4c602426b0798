//! What `check` says of the files that xapi and xenopsd run: ours, and what lies beside the hook.

use std::fs;
use std::os::unix::fs::symlink;

use vgpu_tests::ScratchRoot;

const HOOK: &str = "etc/xapi.d/vm-pre-start/50vgpu";
const PROGRAM: &str = "usr/libexec/vgpu/vgpu-hook";
const PLUGIN: &str = "etc/xapi.d/plugins/vgpu";
const FOLDER: &str = "etc/xapi.d/vm-pre-start";

/// What `check` says under a name: whether it is right, and what it is.
fn said(root: &ScratchRoot, name: &str) -> Vec<(bool, String)> {
    let ran = root.admin(&["check", "--format=json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let items = answer["checks"].as_array().unwrap().iter().filter(|item| item["name"] == name);
    items.map(|item| (item["ok"] == true, item["message"].as_str().unwrap().to_owned())).collect()
}

/// The one thing that is wrong under a name.
fn wrong(root: &ScratchRoot, name: &str) -> String {
    match said(root, name).as_slice() {
        [(false, message)] => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_package_installed_is_as_it_should_be() {
    let root = ScratchRoot::new();
    let (hook, plugin) = (said(&root, "hook"), said(&root, "plugin"));
    assert!(
        hook.len() == 1 && hook[0].0 && hook[0].1.ends_with("50vgpu is installed, and its program runs"),
        "{hook:?}"
    );
    assert!(plugin.len() == 1 && plugin[0].0 && plugin[0].1.ends_with("plugins/vgpu is installed"), "{plugin:?}");
    assert_eq!(said(&root, "files"), []);
}

#[test]
fn a_hook_that_is_not_what_was_installed_is_found_with_what_to_do() {
    for (content, says) in [
        ("", "50vgpu cannot be run"),
        ("exit 0\n", "50vgpu cannot be run"),
        ("#!/bin/sh\nexit 7\n", "50vgpu is not what vgpu-config"),
        ("#!/bin/sh\nexit 0\n", "50vgpu is not what vgpu-config"),
    ] {
        let root = ScratchRoot::new();
        root.write(HOOK, content);
        let wrong = wrong(&root, "hook");
        assert!(wrong.contains(says), "{content:?}: {wrong}");
        assert!(wrong.contains("run /usr/libexec/vgpu/put-hook, or install vgpu-config again"), "{content:?}: {wrong}");
    }
    let root = ScratchRoot::new();
    root.chmod(HOOK, 0o644);
    assert!(wrong(&root, "hook").contains("no VM starts on this host"));
    fs::remove_file(root.path(HOOK)).unwrap();
    assert!(wrong(&root, "hook").contains("50vgpu: No such file"));
}

#[test]
fn a_program_or_a_plugin_that_is_not_what_was_installed_is_found() {
    for content in ["", "#!/bin/sh\necho vgpu-hook 0.1.0\n"] {
        let root = ScratchRoot::new();
        root.replace_program(PROGRAM, content);
        root.replace_program(PLUGIN, content);
        assert!(wrong(&root, "hook").contains("vgpu-hook is not what vgpu-config"), "{content:?}");
        assert!(wrong(&root, "plugin").contains("vgpu is not what vgpu-config"), "{content:?}");
    }
    let root = ScratchRoot::new();
    root.unlink(PROGRAM);
    root.unlink(PLUGIN);
    assert!(said(&root, "hook")[0].0 && said(&root, "plugin")[0].0, "the same bytes elsewhere are as good");
    root.chmod(PROGRAM, 0o644);
    root.chmod(PLUGIN, 0o644);
    assert!(wrong(&root, "hook").contains("vgpu-hook is not executable"));
    assert!(wrong(&root, "plugin").contains("vgpu is not executable: install vgpu-config again"));
}

#[test]
fn a_program_that_does_not_run_is_found_even_where_it_is_what_was_installed() {
    for (script, says) in [
        ("exit 1", "--version prints ''"),
        ("echo vgpu-hook 9.9.9", "prints 'vgpu-hook 9.9.9'"),
        ("exec sleep 60", "not end within"),
    ] {
        let root = ScratchRoot::new();
        root.replace_program(PROGRAM, &format!("#!/bin/sh\n{script}\n"));
        let list = fs::read_to_string(root.path("usr/libexec/vgpu/package/sha256sums")).unwrap();
        let others: Vec<_> = list.lines().filter(|line| !line.ends_with("/vgpu-hook")).collect();
        root.write("usr/libexec/vgpu/package/sha256sums", others.join("\n") + "\n");
        assert!(wrong(&root, "hook").contains(says), "{script}: {:?}", said(&root, "hook"));
    }
}

#[test]
fn a_list_of_digests_that_is_missing_is_found_and_the_rest_looked_at() {
    let root = ScratchRoot::new();
    fs::remove_file(root.path("usr/libexec/vgpu/package/sha256sums")).unwrap();
    assert!(wrong(&root, "files").contains("sha256sums: No such file"));
    assert!(said(&root, "hook")[0].0);
}

/// A root with everything in the hook's folder that has no business there.
fn crowded() -> ScratchRoot {
    let root = ScratchRoot::new();
    let script = "#!/bin/sh\n";
    for (name, content, mode) in [
        ("10empty", "", 0o755),
        ("20note", "a note", 0o755),
        ("30script", script, 0o644),
        ("40others", script, 0o755),
        ("50vgpu.rpmsave", script, 0o755),
        ("50vgpu;6b04", script, 0o755),
        ("it's.rpmnew", script, 0o755),
    ] {
        let name = format!("{FOLDER}/{name}");
        root.write(&name, content);
        root.chmod(&name, mode);
    }
    fs::create_dir(root.path(&format!("{FOLDER}/60folder"))).unwrap();
    symlink("nowhere", root.path(&format!("{FOLDER}/70link"))).unwrap();
    root
}

#[test]
fn everything_that_lies_wrongly_beside_the_hook_is_named_with_what_to_do() {
    let root = crowded();
    let path = |name: &str| root.path(&format!("{FOLDER}/{name}"));
    let shown = |name: &str| path(name).display().to_string();
    let expected = [
        (
            "10empty",
            format!(
                "neither a program nor a script with a first line '#!…': move it away, mv {} /root/",
                shown("10empty")
            ),
        ),
        ("20note", "neither a program nor a script".to_owned()),
        ("30script", format!("not executable: move it away, mv {0} /root/, or chmod 755 {0}.", shown("30script"))),
        (
            "50vgpu.rpmsave",
            format!(
                "left behind by rpm, and xenopsd runs everything in this folder: delete it, rm {}",
                shown("50vgpu.rpmsave")
            ),
        ),
        ("50vgpu;6b04", format!("delete it, rm '{}'", shown("50vgpu;6b04"))),
        ("60folder", format!("is a folder: move it away, mv {} /root/", shown("60folder"))),
        ("70link", format!("broken link: delete it, rm {}", shown("70link"))),
        ("it's.rpmnew", format!(r"delete it, rm '{}'", shown("it's.rpmnew").replace('\'', r"'\''"))),
    ];
    let found = said(&root, "hook");
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((name, says), (ok, message)) in expected.iter().zip(&found) {
        assert!(!ok && message.starts_with(&shown(name)) && message.contains(says), "{name}: {message}");
    }
    let blocks = |name: &str| {
        found.iter().any(|(_, message)| message.starts_with(&shown(name)) && message.contains("no VM starts"))
    };
    assert!(["10empty", "20note", "30script", "60folder", "70link"].into_iter().all(blocks), "{found:#?}");
}

#[test]
fn settings_that_rpm_has_put_aside_are_told() {
    let root = ScratchRoot::new();
    assert_eq!(said(&root, "settings"), [(true, "the settings are valid".to_owned())]);
    root.write("etc/vgpu/vgpu.toml.rpmnew", "");
    let [(true, message)] = &said(&root, "settings")[..] else { panic!("new defaults are no fault") };
    assert!(message.contains("vgpu.toml.rpmnew has the defaults of a newer version"), "{message}");
    root.write("etc/vgpu/vgpu.toml.rpmsave", "deadline = 7\n");
    let message = wrong(&root, "settings");
    assert!(message.contains("vgpu.toml.rpmsave has those from before") && message.contains("no effect"), "{message}");
}
