//! The tables of docs/how-it-works.md and docs/resource-pools.md, row by row.

mod what_a_vm_is_to_have;
mod what_xapi_lacks;

use super::*;
use crate::model::{PoolId, Priority, VmSettings};

const VM: &str = "0f6b1b7e-9d5c-4c0e-8a53-1d2f3a4b5c6d";
const OTHER: &str = "cda8bcd3-f410-bd1f-3688-8c308ff28e90";

const OURS: &str = "-device vgpu-stub,pool_id=A,priority=high,vm_id=7";
const OLD: &str = "-device vgpu-stub,pool_id=B,priority=low,vm_id=7";
const ANOTHERS: &str = "-device vgpu-stub,pool_id=B,priority=low,vm_id=8";
const BY_HAND: &str = "-device vgpu-stub,pool_id=B,priority=low,vm_id=99";

fn vm() -> VmUuid {
    VM.parse().unwrap()
}

fn settings(pool: PoolId, priority: Priority, vm_id: i64) -> VmSettings {
    VmSettings { pool, priority, vm_id: vm_id.try_into().unwrap() }
}

fn ours() -> VmSettings {
    settings(PoolId::A, Priority::High, 7)
}
