//! Checks that the hook and the plugin are those that the package installed, and that the hook's folder has nothing else that
//! xenopsd would run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::programs::{ask, is_executable};
use crate::paths::Root;
use crate::settings::Settings;
use crate::store::CheckItem;

/// What to do if the hook or its program is wrong.
const PUT_HOOK: &str = "run /usr/libexec/vgpu/put-hook, or install vgpu-config again";
const INSTALL_AGAIN: &str = "install vgpu-config again";
/// The effect of a file in the hook's folder that cannot be run.
const REFUSES: &str = "Until then no VM starts on this host, because xenopsd runs everything in this folder";

/// The settings, and the copies that rpm may have put beside them.
pub(super) fn settings(root: &Root) -> CheckItem {
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", root.settings().display()));
    let (saved, new) = (beside(".rpmsave"), beside(".rpmnew"));
    let found = match Settings::load(&root.settings()) {
        Err(error) => Err(error.to_string()),
        Ok(_) if saved.exists() => Err(format!(
            "the settings are valid, but {} has those from before vgpu-config was removed, which have no effect: copy what you \
             need, then delete it",
            saved.display()
        )),
        Ok(_) if new.exists() => Ok(format!(
            "the settings are valid; {} has the defaults of a newer version: copy what you need, then delete it",
            new.display()
        )),
        Ok(_) => Ok("the settings are valid".to_owned()),
    };
    CheckItem::new("settings", found)
}

/// The hook with its program and its folder, and the plugin: one item for each problem.
pub(super) fn hook_and_plugin(root: &Root) -> Vec<CheckItem> {
    let mut items = Vec::new();
    let digests = Digests::read(root).unwrap_or_else(|error| {
        items.push(CheckItem::new("files", Err(error)));
        Digests(HashMap::new())
    });
    let (hook, program, plugin) = (root.hook(), root.hook_program(), root.plugin());
    let mut wrong = wrong_in_folder(&hook);
    wrong.extend(wrong_of_ours(&hook).or_else(|| digests.compare(root, &hook, PUT_HOOK).err()));
    wrong.extend(digests.compare(root, &program, PUT_HOOK).and_then(|()| runs(&program)).err());
    if wrong.is_empty() {
        items.push(CheckItem::new("hook", Ok(format!("{} is installed, and its program runs", hook.display()))));
    }
    items.extend(wrong.into_iter().map(|wrong| CheckItem::new("hook", Err(wrong))));
    let plugin_is =
        digests.compare(root, &plugin, INSTALL_AGAIN).map(|()| format!("{} is installed", plugin.display()));
    items.push(CheckItem::new("plugin", plugin_is));
    items
}

/// Whether our qemu-wrapper is the one that the package installed, and runs.
pub(super) fn qemu_wrapper(root: &Root) -> Result<(), String> {
    let program = root.qemu_wrapper();
    // hook_and_plugin reports a missing list.
    let digests = Digests::read(root).unwrap_or_else(|_| Digests(HashMap::new()));
    digests.compare(root, &program, PUT_HOOK).and_then(|()| runs(&program))
}

/// The digests of the installed files by their paths in dom0, from a list in sha256sum's format.
struct Digests(HashMap<String, String>);

impl Digests {
    fn read(root: &Root) -> Result<Self, String> {
        let path = root.digests();
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}; {INSTALL_AGAIN}", path.display()))?;
        let entries = text.lines().filter_map(|line| line.split_once("  "));
        Ok(Self(entries.map(|(digest, path)| (path.to_owned(), digest.to_owned())).collect()))
    }

    /// Whether a file is executable and, if its digest is known, unchanged since the installation.
    fn compare(&self, root: &Root, path: &Path, remedy: &str) -> Result<(), String> {
        let shown = path.display();
        let file = fs::metadata(path).map_err(|error| format!("{shown}: {error}; {remedy}"))?;
        if !file.is_file() {
            return Err(format!("{shown} is not a file: move it away, then {remedy}"));
        }
        if !is_executable(&file) {
            return Err(format!("{shown} is not executable: {remedy}"));
        }
        let found = digest(path).map_err(|error| format!("{shown}: {error}; {remedy}"))?;
        match self.0.get(&root.name_in_dom0(path)) {
            Some(installed) if *installed != found => {
                Err(format!("{shown} is not what vgpu-config {} installed: {remedy}", crate::VERSION))
            }
            _ => Ok(()),
        }
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A program with the right digest may still fail to run, on another machine or without memory.
fn runs(program: &Path) -> Result<(), String> {
    let shown = program.display();
    let said =
        ask(program, &["--version"]).map_err(|error| format!("{shown} does not run: {error}; {INSTALL_AGAIN}"))?;
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let expected = format!("{name} {}", crate::VERSION);
    if said.trim() == expected {
        return Ok(());
    }
    Err(format!("{shown} --version prints '{}' instead of '{expected}': {INSTALL_AGAIN}", said.trim()))
}

/// Other entries of the hook's folder that are a problem: xenopsd runs every entry, and refuses every start if one cannot be run.
fn wrong_in_folder(hook: &Path) -> Vec<String> {
    let folder = hook.parent().unwrap_or(hook);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return vec![format!("{}: {error}; {PUT_HOOK}", folder.display())],
    };
    let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter(|path| *path != hook).filter_map(|path| wrong_of_others(path)).collect()
}

/// Our own hook is also compared with its digest. If xenopsd cannot run it, this message comes first.
fn wrong_of_ours(path: &Path) -> Option<String> {
    let found = fs::metadata(path).ok()?;
    let is_run = found.is_file() && is_executable(&found) && can_be_run(path);
    (!is_run).then(|| format!("{} cannot be run: {PUT_HOOK}. {REFUSES}", path.display()))
}

fn wrong_of_others(path: &Path) -> Option<String> {
    let (shown, quoted) = (path.display(), quoted(path));
    if is_left_by_rpm(path) {
        return Some(format!(
            "{shown} was left behind by rpm, and xenopsd runs everything in this folder: delete it, rm {quoted}"
        ));
    }
    let Ok(found) = fs::metadata(path) else {
        return Some(format!("{shown} is a broken link: delete it, rm {quoted}. {REFUSES}"));
    };
    if found.is_dir() {
        return Some(format!("{shown} is a folder: move it away, mv {quoted} /root/. {REFUSES}"));
    }
    if !is_executable(&found) {
        return Some(format!(
            "{shown} is not executable: move it away, mv {quoted} /root/, or chmod 755 {quoted}. {REFUSES}"
        ));
    }
    (!can_be_run(path)).then(|| {
        format!("{shown} is neither a program nor a script with a first line '#!…': move it away, mv {quoted} /root/. {REFUSES}")
    })
}

/// Whether the kernel would run a file, judging by its first bytes.
fn can_be_run(path: &Path) -> bool {
    let mut first = [0; 4];
    let length = File::open(path).and_then(|mut file| file.read(&mut first)).unwrap_or_default();
    first[..length].starts_with(b"#!") || first[..length] == *b"\x7fELF"
}

/// Names that rpm uses: for files that it saved or did not replace, and for temporary ones if it was killed (`50vgpu;6561e0aa`).
fn is_left_by_rpm(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_temporary =
        name.rsplit_once(';').is_some_and(|(_, id)| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_temporary || [".rpmsave", ".rpmnew", ".rpmorig"].iter().any(|ending| name.ends_with(ending))
}

/// A path, quoted for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    if text.bytes().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        assert_eq!(quoted(Path::new("/etc/xapi.d/50vgpu")), "/etc/xapi.d/50vgpu");
        assert_eq!(quoted(Path::new("/a/50vgpu;6b04")), "'/a/50vgpu;6b04'");
        assert_eq!(quoted(Path::new("/a/it's")), r"'/a/it'\''s'");
    }

    #[test]
    fn rpms_own_names_are_known() {
        for name in ["50vgpu;6b04", "50vgpu;6561e0aa", "50vgpu.rpmsave", "x.rpmnew", "x.rpmorig"] {
            assert!(is_left_by_rpm(Path::new(name)), "{name}");
        }
        for name in ["50vgpu", "50vgpu;", "a;b.sh", "rpmsave"] {
            assert!(!is_left_by_rpm(Path::new(name)), "{name}");
        }
    }
}
