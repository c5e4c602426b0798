//! XCP-ng's own qemu-wrapper, which this program becomes.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::execv;

/// How this program ends where the stock wrapper cannot be started: as a shell that finds a program it cannot run.
pub const NOT_STARTED: u8 = 126;

/// Becomes the stock wrapper: the environment, open files, signals and all else stay as they are. Comes back, with the reason,
/// only where that cannot be.
/// `say` is told where it can be done only without the additions.
pub fn become_it(wrapper: &Path, arguments: &[OsString], additions: &[OsString], say: impl Fn(&str)) -> String {
    if is_this_program(wrapper) {
        return format!("{} is vgpu-config's and not XCP-ng's own: put that back", wrapper.display());
    }
    let all: Vec<_> = arguments.iter().chain(additions).map(OsString::as_os_str).collect();
    let mut error = execute(wrapper, &all);
    if !additions.is_empty() {
        say(&format!(
            "{} cannot be started with our device ({}), and is started without",
            wrapper.display(),
            error.desc()
        ));
        let as_they_came: Vec<_> = arguments.iter().map(OsString::as_os_str).collect();
        error = execute(wrapper, &as_they_came);
    }
    format!("{} cannot be started: {}", wrapper.display(), error.desc())
}

fn execute(wrapper: &Path, arguments: &[&OsStr]) -> Errno {
    let words = std::iter::once(wrapper.as_os_str()).chain(arguments.iter().copied());
    let Ok(words) = words.map(|word| CString::new(word.as_bytes())).collect::<Result<Vec<_>, _>>() else {
        return Errno::EINVAL;
    };
    let Some(path) = words.first() else { return Errno::EINVAL };
    match execv(path, &words) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

/// Becoming itself, it would never come to an end.
fn is_this_program(wrapper: &Path) -> bool {
    let file = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    file(Path::new("/proc/self/exe")).is_some_and(|own| file(wrapper) == Some(own))
}
