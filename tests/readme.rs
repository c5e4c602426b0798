//! The examples in README.md and docs/: every `console` block is run, and prints what it says.
//!
//! `$ ` begins a command, `? N` after it says that it ends with N, `[..]` and `...` stand for what differs.

use std::path::PathBuf;
use std::process::Command;

use simulated_host::{Identity, Release};
use snapbox::IntoData;
use vgpu_tests::{Dom0, programs};

/// A command with what it has to print and how it has to end.
struct Example {
    command: String,
    status: i32,
    output: String,
}

fn examples(markdown: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut in_block = false;
    for line in markdown.lines() {
        match (in_block, line.strip_prefix("$ "), line.strip_prefix("? ")) {
            (false, ..) => in_block = line == "```console",
            (true, ..) if line == "```" => in_block = false,
            (true, Some(command), _) => {
                examples.push(Example { command: command.to_owned(), status: 0, output: String::new() });
            }
            (true, None, Some(status)) => examples.last_mut().unwrap().status = status.parse().unwrap(),
            (true, None, None) => {
                let output = &mut examples.last_mut().expect("a block begins with a command").output;
                output.push_str(line);
                output.push('\n');
            }
        }
    }
    examples
}

/// Runs a document's examples one after the other on a host with the VMs that they speak of.
fn run(document: &str, at_least: usize) {
    let host = Identity { uuid: "11111111-2222-4333-8444-555555555555".to_owned(), ..Identity::default() };
    run_on(&Dom0::with_identity(host), document, at_least);
}

fn run_on(dom0: &Dom0, document: &str, at_least: usize) {
    std::fs::copy(programs::folder().join("xe"), dom0.root.path("usr/bin/xe")).unwrap();
    for (uuid, name) in [
        ("cda8bcd3-f410-bd1f-3688-8c308ff28e90", "web01"),
        ("7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48", "render"),
        ("19e0b7d4-63fa-4a0c-8d1e-5b7c9f2e6a31", "db01"),
    ] {
        dom0.create_vm_with_uuid(uuid, name);
    }
    let root = dom0.root.folder().display().to_string();
    let sqlite3 = vgpu_tests::tools::sqlite_3_7_17().parent().unwrap().display().to_string();
    let path = format!("{root}/usr/bin:{sqlite3}:{}", std::env::var("PATH").unwrap());
    let markdown = std::fs::read_to_string(programs::workspace().join(PathBuf::from(document))).unwrap();
    let examples = examples(&markdown);
    assert!(examples.len() >= at_least, "{document} has only {} examples", examples.len());
    for Example { command, status, output } in examples {
        let below_root = format!(" {command}").replace(" /etc/", &format!(" {root}/etc/"));
        let ran =
            Command::new("sh").args(["-c", &format!("{{ {below_root}; }} 2>&1")]).env("PATH", &path).output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap().replace(&root, "");
        assert_eq!(ran.status.code(), Some(status), "{document}: {command}: {printed}");
        let expected = output.into_data();
        snapbox::Assert::new().action_env("SNAPSHOTS").eq(printed, expected);
    }
}

#[test]
fn the_tour_in_the_readme_prints_what_it_says() {
    run("README.md", 9);
}

#[test]
fn the_examples_about_the_database_print_what_they_say() {
    run("docs/database.md", 6);
}

#[test]
fn the_examples_about_the_plugin_print_what_they_say() {
    run("docs/plugin.md", 2);
}

#[test]
fn the_examples_about_resource_pools_print_what_they_say() {
    run("docs/resource-pools.md", 3);
}

#[test]
fn the_examples_about_monitoring_print_what_they_say() {
    run("docs/monitoring.md", 3);
}

#[test]
fn the_examples_about_gpu_pools_print_what_they_say() {
    run("docs/gpu-pools.md", 7);
}

#[test]
fn the_examples_about_troubleshooting_print_what_they_say() {
    run("docs/troubleshooting.md", 1);
}

#[test]
fn the_examples_about_the_qemu_wrapper_print_what_they_say() {
    run_on(&Dom0::stock(Release::V8_3), "docs/qemu-wrapper.md", 3);
}

#[test]
fn the_settings_file_in_the_docs_is_valid_and_says_what_the_defaults_are() {
    let markdown = std::fs::read_to_string(programs::workspace().join("docs/settings.md")).unwrap();
    let (_, rest) = markdown.split_once("```toml\n").unwrap();
    let (toml, _) = rest.split_once("```").unwrap();
    let root = vgpu_tests::ScratchRoot::new();
    root.settings(toml);
    let settings = vgpu_config::settings::Settings::load(&root.path("etc/vgpu/vgpu.toml")).unwrap();
    assert_eq!(settings, vgpu_config::settings::Settings::default());
    for key in ["device", "on_error", "unregistered", "deadline", "log_level", "pool", "priority", "pass", "properties"]
    {
        assert!(toml.contains(&format!("\n{key} = ")), "{key} is missing");
    }
}

#[test]
fn every_link_between_the_documents_leads_somewhere() {
    let docs = std::fs::read_dir(programs::workspace().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    for document in docs.chain(["README.md".to_owned()]) {
        let path = programs::workspace().join(&document);
        let markdown = std::fs::read_to_string(&path).unwrap();
        for link in markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            let target = path.parent().unwrap().join(file);
            assert!(link.starts_with("https://") || target.exists(), "{document}: {link}");
        }
    }
}
