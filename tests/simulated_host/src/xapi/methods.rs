//! Which methods there are, what they take and who may call them.

use super::call::Call;
use super::fields::FieldMethod;
use super::{events, host, session, vm};
use crate::database::{Class, Role};
use crate::error::ApiResult;
use crate::wire::Value;

/// A method.
pub struct Method {
    /// How many parameters follow the session: at least, at most.
    pub params: (usize, usize),
    pub role: Role,
    /// Whether it has no result.
    pub is_void: bool,
    body: Body,
}

enum Body {
    Function(Function),
    Field(FieldMethod),
}

type Function = fn(&Call) -> ApiResult<Value>;

impl Method {
    /// The permission that a call of the method needs, as XAPI spells it, and the least role that has it.
    pub fn permission(&self, name: &str, params: &[Value]) -> (String, Role) {
        let name = name.to_lowercase();
        let of_key = match &self.body {
            Body::Function(_) => None,
            Body::Field(method) => method.role_of_key(params),
        };
        match of_key {
            Some((key, role)) => (format!("{name}/key:{key}"), role),
            None => (name, self.role),
        }
    }

    pub fn run(&self, call: &Call) -> ApiResult<Value> {
        match &self.body {
            Body::Function(function) => function(call),
            Body::Field(method) => method.run(call),
        }
    }
}

/// Finds a method: one of those below, or one that every class has for its fields.
pub fn find(name: &str) -> Option<Method> {
    if let Some(&Listed { params, role, is_void, function, .. }) = METHODS.iter().find(|listed| listed.name == name) {
        return Some(Method { params, role, is_void, body: Body::Function(function) });
    }
    let field = FieldMethod::of_name(name)?;
    let count = field.params();
    Some(Method { params: (count, count), role: field.role(), is_void: field.is_void(), body: Body::Field(field) })
}

use Role::{PoolAdmin, ReadOnly, VmAdmin, VmOperator, VmPowerAdmin};

struct Listed {
    name: &'static str,
    params: (usize, usize),
    role: Role,
    is_void: bool,
    function: Function,
}

const fn listed(name: &'static str, params: (usize, usize), role: Role, is_void: bool, function: Function) -> Listed {
    Listed { name, params, role, is_void, function }
}

const RESULT: bool = false;
const VOID: bool = true;

/// The methods that are not about a field: parameters, role (`ocaml/idl/datamodel_*.ml`), result, function.
const METHODS: &[Listed] = &[
    listed("session.logout", (0, 0), ReadOnly, VOID, session::log_out),
    listed("session.get_this_host", (1, 1), ReadOnly, RESULT, session::this_host),
    listed("session.get_this_user", (1, 1), ReadOnly, RESULT, session::this_user),
    listed("session.get_is_local_superuser", (1, 1), ReadOnly, RESULT, session::is_local_superuser),
    listed("session.get_auth_user_name", (1, 1), ReadOnly, RESULT, session::auth_user_name),
    listed("session.get_originator", (1, 1), ReadOnly, RESULT, session::originator),
    listed("session.get_rbac_permissions", (1, 1), ReadOnly, RESULT, session::rbac_permissions),
    listed("event.from", (3, 3), ReadOnly, RESULT, events::from),
    listed("host.call_plugin", (4, 4), PoolAdmin, RESULT, host::call_plugin),
    listed("task.destroy", (1, 1), ReadOnly, VOID, host::destroy_task),
    listed("VM.call_host_plugin", (4, 4), VmOperator, RESULT, host::call_host_plugin),
    listed("VM.create", (1, 1), VmAdmin, RESULT, vm::create),
    listed("VM.destroy", (1, 1), VmAdmin, VOID, vm::destroy),
    listed("VM.start", (3, 3), VmOperator, VOID, vm::start),
    listed("VM.start_on", (4, 4), VmPowerAdmin, VOID, vm::start_on),
    listed("VM.clean_reboot", (1, 1), VmOperator, VOID, vm::clean_reboot),
    listed("VM.hard_reboot", (1, 1), VmOperator, VOID, vm::hard_reboot),
    listed("VM.clean_shutdown", (1, 1), VmOperator, VOID, vm::clean_shutdown),
    listed("VM.hard_shutdown", (1, 1), VmOperator, VOID, vm::hard_shutdown),
    listed("VM.shutdown", (1, 1), VmOperator, VOID, vm::shutdown),
    listed("VM.suspend", (1, 1), VmOperator, VOID, vm::suspend),
    listed("VM.pool_migrate", (3, 3), VmPowerAdmin, VOID, vm::pool_migrate),
    listed("VM.resume", (3, 3), VmOperator, VOID, vm::resume),
    listed("VM.pause", (1, 1), VmOperator, VOID, vm::pause),
    listed("VM.unpause", (1, 1), VmOperator, VOID, vm::unpause),
    listed("VM.clone", (2, 2), VmAdmin, RESULT, vm::clone),
    listed("VM.copy", (3, 3), VmAdmin, RESULT, vm::clone),
    listed("VM.snapshot", (2, 3), VmPowerAdmin, RESULT, vm::snapshot),
    listed("VM.revert", (1, 1), VmPowerAdmin, VOID, vm::revert),
    listed("VM.provision", (1, 1), VmAdmin, VOID, vm::provision),
];

/// The method that lists the methods, for anybody (`ocaml/idl/ocaml_backend/gen_server.ml`).
pub const LIST: &str = "system.listMethods";

/// The names of the methods that there are here. Left out: those about single fields.
pub fn names() -> Vec<String> {
    let of_class = |class: Class| {
        let of_objects = ["get_all", "get_all_records", "get_all_records_where", "get_by_uuid", "get_record"];
        of_objects.map(|method| format!("{}.{method}", class.name()))
    };
    let listed = METHODS.iter().map(|listed| listed.name.to_owned());
    listed.chain([session::LOGIN.to_owned()]).chain(Class::ALL.into_iter().flat_map(of_class)).collect()
}

/// The names of all listed methods that a role may call.
pub fn permitted(role: Role) -> Vec<String> {
    METHODS.iter().filter(|listed| listed.role <= role).map(|listed| listed.name.to_lowercase()).collect()
}
