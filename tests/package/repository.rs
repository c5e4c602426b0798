//! A yum repository made with `createrepo_c`.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use vgpu_tests::VM;

use crate::built::{ok, packages};
use crate::dom0::Installed;

#[test]
fn a_repository_serves_the_newest_version_and_the_older_one_on_request() {
    let root = Installed::without_the_package();
    let folder = root.path("srv/vgpu");
    fs::create_dir_all(&folder).unwrap();
    let add = |package: &std::path::Path| {
        fs::copy(package, folder.join(package.file_name().unwrap())).unwrap();
        ok(Command::new("createrepo_c").args(["--quiet", "--update", "--general-compress-type=gz"]).arg(&folder));
    };
    let repo = format!(
        "[vgpu]\nname=vgpu-config\nbaseurl=file://{}\nenabled=1\ngpgcheck=0\nmetadata_expire=0\n",
        folder.display()
    );
    fs::create_dir_all(root.path("etc/yum.repos.d")).unwrap();
    fs::write(root.path("etc/yum.repos.d/vgpu.repo"), repo).unwrap();
    let version = || root.inside_ok("vgpu-admin --version");

    add(&packages().this);
    let metadata = root.listing("srv/vgpu/repodata");
    let ending = |name: &String| name.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    let endings: BTreeSet<_> = metadata.iter().filter_map(ending).collect();
    assert_eq!(endings.into_iter().collect::<Vec<_>>(), ["gz", "xml"], "yum 3.4 reads gzip");
    root.dnf(&["install", "vgpu-config"]);
    let first = version();
    root.inside_ok(&format!("vgpu-admin register-vm --vm-uuid={VM} --vm-name=web01 --pool=A --priority=high"));
    add(&packages().next);
    root.dnf(&["--refresh", "upgrade"]);
    assert_ne!(version(), first);
    assert!(root.inside_ok("vgpu-admin list-vms").contains("web01"));
    root.dnf(&["downgrade", "vgpu-config"]);
    assert_eq!(version(), first);
    assert_eq!(root.sql("SELECT vm_name FROM vms"), "web01\n");
}
