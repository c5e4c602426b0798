//! The `simulated.` methods, through which a program outside can do what a test does in-process. They take no
//! session, and no fault stops them.

use std::str::FromStr;
use std::sync::Arc;

use crate::database::{Class, Role};
use crate::dom0::{Boot, Dom0, HookRun};
use crate::error::{ApiError, ApiResult};
use crate::fault::{Fault, Service};
use crate::process::Exit;
use crate::seed;
use crate::wire::Value;

/// What their names begin with.
pub const PREFIX: &str = "simulated.";

/// Carries out one of them. VMs are named by their UUIDs.
pub fn perform(dom0: &Arc<Dom0>, method: &str, params: &[Value]) -> ApiResult<Value> {
    let text = |index: usize| params.get(index).and_then(Value::text).map(std::borrow::Cow::into_owned);
    let needed = |index: usize| {
        text(index).ok_or_else(|| ApiError::new("MESSAGE_PARAMETER_COUNT_MISMATCH", &[method, &index.to_string()]))
    };
    let list = |texts: Vec<String>| Ok(Value::from(texts));
    match method.strip_prefix(PREFIX).unwrap_or_default() {
        "create_vm" => {
            let uuid = text(1).unwrap_or_else(crate::random::uuid);
            seed::create_vm(&dom0.pool, &uuid, &needed(0)?);
            Ok(uuid.into())
        }
        "boots" => Ok(Value::List(dom0.boots(&needed(0)?).iter().map(boot).collect())),
        "hook_runs" => Ok(Value::List(dom0.hook_runs(&needed(0)?).iter().map(hook_run).collect())),
        "guest_reboot" => dom0.guest_reboot(&needed(0)?).map(|it| boot(&it)),
        "guest_power_off" => dom0.guest_power_off(&needed(0)?).map(|()| Value::Null),
        "set_guest_agent" => {
            let vm = dom0.pool.read().table(Class::Vm).by_uuid(Class::Vm, &needed(0)?)?;
            dom0.set_guest_agent(&vm, params.get(1) == Some(&Value::Bool(true))).map(|()| Value::Null)
        }
        "xenopsd_metadata" => Ok(dom0.xenopsd.metadata(&needed(0)?).unwrap_or(Value::Null)),
        "syslog" => list(dom0.syslog_lines()),
        "calls" => list(dom0.pool.calls()),
        "clear_calls" => {
            dom0.pool.clear_calls();
            Ok(Value::Null)
        }
        "open_sessions" => list(dom0.pool.open_sessions().into_iter().map(|session| session.reference).collect()),
        "open_session" => open_session(dom0, &needed(0)?),
        "filter_platform" => {
            dom0.pool.set_filters_platform(params.first() == Some(&Value::Bool(true)));
            Ok(Value::Null)
        }
        "set_fault" => set_fault(dom0, &needed(0)?, &needed(1)?, text(2).as_deref()),
        "clear_faults" => dom0.clear_faults().map(|()| Value::Null).map_err(io_error),
        "restart_toolstack" => dom0.restart_toolstack().map(|()| Value::Null).map_err(io_error),
        "restart_xapi" => dom0.restart_xapi().map(|()| Value::Null).map_err(io_error),
        _ => Err(ApiError::new("MESSAGE_METHOD_UNKNOWN", &[method])),
    }
}

fn open_session(dom0: &Arc<Dom0>, role: &str) -> ApiResult<Value> {
    let role = Role::of_name(role).ok_or_else(|| ApiError::new("INVALID_VALUE", &["role", role]))?;
    Ok(dom0.pool.open_session(&dom0.reference, "simulated", role).into())
}

fn set_fault(dom0: &Arc<Dom0>, service: &str, fault: &str, method: Option<&str>) -> ApiResult<Value> {
    dom0.set_fault(service.parse()?, method, fault.parse()?).map_err(io_error)?;
    Ok(Value::Null)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn io_error(error: std::io::Error) -> ApiError {
    ApiError::internal(&error.to_string())
}

fn boot(boot: &Boot) -> Value {
    let platformdata = boot.platformdata.iter().map(|(key, value)| (key, value.as_str().into()));
    Value::dict([
        ("platformdata", Value::dict(platformdata)),
        ("device_model_args", boot.device_model_args.as_deref().map_or(Value::Null, Into::into)),
        ("hook_runs", Value::List(boot.hook_runs.iter().map(hook_run).collect())),
    ])
}

fn hook_run(run: &HookRun) -> Value {
    let exit = match run.exit {
        Exit::Code(code) => Value::Int(code.into()),
        Exit::Signal(signal) => crate::process::signal_name(signal).into(),
    };
    Value::dict([
        ("script", format!("{}/{}", run.hook_point, run.script).into()),
        ("args", run.args.clone().into()),
        ("exit", exit),
        ("stdout", run.stdout.as_str().into()),
        ("stderr", run.stderr.as_str().into()),
        ("seconds", Value::Float(run.duration.as_secs_f64())),
    ])
}

impl FromStr for Service {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        match text {
            "xapi" => Ok(Self::Xapi),
            "message-switch" => Ok(Self::MessageSwitch),
            "xenopsd" => Ok(Self::Xenopsd),
            _ => Err(ApiError::new("INVALID_VALUE", &["service", text])),
        }
    }
}

/// The notation of the demo: `absent`, `slow:500` in milliseconds, `error:CODE:param:param`.
impl FromStr for Fault {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let (name, detail) = text.split_once(':').unwrap_or((text, ""));
        let invalid = || ApiError::new("INVALID_VALUE", &["fault", text]);
        Ok(match name {
            "absent" => Self::Absent,
            "refuses" => Self::Refuses,
            "hangs" => Self::Hangs,
            "drops-reply" => Self::DropsReply,
            "garbage" => Self::Garbage,
            "not-json" => Self::NotJson,
            "wrong-shape" => Self::WrongShape,
            "forwarded-errors" => Self::ForwardedErrors,
            "slow" => Self::Slow(std::time::Duration::from_millis(detail.parse().map_err(|_| invalid())?)),
            "error" if !detail.is_empty() => Self::Error(detail.split(':').map(str::to_owned).collect()),
            _ => return Err(invalid()),
        })
    }
}
