//! GPU pools and GPUs in export and import.

use super::*;

fn import(dom0: &Dom0, text: &str, options: &[&str]) -> Value {
    dom0.root.write("file.toml", text);
    let path = dom0.root.path("file.toml").display().to_string();
    let arguments: Vec<_> = ["import", path.as_str()].into_iter().chain(options.iter().copied()).collect();
    dom0.root.admin_json(&arguments)
}

#[test]
fn what_is_exported_is_imported_again() {
    let dom0 = with_gpus();
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=render \"L40S\"", "--description=für CAD", "--max-vms=8"]);
    dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu(&dom0, ADDRESS)]);
    let text = dom0.root.admin_ok(&["export"]);
    let host = dom0.host_uuid();
    let expected = format!(
        "version = 1\nvm = []\n\n[[gpu_pool]]\npool = \"A\"\nname = 'render \"L40S\"'\ndescription = \"für CAD\"\nmax_vms = 8\n\n\
         [[gpu]]\nhost_uuid = \"{host}\"\npci_address = \"{ADDRESS}\"\npool = \"A\"\n"
    );
    assert_eq!(text, expected);
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=none", "--max-vms=none"]);
    dom0.root.admin_ok(&["unassign-gpu", "--gpu", &gpu(&dom0, ADDRESS)]);
    let planned = import(&dom0, &text, &["--dry-run"]);
    assert_eq!(shared(&dom0, "pool:A").unwrap().split(' ').nth(1), Some("2"));
    let done = import(&dom0, &text, &[]);
    for reply in [planned, done] {
        assert_eq!(reply["gpu_pools"][0]["to"]["max_vms"], 8);
        assert_eq!(reply["gpus"], json!([{"gpu": gpu(&dom0, ADDRESS), "from": null, "to": "A"}]));
    }
    assert_eq!(dom0.root.admin_ok(&["export"]), text);
    assert!(shared(&dom0, &format!("gpu:{}", gpu(&dom0, ADDRESS))).unwrap().starts_with("1 A 3 "));
}

#[test]
fn a_file_without_gpu_pools_leaves_them_alone_even_if_vms_are_pruned() {
    let dom0 = with_gpus();
    dom0.root.admin_ok(&["set-gpu-pool", "A", "--name=render"]);
    dom0.root.admin_ok(&["assign-gpu", "A", "--gpu", &gpu(&dom0, ADDRESS)]);
    let before = dom0.root.admin_ok(&["export"]);
    import(&dom0, "version = 1\n", &["--prune"]);
    assert_eq!(dom0.root.admin_ok(&["export"]), before);
}

#[test]
fn vms_and_gpu_pools_of_a_file_are_changed_together_or_not_at_all() {
    let dom0 = with_gpus();
    let text = format!(
        "version = 1\n[[gpu_pool]]\npool = \"A\"\nname = \"render\"\nmax_vms = 1\n[[vm]]\nvm_uuid = \"{}\"\npool = \"A\"\npriority = \"low\"\n\
         [[vm]]\nvm_uuid = \"{}\"\npool = \"A\"\npriority = \"low\"\n",
        uuid(1),
        uuid(2)
    );
    dom0.root.write("file.toml", &text);
    let path = dom0.root.path("file.toml").display().to_string();
    let refused = dom0.root.admin_fails(&["import", &path]);
    assert!(refused.contains("GPU pool A is full (VMs: 0 of 1), and would get 2 more"), "{refused}");
    assert_eq!((shared(&dom0, "pool:A"), dom0.shared(&uuid(1))), (None, None));
    let said = dom0.root.admin_ok(&["import", &path, "--force"]);
    assert!(said.starts_with("~ GPU pool A  no name, no limit -> name \"render\", at most 1 VM\n+ "), "{said}");
    assert!(said.contains("\n3 changed, 0 unchanged.\n"), "{said}");
    assert!(shared(&dom0, "pool:A").is_some() && dom0.shared(&uuid(2)).is_some());
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let dom0 = Dom0::new();
    let gpu =
        "[[gpu]]\nhost_uuid = \"5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01\"\npci_address = \"0000:81:00.0\"\npool = \"A\"\n";
    for (text, expected) in [
        (format!("version = 1\n{gpu}{gpu}"), "GPU 5c1b7a32-0d0e-4f5c-9c5f-3a0f4a6f6a01:0000:81:00.0 twice"),
        ("version = 1\n[[gpu_pool]]\npool = \"A\"\n[[gpu_pool]]\npool = \"A\"\n".to_owned(), "GPU pool A twice"),
        (
            "version = 1\n[[gpu_pool]]\npool = \"A\"\nmax_vms = -1\n".to_owned(),
            "'-1' is not valid: expected a whole number from 0 to",
        ),
    ] {
        dom0.root.write("file.toml", &text);
        let refused = dom0.root.admin_fails(&["import", &dom0.root.path("file.toml").display().to_string()]);
        assert!(refused.contains(expected), "{refused}");
    }
}
