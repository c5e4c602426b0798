//! Plugins and tasks.

use super::call::Call;
use crate::database::Class;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// `host.call_plugin`: on whichever host, in the caller's own session.
pub fn call_plugin(call: &Call) -> ApiResult<Value> {
    let (plugin, function, args) = (call.bytes(1)?, call.bytes(2)?, call.map(3)?);
    let host = call.dom0.pool.host(&call.text(0)?)?;
    host.call_plugin(&call.session, &plugin, &function, &args).map(Value::Text)
}

/// `VM.call_host_plugin`, which opens plugins to whoever may operate a VM: on the host where it runs.
pub fn call_host_plugin(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    let (plugin, function, args) = (call.bytes(1)?, call.bytes(2)?, call.map(3)?);
    let Some(host) = call.dom0.pool.host_of_vm(&vm)? else {
        return Err(ApiError::new("VM_BAD_POWER_STATE", &[&vm, "running", "halted"]));
    };
    host.call_plugin(&call.session, &plugin, &function, &args).map(Value::Text)
}

/// `task.destroy`.
pub fn destroy_task(call: &Call) -> ApiResult<Value> {
    let task = call.text(0)?;
    call.dom0.pool.write(|database| database.remove(Class::Task, &task))?;
    Ok("".into())
}
