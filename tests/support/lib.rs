//! What the tests share: a scratch root with the real programs in it, and the real tools around them.

pub mod dom0;
pub mod golden;
pub mod pool;
pub mod programs;
pub mod root;
pub mod terminal;
pub mod tools;
pub mod vectors;
pub mod wait;

pub use dom0::Dom0;
pub use pool::ResourcePool;
pub use root::ScratchRoot;
pub use wait::wait_until;

/// A VM's UUID that many recordings use.
pub const VM: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";
/// The same VM's argument in GPU pool A at high priority.
pub const VM_ARGUMENT: &str = "-device vgpu-stub,pool_id=A,priority=high,vm_id=1170751909";

/// The `number`th UUID of a long row of different ones.
#[must_use]
pub fn uuid(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-{number:012x}")
}

/// The key under which XAPI carries what all hosts share of a VM.
#[must_use]
pub fn shared_key(vm: &str) -> String {
    format!("vgpu:{vm}")
}
