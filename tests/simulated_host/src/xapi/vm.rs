//! `VM.*`, as far as it is about more than a field.

use super::call::Call;
use super::fields::fitting;
use crate::database::{self, Class};
use crate::dom0::{CopyKind, Reboot};
use crate::error::{ApiError, ApiResult};
use crate::random;
use crate::wire::Value;

fn nothing() -> Value {
    "".into()
}

/// `VM.create`, of a record as clients send it: some fields of their own, others unknown here.
pub fn create(call: &Call) -> ApiResult<Value> {
    let mut record = database::vm();
    let given = &call.params[0];
    if !matches!(given, Value::Dict(_)) {
        return Err(ApiError::failwith(&[b"Expected dict, got '", given.describe().as_slice(), b"'"].concat()));
    }
    for (name, current) in &mut record {
        if let Some(value) = given.get(name) {
            *current = fitting(current, value)?;
        }
    }
    record.insert("uuid".to_owned(), random::uuid().into());
    record.insert("metrics".to_owned(), random::reference().into());
    if let Some(Value::Dict(other_config)) = record.get_mut("other_config")
        && !other_config.iter().any(|(key, _)| key == b"mac_seed")
    {
        other_config.insert(0, (b"mac_seed".to_vec(), random::uuid().into()));
    }
    let reference = random::reference();
    call.dom0.pool.write(|database| database.insert(Class::Vm, &reference, record));
    Ok(reference.into())
}

/// `VM.start`: XAPI starts a VM where it likes to be (`choose_host_for_vm` in `ocaml/xapi/xapi_vm_helpers.ml`). That one
/// which likes nothing starts on the coordinator is a guess: the real one weighs the hosts' free memory.
pub fn start(call: &Call) -> ApiResult<Value> {
    let pool = &call.dom0.pool;
    let affinity = pool.read().record(Class::Vm, &call.text(0)?)?.get("affinity").cloned();
    let liked = affinity.as_ref().and_then(Value::text).and_then(|host| pool.host(&host).ok());
    let liked = liked.filter(|host| pool.is_in_contact(host));
    liked.as_ref().unwrap_or(call.dom0).start_vm(&call.text(0)?, call.flag(1)?).map(|_| nothing())
}

/// `VM.start_on`, whose operation the real one calls `start_on` in `VM.current_operations`.
pub fn start_on(call: &Call) -> ApiResult<Value> {
    let host = call.dom0.pool.host(&call.text(1)?)?;
    host.start_vm(&call.text(0)?, call.flag(2)?).map(|_| nothing())
}

/// `VM.pool_migrate`, of whose options only `force` matters here. That a guest without an agent can be moved by force is a
/// guess.
pub fn pool_migrate(call: &Call) -> ApiResult<Value> {
    let (vm, to) = (call.text(0)?, call.dom0.pool.host(&call.text(1)?)?);
    let force = call.map(2)?.contains(&(b"force".to_vec(), b"true".to_vec()));
    call.host_of(&vm)?.migrate_vm(&vm, &to, force).map(|()| nothing())
}

pub fn clean_reboot(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.reboot_vm(&vm, Reboot::Clean).map(|_| nothing())
}

pub fn hard_reboot(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.reboot_vm(&vm, Reboot::Hard).map(|_| nothing())
}

pub fn clean_shutdown(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.shut_down(&vm, true).map(|()| nothing())
}

pub fn hard_shutdown(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.shut_down(&vm, false).map(|()| nothing())
}

pub fn shutdown(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.shut_down_somehow(&vm).map(|()| nothing())
}

pub fn suspend(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.suspend_vm(&vm).map(|()| nothing())
}

pub fn resume(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.resume_vm(&vm, call.flag(1)?).map(|()| nothing())
}

pub fn pause(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.pause_vm(&vm, true).map(|()| nothing())
}

pub fn unpause(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    call.host_of(&vm)?.pause_vm(&vm, false).map(|()| nothing())
}

pub fn clone(call: &Call) -> ApiResult<Value> {
    call.dom0.copy_vm(&call.text(0)?, &call.text(1)?, CopyKind::Clone).map(Into::into)
}

pub fn snapshot(call: &Call) -> ApiResult<Value> {
    call.dom0.copy_vm(&call.text(0)?, &call.text(1)?, CopyKind::Snapshot).map(Into::into)
}

pub fn revert(call: &Call) -> ApiResult<Value> {
    call.dom0.revert_vm(&call.text(0)?).map(|()| nothing())
}

pub fn provision(call: &Call) -> ApiResult<Value> {
    call.dom0.provision_vm(&call.text(0)?).map(|()| nothing())
}

pub fn destroy(call: &Call) -> ApiResult<Value> {
    call.dom0.destroy_vm(&call.text(0)?).map(|()| nothing())
}
