//! Our qemu-wrapper: what it passes to QEMU, that it changes nothing else and never prevents a start, and how it is enabled and
//! disabled.

#[path = "qemu_wrapper/invisible.rs"]
mod invisible;
#[path = "qemu_wrapper/never_in_the_way.rs"]
mod never_in_the_way;
#[path = "qemu_wrapper/passes.rs"]
mod passes;
#[path = "qemu_wrapper/stand_in.rs"]
mod stand_in;
#[path = "qemu_wrapper/switched.rs"]
mod switched;
