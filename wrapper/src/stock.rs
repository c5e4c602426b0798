//! Executes the stock qemu-wrapper.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::execv;

/// The exit status if the stock one cannot be executed, the same as a shell's.
pub const NOT_STARTED: u8 = 126;

/// Executes the stock one in this process, so that the environment, open files, signals and everything else stay unchanged.
/// Returns only if this fails, with the reason. If it fails with the additions, this reports it with `say`, and tries without.
pub fn become_it(wrapper: &Path, arguments: &[OsString], additions: &[OsString], say: impl Fn(&str)) -> String {
    if is_this_program(wrapper) {
        return format!(
            "{} is vgpu-config's qemu-wrapper, not the stock one: restore the stock one",
            wrapper.display()
        );
    }
    let all: Vec<_> = arguments.iter().chain(additions).map(OsString::as_os_str).collect();
    let mut error = execute(wrapper, &all);
    if !additions.is_empty() {
        say(&format!(
            "{} cannot be started with the vGPU ({}), so it is started without it",
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

/// Without this check, the program would execute itself for ever.
fn is_this_program(wrapper: &Path) -> bool {
    let file = |path: &Path| path.metadata().map(|file| (file.dev(), file.ino())).ok();
    file(Path::new("/proc/self/exe")).is_some_and(|own| file(wrapper) == Some(own))
}
