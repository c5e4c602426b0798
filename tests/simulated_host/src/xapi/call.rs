//! A call on its way to its method: checked in the order in which xapi checks (`ocaml/idl/ocaml_backend/gen_server.ml`).

use std::sync::Arc;

use super::{methods, session};
use crate::database::{Role, storable};
use crate::dom0::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::wire::{Value, xml_rpc};

/// A call whose caller may make it.
pub struct Call<'a> {
    /// The host that carries it out.
    pub dom0: &'a Arc<Dom0>,
    /// The host whose socket it came in on.
    pub asked: &'a Arc<Dom0>,
    pub session: String,
    /// What follows the session.
    pub params: &'a [Value],
}

/// The refusal of parameters that hold a control character or what is not UTF-8, if there are any.
pub fn invalid_text(params: &[Value]) -> Option<ApiError> {
    let described = params.iter().map(Value::describe).find(|text| storable(text).len() != text.len())?;
    let params = vec![b"Invalid UTF-8 string in parameter".to_vec(), described];
    Some(ApiError::with_bytes("INVALID_VALUE", params))
}

/// Carries out a call on a host, which another may have been asked for.
pub fn perform(asked: &Arc<Dom0>, dom0: &Arc<Dom0>, method: &str, params: &[Value]) -> ApiResult<Value> {
    dom0.pool.note_call(method);
    if method == session::LOGIN {
        return session::log_in(dom0, params);
    }
    if method == methods::LIST {
        return Ok(methods::names().into());
    }
    let (is_async, name) = match method.strip_prefix("Async.") {
        Some(name) => (true, name),
        None => (false, method),
    };
    let found = methods::find(name).ok_or_else(|| ApiError::new("MESSAGE_METHOD_UNKNOWN", &[name]))?;
    let received = params.len().saturating_sub(1);
    if params.is_empty() || received < found.params.0 || received > found.params.1 {
        let (expected, received) = (found.params.0.to_string(), received.to_string());
        return Err(ApiError::new("MESSAGE_PARAMETER_COUNT_MISMATCH", &[name, &expected, &received]));
    }
    let session = text(&params[0])?;
    check_rights(dom0, &session, found.permission(name, &params[1..]))?;
    if is_async {
        return Ok(run_as_task(dom0, method, session, found, params[1..].to_vec()));
    }
    found.run(&Call { dom0, asked, session, params: &params[1..] })
}

/// `ocaml/xapi/rbac.ml`.
fn check_rights(dom0: &Dom0, session: &str, (permission, needed): (String, Role)) -> ApiResult<()> {
    let session = dom0.pool.session(session)?;
    if session.role >= needed {
        return Ok(());
    }
    let message = format!("No permission in user session. (Roles with this permission: {})", needed.and_above());
    Err(ApiError::new("RBAC_PERMISSION_DENIED", &[&permission, &message]))
}

/// Starts a method on a thread of its own; the caller gets the task that will tell how it went.
fn run_as_task(dom0: &Arc<Dom0>, label: &str, session: String, method: methods::Method, params: Vec<Value>) -> Value {
    let task = dom0.pool.begin_task(label, &dom0.reference);
    let (host, reference) = (Arc::clone(dom0), task.clone());
    dom0.in_background(move || {
        let outcome = method.run(&Call { dom0: &host, asked: &host, session, params: &params });
        host.pool.end_task(&reference, outcome.map(|result| as_task_result(&result, method.is_void)));
    });
    task.into()
}

/// A task keeps its result as XML; that of a method without one is empty.
fn as_task_result(result: &Value, is_void: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if !is_void {
        xml_rpc::write(result, &mut out);
    }
    out
}

/// A parameter that must be a string.
fn text(value: &Value) -> ApiResult<String> {
    bytes(value).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn bytes(value: &Value) -> ApiResult<Vec<u8>> {
    value.bytes().map(<[u8]>::to_vec).ok_or_else(|| expected("string", value))
}

fn expected(what: &str, value: &Value) -> ApiError {
    ApiError::failwith(&[b"Expected ", what.as_bytes(), b", got '", &value.describe(), b"'"].concat())
}

impl Call<'_> {
    pub fn text(&self, index: usize) -> ApiResult<String> {
        text(&self.params[index])
    }

    pub fn bytes(&self, index: usize) -> ApiResult<Vec<u8>> {
        bytes(&self.params[index])
    }

    pub fn flag(&self, index: usize) -> ApiResult<bool> {
        match &self.params[index] {
            Value::Bool(flag) => Ok(*flag),
            other => Err(expected("bool", other)),
        }
    }

    /// A parameter that must be a map of strings.
    pub fn map(&self, index: usize) -> ApiResult<Vec<(Vec<u8>, Vec<u8>)>> {
        match &self.params[index] {
            Value::Dict(members) => members.iter().map(|(key, value)| Ok((key.clone(), bytes(value)?))).collect(),
            other => Err(expected("dict", other)),
        }
    }

    /// The host that is to act on a VM: the one it runs on, or else this one.
    pub fn host_of(&self, vm: &str) -> ApiResult<Arc<Dom0>> {
        Ok(self.dom0.pool.host_of_vm(vm)?.unwrap_or_else(|| Arc::clone(self.dom0)))
    }

    /// Lets the host that a VM runs on know that its record has changed.
    pub fn vm_has_changed(&self, vm: &str) -> ApiResult<()> {
        self.dom0.pool.vm_has_changed(vm)
    }
}
