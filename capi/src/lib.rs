//! `libvgpu_config`: the library for C programs on the host, such as mediator daemons and QEMU's device.
//!
//! It only converts: C's values to requests and back. The requests are those of the plugin and `vgpu-admin`. cbindgen makes
//! `capi/include/vgpu_config.h` from this crate, with the comments.
//!
//! What the caller's process owns is left alone: signals, locale, umask, standard streams, threads, the log.

#![allow(non_camel_case_types, reason = "C's names")]
#![allow(clippy::missing_safety_doc, reason = "the comments say it in C's terms")]
#![allow(clippy::doc_markdown, reason = "the comments are the header's")]

// In the order of the header, which begins with what the functions below return and take.
mod code;

mod input;

mod output;

mod database;

mod lookup;

mod list;

mod pool;

mod change;

mod boundary;
mod handle;
mod message;

pub use change::{
    VGPU_FORCE, VGPU_TAKES_EFFECT_AT_NEXT_START, VGPU_TAKES_EFFECT_AT_NEXT_START_OR_REBOOT, VGPU_TAKES_EFFECT_NEVER,
    VGPU_XAPI_ALREADY_RIGHT, VGPU_XAPI_AWAY, VGPU_XAPI_UNKNOWN_VM, VGPU_XAPI_WRITTEN, vgpu_change, vgpu_register_vm,
    vgpu_remove_vm, vgpu_set_pool, vgpu_set_priority, vgpu_update_vm,
};
pub use code::{
    VGPU_ALREADY_EXISTS, VGPU_ARGS_TOO_LONG, VGPU_ARGS_UNCLEAR, VGPU_BUFFER_TOO_SMALL, VGPU_BUSY, VGPU_DB_ERROR,
    VGPU_ERROR, VGPU_FILE_ERROR, VGPU_FORKED, VGPU_IN_USE, VGPU_INVALID_HANDLE, VGPU_INVALID_PARAM, VGPU_NEWER_FORMAT,
    VGPU_NOT_FOUND, VGPU_OK, VGPU_POOL_FULL, VGPU_READ_ONLY, VGPU_SETTINGS_ERROR, VGPU_STOPPED, VGPU_UNKNOWN_VM,
    VGPU_XAPI_ERROR, vgpu_strerror,
};
pub use database::{
    VGPU_OPEN_DATABASE_ONLY, VGPU_OPEN_READ_ONLY, vgpu_check_callback, vgpu_db_check, vgpu_db_close,
    vgpu_db_descriptor, vgpu_db_generation, vgpu_db_init, vgpu_last_message, vgpu_version,
};
pub use handle::vgpu_db;
pub use input::{
    VGPU_PRIORITY_HIGH, VGPU_PRIORITY_LOW, VGPU_PRIORITY_MEDIUM, VGPU_UNSET_POOL, VGPU_UNSET_PRIORITY, VGPU_UNSET_VM_ID,
};
pub use list::{vgpu_count_vms_by_pool, vgpu_count_vms_by_priority, vgpu_list_vms, vgpu_vm_callback};
pub use lookup::{vgpu_get_vm_by_device_id, vgpu_get_vm_config, vgpu_get_vm_name};
pub use output::vgpu_vm_config;
pub use pool::{VGPU_NO_LIMIT, vgpu_get_pool, vgpu_pool};
