//! The examples in README.md and docs/: every `console` block is run, and prints what it says.

#[path = "readme/examples.rs"]
mod examples;
#[path = "readme/troubleshooting.rs"]
mod troubleshooting;
#[path = "readme/workflows.rs"]
mod workflows;

use std::path::Path;

use examples::{Example, Shell, sections};
use simulated_host::{Identity, Release};
use vgpu_tests::{Dom0, programs};

/// Runs a document's examples one after the other on a host with the VMs that they speak of.
fn run(document: &str, at_least: usize) {
    run_on(&host(), document, at_least);
}

/// A host that the examples name.
fn host() -> Dom0 {
    Dom0::with_identity(Identity { uuid: "11111111-2222-4333-8444-555555555555".to_owned(), ..Identity::default() })
}

fn run_on(dom0: &Dom0, document: &str, at_least: usize) {
    create_vms(dom0);
    Shell::on(dom0.root.folder()).run_all(document, &all_examples(document, at_least));
}

fn all_examples(document: &str, at_least: usize) -> Vec<Example> {
    let examples: Vec<_> = sections(document).into_iter().flat_map(|section| section.examples).collect();
    assert!(examples.len() >= at_least, "{document} has only {} examples", examples.len());
    examples
}

fn create_vms(dom0: &Dom0) {
    for (uuid, name) in [
        ("cda8bcd3-f410-bd1f-3688-8c308ff28e90", "web01"),
        ("7a1f0c52-4d8e-4f7b-9c55-0e6b1d2a3f48", "render"),
        ("19e0b7d4-63fa-4a0c-8d1e-5b7c9f2e6a31", "db01"),
    ] {
        dom0.create_vm_with_uuid(uuid, name);
    }
}

#[test]
fn the_tour_in_the_readme_prints_what_it_says() {
    run("README.md", 3);
}

#[test]
fn the_examples_in_the_user_guide_print_what_they_say() {
    let dom0 = host();
    // As after an installation on a stock host.
    dom0.install_stock(&programs::folder().join("dom0-program"), Release::V8_3).unwrap();
    dom0.root.admin_ok(&["qemu-wrapper", "enable", "--restart-toolstack"]);
    create_vms(&dom0);
    dom0.add_gpu("0000:81:00.0", "NVIDIA Corporation", "AD102GL [L40S]");
    dom0.add_gpu("0000:82:00.0", "NVIDIA Corporation", "AD102GL [L40S]");
    let shell = Shell::on(dom0.root.folder()).with_clients();
    shell.run_all("docs/user-guide.md", &all_examples("docs/user-guide.md", 30));
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
fn the_examples_about_integration_print_what_they_say() {
    run("docs/integration.md", 6);
}

/// What Ansible makes of the answers was tried by hand, with ansible-core 2.19.
#[test]
fn the_commands_of_the_ansible_tasks_answer_as_the_tasks_expect() {
    let dom0 = host();
    create_vms(&dom0);
    let guide = std::fs::read_to_string(programs::workspace().join("docs/integration.md")).unwrap();
    let (_, command) = guide.split_once("command: [vgpu-admin, ").unwrap();
    let arguments: Vec<_> = command.split(']').next().unwrap().split(", ").collect();
    for (dry_run, changed) in [(true, true), (false, true), (false, false), (true, false)] {
        let arguments = [arguments.as_slice(), if dry_run { &["--dry-run"] } else { &[] }].concat();
        let answer: serde_json::Value = serde_json::from_str(&dom0.root.admin_ok(&arguments)).unwrap();
        assert_eq!(answer["changed"], changed, "{arguments:?}");
    }
    let (_, command) = guide.split_once("ansible.builtin.command: vgpu-admin ").unwrap();
    let arguments: Vec<_> = command.lines().next().unwrap().split(' ').collect();
    let error: serde_json::Value = serde_json::from_str(&dom0.root.admin_fails(&arguments)).unwrap();
    assert_eq!(error["error"]["code"], "VGPU_NOT_FOUND");
    dom0.register("19e0b7d4-63fa-4a0c-8d1e-5b7c9f2e6a31", "A", "low");
    dom0.root.admin_ok(&arguments);
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
fn every_link_between_the_documents_leads_to_a_file_and_a_heading() {
    let docs = std::fs::read_dir(programs::workspace().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap()).filter(|entry| entry.path().extension().is_some_and(|end| end == "md"));
    let docs = docs.map(|entry| format!("docs/{}", entry.file_name().display()));
    for document in docs.chain(["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned)) {
        let path = programs::workspace().join(&document);
        let markdown = std::fs::read_to_string(&path).unwrap();
        for link in markdown.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{document}: {link}");
            assert!(
                anchor.is_empty() || headings(&target).iter().any(|heading| heading == anchor),
                "{document}: {link}"
            );
        }
    }
}

/// The anchors of a document's headings.
fn headings(path: &Path) -> Vec<String> {
    let markdown = std::fs::read_to_string(path).unwrap();
    let lines = markdown.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|char| char.is_alphanumeric() || "-_".contains(*char)).collect()
    };
    lines.map(anchor).collect()
}

#[test]
fn the_user_guide_has_every_command() {
    let guide = std::fs::read_to_string(programs::workspace().join("docs/user-guide.md")).unwrap();
    let help = vgpu_tests::ScratchRoot::new().admin_ok(&["help"]);
    let commands =
        help.lines().filter_map(|line| line.strip_prefix("  ")?.split_once("  ")).map(|(command, _)| command);
    let is_command =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let commands: Vec<_> = commands.filter(is_command).filter(|command| *command != "help").collect();
    assert!(commands.len() >= 20, "{commands:?}");
    for command in commands {
        let is_there = guide.contains(&format!("`{command}")) || guide.contains(&format!("$ vgpu-admin {command}"));
        assert!(is_there, "docs/user-guide.md lacks {command}");
    }
}

#[test]
fn the_files_that_contributing_names_exist() {
    let text = std::fs::read_to_string(programs::workspace().join("CONTRIBUTING.md")).unwrap();
    let words = text.split('`').skip(1).step_by(2).filter(|word| !word.contains([' ', '=']));
    let paths: Vec<_> =
        words.filter(|word| word.contains('/') || word.contains(".md") || word.contains(".toml")).collect();
    assert!(paths.len() >= 40, "{paths:?}");
    for path in paths {
        assert!(programs::workspace().join(path).exists(), "{path}");
    }
}
