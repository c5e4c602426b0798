//! A domain: what a VM is while it runs.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::dom0::DeviceModel;
use crate::error::{ApiError, ApiResult};
use crate::wire::Value;

/// Everything under `/local/domain/N/platform` in xenstore.
pub type Platformdata = IndexMap<String, String>;

/// A running domain and what it was built from.
#[derive(Debug, Clone)]
pub struct Domain {
    pub domid: i64,
    pub platformdata: Platformdata,
    pub started: f64,
    pub paused: bool,
    /// Its QEMU, on a stock host. It ends when the last reference is dropped.
    pub device_model: Option<Arc<DeviceModel>>,
}

impl Domain {
    /// As XAPI and xenopsd call it.
    pub fn power_state(&self) -> &'static str {
        if self.paused { "Paused" } else { "Running" }
    }
}

/// The longest value that xenstore takes (`oxenstored/quota.ml`).
const LONGEST_VALUE: usize = 2048;

/// The platform data of a `Vm.t`.
pub fn platformdata(metadata: &Value) -> Platformdata {
    let members = metadata.get("platformdata").map(Value::members).unwrap_or_default().iter();
    members
        .map(|(key, value)| {
            let value = value.text().unwrap_or_default().into_owned();
            (String::from_utf8_lossy(key).into_owned(), value)
        })
        .collect()
}

/// Each key becomes `/local/domain/N/platform/KEY` in xenstore. What that refuses, fails the start. The limits are
/// oxenstored's; in which words xenopsd then fails is a guess.
pub fn check_xenstore_limits(platformdata: &Platformdata) -> ApiResult<()> {
    let fits_path =
        |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_@-/".contains(&byte));
    for (key, value) in platformdata {
        if !fits_path(key) {
            return Err(refused_by_xenstore("EINVAL"));
        }
        if value.len() > LONGEST_VALUE {
            return Err(refused_by_xenstore("E2BIG"));
        }
    }
    Ok(())
}

fn refused_by_xenstore(error: &str) -> ApiError {
    ApiError::internal(&format!("xenopsd internal error: Xs_protocol.Error(\"{error}\")"))
}
