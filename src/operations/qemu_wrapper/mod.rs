//! Enables and disables our qemu-wrapper. Only root on this host can do that, because every VM that uses QEMU starts through it.

pub(super) mod configured;
mod restart;
pub(super) mod running;
mod text;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use configured::{Configured, FRAGMENT, SETTING, Whose, folder_of_the_other_release, fragments, others, whose};
use restart::restart_toolstack;

use super::device_model::learn_of_device;
use crate::error::Error;
use crate::paths::Root;
use crate::reply::{QemuWrapperReply, WrapperState};
use crate::settings::Settings;

pub use text::is_patched_script;
pub(super) use text::{cannot_be_run, is_patched};

/// Why our qemu-wrapper is not enabled or disabled.
#[derive(Debug, thiserror::Error)]
pub enum WrapperError {
    /// Ours cannot be run.
    #[error("{0}: run /usr/libexec/vgpu/put-hook, or install vgpu-config again")]
    NotInstalled(String),
    /// The stock one cannot be run.
    #[error("{0}, but vgpu-config's qemu-wrapper needs it: install XCP-ng's xenopsd again")]
    NoStock(String),
    /// The stock one was changed by hand, or by a GPU vendor's package.
    #[error(
        "{0} was changed and passes device-model-args to QEMU itself: with vgpu-config's qemu-wrapper, QEMU would get the device \
         twice and would not start. Restore the stock one first: yum reinstall \"$(rpm -qf {0})\"",
        path.display()
    )]
    Patched {
        /// The stock one.
        path: PathBuf,
    },
    /// Another one is configured.
    #[error(
        "{} makes xenopsd start {wrapper}: remove that line, or add --force to replace it with vgpu-config's qemu-wrapper \
         ('disable' goes back to it)",
        file.display()
    )]
    Foreign {
        /// The other one.
        wrapper: String,
        /// The file that names it.
        file: PathBuf,
    },
    /// Another one is configured in a file that overrides ours.
    #[error("{} makes xenopsd start {wrapper}, and overrides vgpu-config's setting: remove that line", file.display())]
    ReadLater {
        /// The other one.
        wrapper: String,
        /// The file that names it.
        file: PathBuf,
    },
    /// Ours is configured in a file that `enable` did not write.
    #[error("{} makes xenopsd start vgpu-config's qemu-wrapper, but 'enable' did not write it: remove that line", file.display())]
    ByHand {
        /// The file that names it.
        file: PathBuf,
    },
    /// The toolstack did not restart.
    #[error("the settings are changed, but xenopsd was not restarted: {0}: run xe-toolstack-restart")]
    NotRestarted(String),
}

/// Which qemu-wrapper xenopsd starts.
#[must_use]
pub fn qemu_wrapper_status(root: &Root) -> QemuWrapperReply {
    let whose = whose(root);
    let is_ours = matches!(whose, Whose::Ours(_));
    let has_ours = running::has_ours(root, &whose);
    let state = match whose {
        Whose::Stock => WrapperState::Off,
        Whose::Ours(_) if has_ours == Some(false) => WrapperState::NotInEffectYet,
        Whose::Ours(_) => WrapperState::InEffect,
        Whose::Foreign(_) => WrapperState::Foreign,
    };
    let (wrapper, configured_in) = match whose {
        Whose::Stock => (root.stock_qemu_wrapper().display().to_string(), None),
        Whose::Ours(Configured { wrapper, file }) | Whose::Foreign(Configured { wrapper, file }) => {
            (wrapper, Some(file.display().to_string()))
        }
    };
    let mut notes = Vec::new();
    if has_ours.is_none() {
        notes.push("xenopsd is not running; it reads its settings when it starts".to_owned());
    }
    if let (true, Some(other)) = (is_ours, others(root).0) {
        notes.push(format!("it replaces {}, which {} names", other.wrapper, other.file.display()));
    }
    if is_patched(&root.stock_qemu_wrapper()) {
        let stock = root.stock_qemu_wrapper();
        let what = if is_ours { ", so vgpu-config's qemu-wrapper passes nothing" } else { "" };
        notes.push(format!("{} was changed and passes device-model-args to QEMU itself{what}", stock.display()));
    }
    let needs_restart = has_ours.is_some_and(|has_ours| has_ours != is_ours);
    QemuWrapperReply { changed: false, dry_run: false, state, wrapper, configured_in, needs_restart, notes }
}

/// Makes xenopsd start ours, from its next restart on. A dry run only says whether something would be changed.
///
/// # Errors
/// Ours or the stock one cannot be run, the stock one was changed, another one is configured, or the file cannot be written.
pub fn enable_qemu_wrapper(root: &Root, force: bool, restart: bool, dry_run: bool) -> Result<QemuWrapperReply, Error> {
    can_be_enabled(root, force)?;
    let device = Settings::load(&root.settings())?.device;
    let text = fragment(root);
    let is_written = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|found| found == text);
    let changed = !fragments(root).iter().all(is_written);
    if dry_run {
        return Ok(QemuWrapperReply { changed, dry_run, ..qemu_wrapper_status(root) });
    }
    learn_of_device(root, &device);
    if changed {
        running::noting(root, || fragments(root).iter().try_for_each(|path| put(root, path, &text)))?;
    }
    finish(root, changed, restart)
}

/// Makes xenopsd start the qemu-wrapper that it would start without ours, from its next restart on. Our program stays, because
/// xenopsd starts it until then. A dry run only says whether something would be changed.
///
/// # Errors
/// Ours is configured in a file that `enable` did not write, or our file cannot be removed.
pub fn disable_qemu_wrapper(root: &Root, restart: bool, dry_run: bool) -> Result<QemuWrapperReply, Error> {
    if let (Some(Configured { wrapper, file }), _) = others(root)
        && root.xen_program(&wrapper) == root.qemu_wrapper()
    {
        return Err(WrapperError::ByHand { file }.into());
    }
    let changed = fragments(root).iter().any(|path| path.exists());
    if dry_run {
        return Ok(QemuWrapperReply { changed, dry_run, ..qemu_wrapper_status(root) });
    }
    if changed {
        running::noting(root, || fragments(root).iter().try_for_each(|path| remove(path)))?;
        // Unless something else is in it.
        let _ = fs::remove_dir(folder_of_the_other_release(root));
    }
    finish(root, changed, restart)
}

fn can_be_enabled(root: &Root, force: bool) -> Result<(), WrapperError> {
    let (ours, stock) = (root.qemu_wrapper(), root.stock_qemu_wrapper());
    if let Some(reason) = cannot_be_run(&ours) {
        return Err(WrapperError::NotInstalled(reason));
    }
    if let Some(reason) = cannot_be_run(&stock) {
        return Err(WrapperError::NoStock(reason));
    }
    if is_patched(&stock) {
        return Err(WrapperError::Patched { path: stock });
    }
    let is_foreign = |other: &Configured| {
        let path = root.xen_program(&other.wrapper);
        path != ours && path != stock
    };
    match others(root) {
        (_, Some(Configured { wrapper, file })) if root.xen_program(&wrapper) != ours => {
            Err(WrapperError::ReadLater { wrapper, file })
        }
        (Some(other), _) if is_foreign(&other) && !force && !matches!(whose(root), Whose::Ours(_)) => {
            Err(WrapperError::Foreign { wrapper: other.wrapper, file: other.file })
        }
        _ => Ok(()),
    }
}

/// The text of our file for xenopsd.
fn fragment(root: &Root) -> String {
    format!(
        "# Written by 'vgpu-admin qemu-wrapper enable'; 'vgpu-admin qemu-wrapper disable' removes it.\n{SETTING}={}\n",
        root.name_in_dom0(&root.qemu_wrapper())
    )
}

/// Writes our file. It is written outside xenopsd's folder and renamed into it, because xenopsd reads everything in there.
fn put(root: &Root, path: &Path, text: &str) -> Result<(), Error> {
    let new = root.xenopsd_settings().with_file_name(format!(".{FRAGMENT}.new"));
    let folder = path.parent().unwrap_or(path);
    let write = || {
        fs::create_dir_all(folder)?;
        let mut file = File::create(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&new);
        Error::File { path: path.to_owned(), source }
    })
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::File { path: path.to_owned(), source }),
        _ => Ok(()),
    }
}

fn finish(root: &Root, changed: bool, restart: bool) -> Result<QemuWrapperReply, Error> {
    if restart && qemu_wrapper_status(root).needs_restart {
        restart_toolstack(root).map_err(WrapperError::NotRestarted)?;
    }
    Ok(QemuWrapperReply { changed, ..qemu_wrapper_status(root) })
}
