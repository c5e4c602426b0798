//! Our qemu-wrapper: what it hands to QEMU, that it changes nothing else, that it is never in the way, and how it is switched on
//! and off.

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
