//! Which qemu-wrapper xenopsd's settings name. xenopsd reads `/etc/xenopsd.conf`, then every file of a folder in the order of
//! their names, so that later ones override earlier ones (xapi-project/xen-api, `ocaml/xapi-idl/lib/xcp_service.ml`).

use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::Root;

/// xenopsd's setting for another qemu-wrapper (xapi-project/xen-api, `ocaml/xenopsd/lib/resources.ml`).
pub(super) const SETTING: &str = "upstream-compat-qemu-dm-wrapper";
/// The folders of XCP-ng 8.3 and later, and of 8.2. Each release reads one of them.
pub(super) const FOLDERS: [&str; 2] = ["xenopsd.conf.d", "xenopsd-xc.conf.d"];
/// Our file in these folders. Its name sorts after most others.
pub(super) const FRAGMENT: &str = "zzz-vgpu-qemu-wrapper.conf";

/// A qemu-wrapper from xenopsd's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::operations) struct Configured {
    /// The qemu-wrapper, as the file names it.
    pub wrapper: String,
    /// The file.
    pub file: PathBuf,
}

/// Whose qemu-wrapper it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::operations) enum Whose {
    /// The stock one.
    Stock,
    /// Ours.
    Ours(Configured),
    /// Another one, such as a GPU vendor's.
    Foreign(Configured),
}

/// Whose qemu-wrapper xenopsd's settings name. A foreign one in the other release's folder counts as well: that folder is read
/// after an upgrade, and it is not certain which release reads which folder.
pub(in crate::operations) fn whose(root: &Root) -> Whose {
    let [here, there] = folders(root).map(|folder| of_folder(root, folder));
    match (here, there) {
        (foreign @ Whose::Foreign(_), _) | (_, foreign @ Whose::Foreign(_)) => foreign,
        (here, _) => here,
    }
}

/// That of this release, then the other one.
fn folders(root: &Root) -> [&'static str; 2] {
    let mut folders = FOLDERS;
    if root.product_version().is_some_and(|version| version.starts_with("8.2")) {
        folders.reverse();
    }
    folders
}

/// The other release's folder, which `enable` has created.
pub(super) fn folder_of_the_other_release(root: &Root) -> PathBuf {
    root.xenopsd_folder(folders(root)[1])
}

fn of_folder(root: &Root, folder: &str) -> Whose {
    let Some(configured) = last(&files(root, folder)) else { return Whose::Stock };
    let path = root.xen_program(&configured.wrapper);
    if path == root.qemu_wrapper() {
        Whose::Ours(configured)
    } else if path == root.stock_qemu_wrapper() {
        Whose::Stock
    } else {
        Whose::Foreign(configured)
    }
}

/// The setting from the other files: the last of all, and the last of those that are read after ours.
pub(super) fn others(root: &Root) -> (Option<Configured>, Option<Configured>) {
    let mut others = (None, None);
    for folder in FOLDERS {
        let files: Vec<_> = files(root, folder)
            .into_iter()
            .filter(|file| file.file_name().is_none_or(|name| name != FRAGMENT))
            .collect();
        let is_after = |file: &&PathBuf| file.file_name().is_some_and(|name| name > FRAGMENT) && is_in(file, folder);
        let after: Vec<_> = files.iter().filter(is_after).cloned().collect();
        others = (others.0.or_else(|| last(&files)), others.1.or_else(|| last(&after)));
    }
    others
}

fn is_in(file: &Path, folder: &str) -> bool {
    file.parent().is_some_and(|parent| parent.ends_with(folder))
}

/// The paths of our own files.
pub(super) fn fragments(root: &Root) -> [PathBuf; 2] {
    FOLDERS.map(|folder| root.xenopsd_folder(folder).join(FRAGMENT))
}

fn files(root: &Root, folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.xenopsd_folder(folder));
    let mut fragments: Vec<_> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    fragments.sort();
    fragments.insert(0, root.xenopsd_settings());
    fragments
}

fn last(files: &[PathBuf]) -> Option<Configured> {
    let said = |file: &PathBuf| {
        let text = fs::read_to_string(file).ok()?;
        let wrapper = text.lines().rev().find_map(value)?;
        Some(Configured { wrapper, file: file.clone() })
    };
    files.iter().rev().find_map(said)
}

/// The qemu-wrapper that a line names. Like xenopsd, this ignores comments and removes quotes.
fn value(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default();
    let (key, value) = line.split_once('=')?;
    let value = value.trim();
    let unquoted =
        ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote)));
    let is_meant = key.split_whitespace().next_back() == Some(SETTING);
    Some(unquoted.unwrap_or(value).to_owned()).filter(|value| is_meant && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_xenopsd_reads_it() {
        for (line, expected) in [
            ("upstream-compat-qemu-dm-wrapper=/a/b", Some("/a/b")),
            ("  upstream-compat-qemu-dm-wrapper = '/a/b'  # ours", Some("/a/b")),
            ("upstream-compat-qemu-dm-wrapper=\"/a b\"", Some("/a b")),
            ("# upstream-compat-qemu-dm-wrapper=/a/b", None),
            ("upstream-compat-qemu-dm-wrapper", None),
            ("upstream-compat-qemu-dm-wrapper=", None),
            ("qemu-dm-wrapper=/a/b", None),
            ("", None),
        ] {
            assert_eq!(value(line).as_deref(), expected, "{line}");
        }
    }
}
