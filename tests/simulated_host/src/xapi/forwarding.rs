//! Which host carries out a call: a member hands everything but a login to its coordinator (`ocaml/xapi/api_server.ml`).

use std::sync::Arc;

use super::session;
use crate::dom0::Dom0;
use crate::error::ApiError;
use crate::pool::Outage;

/// Where a call goes.
pub enum Route {
    /// It is carried out by the host that was asked.
    Here,
    /// The coordinator carries it out. Its errors come back in another shape.
    Coordinator(Arc<Dom0>),
    /// It is refused before anybody looks at it.
    Refused(ApiError),
    /// Its connection ends, and with it the call.
    Nowhere,
}

/// Finds out where a call goes, which takes as long as a coordinator that is away lets it hang. A login is no exception
/// to that: a session is a row in the coordinator's database. A member tries again until the coordinator answers, and
/// carries the call out then, whether or not its caller still waits (`with_reusable_stunnel` in
/// `ocaml/libs/http-lib/xmlrpc_client.ml`, `ocaml/database/master_connection.ml`). Left out: a call that is not a login ends
/// after ten attempts, which take between 100 and 400 seconds, with the page of an internal error. A host that gets another
/// coordinator, becomes one or goes into emergency mode starts anew, which ends its connections.
pub fn route(dom0: &Arc<Dom0>, method: &str) -> Route {
    let pool = &dom0.pool;
    let coordinator = pool.coordinator_ref();
    match pool.outage_of(dom0) {
        Some(Outage::Emergency(error)) => return Route::Refused(error),
        Some(Outage::Hangs) => {
            dom0.wait_while(|| pool.outage_of(dom0) == Some(Outage::Hangs));
            if !dom0.is_up() || pool.outage_of(dom0).is_some() || pool.coordinator_ref() != coordinator {
                return Route::Nowhere;
            }
        }
        None => {}
    }
    if method == session::LOGIN || pool.is_coordinator(dom0) {
        return Route::Here;
    }
    pool.coordinator().map_or(Route::Nowhere, Route::Coordinator)
}
