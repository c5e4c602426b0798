//! `vgpu-admin recover`: real damage in real databases, and exactly what comes back.

#[path = "recover/aside.rs"]
mod aside;
#[path = "recover/pages.rs"]
mod pages;
#[path = "recover/support.rs"]
mod support;
#[path = "recover/xapi.rs"]
mod xapi;
