//! `session.*`.

use std::sync::Arc;

use super::call::Call;
use super::methods;
use crate::database::{NULL, Role, Session};
use crate::dom0::Dom0;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// The one method that needs no session.
pub const LOGIN: &str = "session.login_with_password";

/// On the local socket anybody is root, whatever the password (`login_with_password` in `ocaml/xapi/xapi_session.ml`).
/// Left out: an originator may have 500 sessions, and one that is idle for a day ends.
pub fn log_in(dom0: &Arc<Dom0>, params: &[Value]) -> ApiResult<Value> {
    if !(2..=4).contains(&params.len()) {
        let received = params.len().to_string();
        return Err(ApiError::new("MESSAGE_PARAMETER_COUNT_MISMATCH", &[LOGIN, "4", &received]));
    }
    let originator = params.get(3).and_then(Value::text).unwrap_or_default();
    Ok(dom0.pool.open_session(&dom0.reference, &originator, Role::PoolAdmin).into())
}

pub fn log_out(call: &Call) -> ApiResult<Value> {
    call.dom0.pool.session(&call.session)?;
    call.dom0.pool.close_session(&call.session);
    Ok("".into())
}

fn asked_for(call: &Call) -> ApiResult<Session> {
    let reference = call.text(0)?;
    call.dom0.pool.session(&reference).map_err(|_| ApiError::handle_invalid("session", &reference))
}

pub fn this_host(call: &Call) -> ApiResult<Value> {
    Ok(asked_for(call)?.host.into())
}

pub fn this_user(call: &Call) -> ApiResult<Value> {
    asked_for(call).map(|_| NULL.into())
}

pub fn is_local_superuser(call: &Call) -> ApiResult<Value> {
    Ok(asked_for(call)?.local_superuser.into())
}

/// A local superuser has the name that it logged in with (`ocaml/xapi/xapi_session.ml`). What another is called is up to
/// the directory service; this is made up.
pub fn auth_user_name(call: &Call) -> ApiResult<Value> {
    let session = asked_for(call)?;
    Ok(if session.local_superuser { "root".into() } else { format!("{}@example.test", session.role.name()).into() })
}

pub fn originator(call: &Call) -> ApiResult<Value> {
    Ok(asked_for(call)?.originator.into())
}

/// A local superuser may do everything, and has none of it listed (`login_with_password` in
/// `ocaml/xapi/xapi_session.ml`). Of the permissions of others these are those of the methods that there are here.
pub fn rbac_permissions(call: &Call) -> ApiResult<Value> {
    let session = asked_for(call)?;
    Ok(if session.local_superuser { Vec::new() } else { methods::permitted(session.role) }.into())
}
