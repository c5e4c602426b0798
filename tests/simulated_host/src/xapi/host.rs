//! Plugins and tasks.

use super::call::Call;
use crate::database::Class;
use crate::dom0::{Operation, text};
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// `host.call_plugin`: on whichever host, in the caller's own session. A host that does not exist is not live either
/// (`do_op_on` and `check_live` in `ocaml/xapi/message_forwarding.ml`).
pub fn call_plugin(call: &Call) -> ApiResult<Value> {
    let (plugin, function, args) = (call.bytes(1)?, call.bytes(2)?, call.map(3)?);
    let host = call.text(0)?;
    let host = call.dom0.pool.host(&host).map_err(|_| ApiError::new("HOST_OFFLINE", &[&host]))?;
    host.call_plugin(&call.session, &plugin, &function, &args).map(Value::Text)
}

/// `VM.call_host_plugin`, which opens plugins to whoever may operate a VM: on the host where it runs
/// (`ocaml/xapi/message_forwarding.ml` of v25.22 and later, which names the states with capitals here).
pub fn call_host_plugin(call: &Call) -> ApiResult<Value> {
    let vm = call.text(0)?;
    let (plugin, function, args) = (call.bytes(1)?, call.bytes(2)?, call.map(3)?);
    let state = text(call.dom0.pool.read().record(Class::Vm, &vm)?, "power_state");
    if state != "Running" {
        return Err(ApiError::new("VM_BAD_POWER_STATE", &[&vm, "Running", &state]));
    }
    let host = call.host_of(&vm)?;
    let _operation = Operation::begin(&host, &vm, "call_plugin")?;
    host.call_plugin(&call.session, &plugin, &function, &args).map(Value::Text)
}

/// `task.destroy`.
pub fn destroy_task(call: &Call) -> ApiResult<Value> {
    let task = call.text(0)?;
    call.dom0.pool.write(|database| database.remove(Class::Task, &task))?;
    Ok("".into())
}
