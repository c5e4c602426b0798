//! What the completion offers for VMs and GPUs: the registered and assigned ones, as this host's database has them.

use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use vgpu_config::paths::Root;
use vgpu_config::store::{Filter, Store, StoreError, StoredVm};
use vgpu_config::text::one_line;

use crate::words::Value;

/// `vgpu-admin` below the root.
pub const INSTALLED_AS: &str = "usr/bin/vgpu-admin";

/// Nobody waits longer for a TAB.
const TIMEOUT: Duration = Duration::from_millis(300);

/// VMs by name, and by UUID once a part of it is typed.
#[must_use]
pub fn vms(typed: &OsStr) -> Vec<CompletionCandidate> {
    let registered = registered();
    // A word that begins with a hyphen would be an option.
    let names = names_of(&registered).filter(|name| !name.starts_with('-'));
    let mut candidates = starting_with(typed, names);
    if !typed.is_empty() {
        candidates.extend(starting_with(typed, uuids_of(&registered)));
    }
    candidates
}

/// The same, and the values that may follow the VMs.
#[must_use]
pub fn vms_or_value<T: Value>(typed: &OsStr) -> Vec<CompletionCandidate> {
    let mut candidates = vms(typed);
    candidates.extend(starting_with(typed, T::words().into_iter().map(str::to_owned)));
    candidates
}

#[must_use]
pub fn uuids(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting_with(typed, uuids_of(&registered()))
}

#[must_use]
pub fn names(typed: &OsStr) -> Vec<CompletionCandidate> {
    starting_with(typed, names_of(&registered()))
}

fn uuids_of(vms: &[StoredVm]) -> impl Iterator<Item = String> {
    vms.iter().map(|vm| vm.uuid.to_string())
}

/// A name that a shell could not show is left out.
fn names_of(vms: &[StoredVm]) -> impl Iterator<Item = String> {
    let names = vms.iter().filter_map(|vm| vm.name.as_ref());
    names.filter(|name| !name.is_empty() && one_line(name) == **name).cloned()
}

/// The GPUs that serve a GPU pool.
#[must_use]
pub fn gpus(typed: &OsStr) -> Vec<CompletionCandidate> {
    let read = Store::open_to_read(&Root::of_program(INSTALLED_AS).database(), TIMEOUT);
    let gpus = read.and_then(|store| store.read().gpus()).unwrap_or_default();
    starting_with(typed, gpus.into_iter().map(|gpu| gpu.gpu.to_string()))
}

fn starting_with(typed: &OsStr, words: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let Some(typed) = typed.to_str() else { return Vec::new() };
    words.filter(|word| word.starts_with(typed)).map(CompletionCandidate::new).collect()
}

/// None if the database cannot be read.
fn registered() -> Vec<StoredVm> {
    let mut vms = Vec::new();
    let database = Root::of_program(INSTALLED_AS).database();
    let read = Store::open_to_read(&database, TIMEOUT).and_then(|store| {
        store.read().for_each_vm(Filter::default(), &mut |vm| {
            vms.push(vm);
            Ok::<(), StoreError>(())
        })
    });
    if read.is_err() {
        vms.clear();
    }
    vms
}
